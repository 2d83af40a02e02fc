"""idx files: MNIST itself, and files written here value by value."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoscope.arrays import Array
from convoscope.data.idx import is_idx_images, read_idx, read_idx_array
from convoscope.errors import DataError

TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: Array) -> bytes:
    """The idx file of an array, written as the format's description says."""
    kind = TYPES[array.dtype.str[1:]]
    header = bytes([0, 0, kind, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_pair(
    folder: Path, part: str, images: Array, labels: Array, zipped: bool = False
) -> tuple[Path, Path]:
    suffix = ".gz" if zipped else ""
    paths = (
        folder / f"{part}images-idx3-ubyte{suffix}",
        folder / f"{part}labels-idx1-ubyte{suffix}",
    )
    for path, array in zip(paths, (images, labels), strict=True):
        content = idx_bytes(array)
        path.write_bytes(gzip.compress(content, 1, mtime=0) if zipped else content)
    return paths


def images_of(count: int, start: int = 0) -> Array:
    return (np.arange(start, start + count * 12) % 251).astype(np.uint8).reshape(count, 3, 4)


@pytest.mark.slow
def test_mnist_is_read_whole(shared: Callable[[str], Path]) -> None:
    mnist = read_idx(shared("mnist"))
    assert mnist.pixels is not None
    assert mnist.given_split is not None
    assert mnist.pixels.shape == (70_000, 28, 28, 1)
    assert mnist.pixels.dtype == np.uint8
    assert mnist.given_split == ("train",) * 60_000 + ("test",) * 10_000
    assert (mnist.ids[42], mnist.ids[-1]) == ("train/00042", "test/09999")
    assert mnist.class_names == {"class": tuple("0123456789")}
    labels = mnist.labels["class"]
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # The counts that http://yann.lecun.com/exdb/mnist and every textbook give.
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(labels[:60_000]).tolist() == train
    assert round(float(mnist.pixels[:60_000].mean()) / 255, 4) == 0.1307


@pytest.mark.parametrize("zipped", [False, True])
def test_two_parts_are_a_given_split_train_first(tmp_path: Path, zipped: bool) -> None:
    write_pair(tmp_path, "t10k-", images_of(2), np.array([7, 9], np.uint8), zipped)
    write_pair(tmp_path, "train-", images_of(3, 5), np.array([9, 9, 2], np.uint8), zipped)
    dataset = read_idx(tmp_path, name="tiny")
    assert dataset.name == "tiny"
    assert dataset.ids == ("train/00000", "train/00001", "train/00002", "test/00000", "test/00001")
    assert dataset.given_split == ("train",) * 3 + ("test",) * 2
    assert dataset.class_names == {"class": ("2", "7", "9")}
    assert dataset.labels["class"].tolist() == [2, 2, 0, 1, 2]
    assert dataset.pixels is not None
    assert np.array_equal(dataset.pixels[3:, ..., 0], images_of(2))
    assert np.array_equal(dataset.pixels[:3, ..., 0], images_of(3, 5))


def test_one_images_file_is_read_alone(tmp_path: Path) -> None:
    images, _ = write_pair(tmp_path, "train-", images_of(2), np.array([0, 1], np.uint8))
    write_pair(tmp_path, "t10k-", images_of(1), np.array([1], np.uint8))
    dataset = read_idx(images)
    assert dataset.given_split == ("train", "train")
    assert dataset.ids == ("train/00000", "train/00001")
    assert dataset.name == tmp_path.name


def test_a_file_and_its_gzipped_twin_count_once(tmp_path: Path) -> None:
    for zipped in (False, True):
        write_pair(tmp_path, "", images_of(2), np.array([0, 1], np.uint8), zipped)
    dataset = read_idx(tmp_path)
    assert dataset.ids == ("images/00000", "images/00001")
    assert dataset.given_split is None


def test_dotted_names_are_found(tmp_path: Path) -> None:
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx_bytes(images_of(2)))
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx_bytes(np.array([3, 5], np.uint8)))
    assert read_idx(tmp_path).class_names == {"class": ("3", "5")}


def test_colour_images_keep_their_channels(tmp_path: Path) -> None:
    colour = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    (tmp_path / "images-idx4-ubyte").write_bytes(idx_bytes(colour))
    (tmp_path / "labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1], np.uint8)))
    pixels = read_idx(tmp_path).pixels
    assert pixels is not None
    assert np.array_equal(pixels, colour)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(TYPES)),
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    zipped=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, shape: list[int], zipped: bool, seed: int
) -> None:
    array = np.random.default_rng(seed).integers(0, 127, shape).astype(kind)
    path = tmp_path_factory.getbasetemp() / "any.idx"
    path.write_bytes(gzip.compress(idx_bytes(array), mtime=0) if zipped else idx_bytes(array))
    again = read_idx_array(path)
    assert again.dtype == array.dtype
    assert again.dtype.isnative
    assert np.array_equal(again, array)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 39), zipped=st.booleans())
def test_a_file_cut_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int, zipped: bool
) -> None:
    whole = idx_bytes(images_of(2))
    content = gzip.compress(whole, mtime=0)[: cut + 2] if zipped else whole[:cut]
    path = tmp_path_factory.getbasetemp() / "cut.idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cut\.idx: .*(cut short|this is no idx file)"):
        read_idx_array(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"must begin with two zero bytes, .* got nothing: this is no idx file"),
        (b"\x89PNG\r\n", r"such as 00 00 08 03, got 89 50 4e 47: this is no idx file"),
        (b"\0\0\x0a\x01\0\0\0\0", r"got 00 00 0a 01: this is no idx file"),
        (b"\0\0\x08\x00", r"got 00 00 08 00: this is no idx file"),
        (b"\0\0\x08\x03\0\0\0\1", r"with 3 dimensions must have 16 bytes, got 8: .* cut short"),
        (
            idx_bytes(images_of(2))[:-5],
            r"uint8 values and shape \(2, 3, 4\) must hold 24 bytes of values, got at most 19",
        ),
        (
            idx_bytes(images_of(4))[:-30],
            r"shape \(4, 3, 4\) must hold 48 bytes of values, got at most 18: .* cut short",
        ),
        (idx_bytes(images_of(2)) + b"x", r"shape \(2, 3, 4\) must hold 24 bytes .* there are more"),
        (gzip.compress(idx_bytes(images_of(9)))[:-9], r"cut short or damaged \(.*\): get the file"),
        (gzip.compress(idx_bytes(images_of(9))[:-9]), r"must hold 108 bytes of values, got 99"),
        (
            gzip.compress(b"\0\0\x08\x04" + b"\xff" * 16, mtime=0),
            r"shape \(4294967295, .* must hold \d+ bytes of values, got at most",
        ),
    ],
)
def test_what_is_no_idx_file_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.idx: .*" + sentence):
        read_idx_array(path)


def test_label_count_must_be_image_count(tmp_path: Path) -> None:
    write_pair(tmp_path, "train-", images_of(3), np.array([0, 1], np.uint8))
    with pytest.raises(DataError, match=r"got 2 labels for the 3 images of train-images-idx3"):
        read_idx(tmp_path)


@pytest.mark.parametrize("labels", [images_of(1), np.array([-1], np.int8), np.ones(1, np.float32)])
def test_labels_must_be_whole_numbers(tmp_path: Path, labels: Array) -> None:
    write_pair(tmp_path, "", images_of(1), labels)
    with pytest.raises(DataError, match=r"labels-idx1-ubyte: idx labels must be one whole number"):
        read_idx(tmp_path)


@pytest.mark.parametrize(
    "images", [np.zeros(4, np.uint8), np.zeros((1, 2, 2), np.float32), np.zeros((0, 2, 2), "u1")]
)
def test_images_must_be_bytes_with_height_and_width(tmp_path: Path, images: Array) -> None:
    write_pair(tmp_path, "", images, np.zeros(len(images), np.uint8))
    with pytest.raises(DataError, match=r"images-idx3-ubyte: idx images must be uint8 of shape"):
        read_idx(tmp_path)


def test_two_channels_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "", np.zeros((1, 2, 2, 2), np.uint8), np.zeros(1, np.uint8))
    with pytest.raises(DataError, match=r"must have 1 or 3 channels, got 2: write them as gray"):
        read_idx(tmp_path)


def test_missing_labels_are_one_sentence(tmp_path: Path) -> None:
    _, labels = write_pair(tmp_path, "train-", images_of(1), np.zeros(1, np.uint8))
    labels.unlink()
    with pytest.raises(DataError, match=r"as train-labels-idx1-ubyte or train-.*\.gz, found neith"):
        read_idx(tmp_path)


def test_a_folder_without_idx_files_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"such as train-images-idx3-ubyte\.gz, found none"):
        read_idx(tmp_path)


def test_a_file_of_another_name_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "digits.idx"
    path.write_bytes(idx_bytes(images_of(1)))
    with pytest.raises(DataError, match=r"digits\.idx: an idx images file must be named such as"):
        read_idx(path)


def test_two_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    for part in ("emnist-letters-train-", "emnist-digits-train-"):
        write_pair(tmp_path, part, images_of(1), np.zeros(1, np.uint8))
    with pytest.raises(DataError, match=r"to another split, got emnist-.*one set per folder"):
        read_idx(tmp_path)


def test_parts_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train-", images_of(1), np.zeros(1, np.uint8))
    write_pair(tmp_path, "test-", np.zeros((1, 5, 5), np.uint8), np.zeros(1, np.uint8))
    with pytest.raises(DataError, match=r"one size, got train-images \(3, 4, 1\), test-images"):
        read_idx(tmp_path)


def test_names_of_images_files_are_recognised() -> None:
    assert is_idx_images("t10k-images-idx3-ubyte.gz")
    assert is_idx_images("emnist-letters-train-images.idx3-ubyte")
    assert not is_idx_images("train-labels-idx1-ubyte")
    assert not is_idx_images("images.zip")


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train-", images_of(2), np.array([4, 4], np.uint8))
    with pytest.raises(DataError, match=r"at least two classes to tell apart, found only '4': add"):
        read_idx(tmp_path)
