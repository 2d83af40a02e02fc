from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import platformdirs
import pytest
from PIL import Image
from tests.conftest import MakeImageFolder

from convoscope.data.cache import Decoded, cache_folder, decode, sha256_of
from convoscope.data.dataset import Dataset, take
from convoscope.data.decoding import network_input, open_image
from convoscope.data.digits import read_digits
from convoscope.data.folders import read_folder
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import DataError, StorageError, UnreadableImageError

SMALL = Preprocessing(size=(12, 12))


@pytest.fixture
def folder(tmp_path: Path, make_image_folder: MakeImageFolder) -> Path:
    return make_image_folder(tmp_path / "data", ("a", "b"), per_class=4, size=(20, 16))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def everything(decoded: Decoded) -> dict[str, object]:
    facts = {name: array.tolist() for name, array in decoded.facts.arrays().items()}
    return {"images": decoded.images.tobytes(), "fingerprint": decoded.fingerprint, **facts}


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "images").iterdir())


def test_images_are_what_decoding_one_by_one_gives(folder: Path, cache: Path) -> None:
    dataset = read_folder(folder)
    assert dataset.files is not None
    for preprocessing in (SMALL, Preprocessing(size=(8, 24), order="gray", resize="pad")):
        decoded = decode(dataset, preprocessing=preprocessing, cache_dir=cache)
        expected = [network_input(open_image(file), preprocessing) for file in dataset.files]
        assert (decoded.images == np.stack(expected)).all()
        assert decoded.images.dtype == np.uint8
        assert not decoded.images.flags.writeable
        assert decoded.skipped == ()
        assert decoded.dataset is dataset


def test_facts_are_those_of_the_whole_picture(folder: Path, cache: Path) -> None:
    dataset = read_folder(folder)
    assert dataset.files is not None
    facts = decode(dataset, preprocessing=SMALL, cache_dir=cache).facts
    for row, file in enumerate(dataset.files):
        assert facts.sha256[row] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert facts.file_size[row] == file.stat().st_size
        assert (facts.width[row], facts.height[row], facts.mode[row]) == (16, 20, "RGB")


def one_dot(place: tuple[int, int]) -> Image.Image:
    """Black but for a dot so dark that no luminance shows it."""
    image = Image.new("RGB", (320, 200))
    image.putpixel(place, (1, 0, 0))
    return image


def test_the_same_pixels_have_one_hash_in_any_format_and_others_another(
    folder: Path, cache: Path
) -> None:
    for name, place in (("one", (160, 100)), ("other", (161, 100))):
        one_dot(place).save(folder / "a" / f"{name}.png")
        one_dot(place).save(folder / "b" / f"{name}.bmp")
    shutil.copy(folder / "a" / "one.png", folder / "b" / "copy.png")
    shutil.copy(folder / "a" / "a_0.png", folder / "b" / "b_9.png")
    decoded = decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache)
    alike: dict[str, set[str]] = {}
    for name, found in zip(decoded.dataset.ids, decoded.facts.pixel_hash.tolist(), strict=True):
        alike.setdefault(found, set()).add(name)
    assert [names for names in alike.values() if len(names) > 1] == [
        {"a/a_0.png", "b/b_9.png"},
        {"a/one.png", "b/one.bmp", "b/copy.png"},
        {"a/other.png", "b/other.bmp"},
    ]


def test_a_picture_is_decoded_twice_only_where_a_glance_leaves_a_doubt(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[IO[bytes]] = []
    open_file = Image.open

    def open_and_count(file: IO[bytes]) -> Image.Image:
        opened.append(file)
        return open_file(file)

    monkeypatch.setattr(Image, "open", open_and_count)
    shutil.copy(folder / "a" / "a_0.png", folder / "b" / "b_9.png")
    decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache)
    assert len(opened) == 9
    opened.clear()
    Image.fromarray(open_image(folder / "a" / "a_0.png")).save(folder / "b" / "b_8.bmp")
    calls: list[tuple[int, int]] = []
    decode(
        read_folder(folder),
        preprocessing=SMALL,
        cache_dir=cache,
        progress=lambda *done: calls.append(done),
    )
    assert len(opened) == 1 + 10 + 3  # ours above, all of them, the three with the same pixels
    assert calls[9:] == [(10, 10), (7, 10), (8, 10), (9, 10), (10, 10)]


def test_images_in_memory_are_decoded_alike(cache: Path) -> None:
    digits = take(read_digits(), np.arange(20))
    assert digits.pixels is not None
    gray = decode(digits, preprocessing=Preprocessing(size=(8, 8), order="gray"), cache_dir=cache)
    assert (gray.images == digits.pixels).all()
    assert gray.facts.is_gray.all()
    assert set(gray.facts.mode) == {"L"}
    colour = decode(digits, preprocessing=Preprocessing(size=(8, 8)), cache_dir=cache)
    assert (colour.images == np.repeat(digits.pixels, 3, axis=3)).all()
    assert colour.facts.sha256.tolist() == [sha256_of(digits, row) for row in range(20)]


def test_the_second_time_nothing_is_decoded(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = read_folder(folder)
    first = decode(dataset, preprocessing=SMALL, cache_dir=cache)
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(Image, "open", None)  # Pillow itself, which would have to decode
    second = decode(
        dataset, preprocessing=SMALL, cache_dir=cache, progress=lambda *done: calls.append(done)
    )
    assert everything(first) == everything(second)
    assert calls == [(8, 8)]


def test_progress_counts_every_image(folder: Path, cache: Path) -> None:
    calls: list[tuple[int, int]] = []
    decode(
        read_folder(folder),
        preprocessing=SMALL,
        cache_dir=cache,
        progress=lambda *done: calls.append(done),
    )
    assert calls[:8] == [(done, 8) for done in range(1, 9)]


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, size=(12, 13)),
        replace(SMALL, resize="crop"),
        replace(SMALL, order="gray"),
    ],
)
def test_what_changes_pixels_makes_another_entry(
    folder: Path, cache: Path, other: Preprocessing
) -> None:
    dataset = read_folder(folder)
    decode(dataset, preprocessing=SMALL, cache_dir=cache)
    decode(dataset, preprocessing=other, cache_dir=cache)
    assert len(entries(cache)) == 2


def test_what_the_engine_does_later_makes_no_other_entry(folder: Path, cache: Path) -> None:
    dataset = read_folder(folder)
    for other in (SMALL, replace(SMALL, order="bgr"), replace(SMALL, mean=(0.5,), sd=(0.2,))):
        decode(dataset, preprocessing=other, cache_dir=cache)
    assert len(entries(cache)) == 1


def test_an_image_with_new_content_is_seen_even_at_the_old_time(folder: Path, cache: Path) -> None:
    dataset = read_folder(folder)
    first = decode(dataset, preprocessing=SMALL, cache_dir=cache)
    assert dataset.files is not None
    file, then = dataset.files[3], dataset.files[3].stat()
    pixels = open_image(file).copy()
    pixels[::2] = 255 - pixels[::2]
    Image.fromarray(pixels).save(file)
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))
    second = decode(dataset, preprocessing=SMALL, cache_dir=cache)
    changed = [(first.images[row] != second.images[row]).any() for row in range(8)]
    assert changed == [row == 3 for row in range(8)]
    assert first.fingerprint != second.fingerprint


def test_the_number_of_workers_changes_nothing(folder: Path, tmp_path: Path) -> None:
    dataset = read_folder(folder)
    one, three = (
        decode(dataset, preprocessing=SMALL, cache_dir=tmp_path / str(n), workers=n) for n in (1, 3)
    )
    assert everything(one) == everything(three)
    (first,), (second,) = entries(tmp_path / "1"), entries(tmp_path / "3")
    assert (first / "images.bin").read_bytes() == (second / "images.bin").read_bytes()


def test_the_fingerprint_stands_for_names_bytes_and_labels_in_any_order(
    folder: Path, cache: Path
) -> None:
    dataset = read_folder(folder)

    def fingerprint(of: Dataset, preprocessing: Preprocessing = SMALL) -> str:
        return decode(of, preprocessing=preprocessing, cache_dir=cache).fingerprint

    usual = fingerprint(dataset)
    assert fingerprint(take(dataset, np.arange(8)[::-1])) == usual
    assert fingerprint(dataset, replace(SMALL, size=(5, 5))) == usual
    other_labels = {"class": 1 - dataset.labels["class"]}
    assert fingerprint(replace(dataset, labels=other_labels)) != usual
    assert fingerprint(replace(dataset, ids=(*dataset.ids[:-1], "z"))) != usual
    assert fingerprint(take(dataset, np.arange(7))) != usual


# -- files that cannot be read --------------------------------------------------------------------


def spoil(folder: Path) -> None:
    (folder / "a" / "a_1.png").write_bytes(b"")
    (folder / "b" / "b_0.png").write_text("no picture")


def test_unreadable_files_are_named_all_at_once(folder: Path, cache: Path) -> None:
    spoil(folder)
    for _ in range(2):  # decoded, then found in the cache
        with pytest.raises(UnreadableImageError) as caught:
            decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache)
        assert str(caught.value) == (
            f"{folder}: every image must be readable, 2 of 8 are not: a/a_1.png, where the file is "
            "empty (0 bytes); b/b_0.png, where it is in no image format that is known (it begins "
            "with b'no picture'): mend or remove them, or go on without them with --skip-unreadable"
        )


def test_of_many_unreadable_files_the_first_are_named(folder: Path, cache: Path) -> None:
    for file in sorted(folder.rglob("*.png"))[:5]:
        file.write_bytes(b"")
    with pytest.raises(UnreadableImageError, match=r"5 of 8 are not: a/a_0\.png.*; and 2 more: "):
        decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache)


def test_unreadable_files_can_be_skipped_and_are_told(folder: Path, cache: Path) -> None:
    whole = decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache)
    spoil(folder)
    decoded = decode(
        read_folder(folder), preprocessing=SMALL, cache_dir=cache, skip_unreadable=True
    )
    assert [name for name, _ in decoded.skipped] == ["a/a_1.png", "b/b_0.png"]
    assert decoded.skipped[0][1] == "the file is empty (0 bytes)"
    kept = [0, 2, 3, 5, 6, 7]
    assert decoded.dataset.ids == tuple(whole.dataset.ids[row] for row in kept)
    assert decoded.dataset.labels["class"].tolist() == [0, 0, 0, 1, 1, 1]
    assert (decoded.images == whole.images[kept]).all()
    assert decoded.facts.sha256.tolist() == whole.facts.sha256[kept].tolist()


def test_if_nothing_can_be_read_skipping_does_not_help(folder: Path, cache: Path) -> None:
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(UnreadableImageError, match=r"8 of 8 are not: .*: mend or remove them$"):
        decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache, skip_unreadable=True)


def test_a_file_that_has_gone_is_unreadable(folder: Path, cache: Path) -> None:
    dataset = read_folder(folder)
    (folder / "a" / "a_1.png").unlink()
    with pytest.raises(UnreadableImageError, match=r"a/a_1\.png, where the system says 'No such"):
        decode(dataset, preprocessing=SMALL, cache_dir=cache)


def test_a_data_set_without_images_is_refused(folder: Path, cache: Path) -> None:
    none = take(read_folder(folder), np.arange(0))
    with pytest.raises(DataError, match="a data set must hold images, it has none"):
        decode(none, preprocessing=SMALL, cache_dir=cache)


def test_a_file_written_meanwhile_is_told(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = read_folder(folder)
    written: list[Path] = []
    read = Path.read_bytes

    def read_and_append(path: Path) -> bytes:
        """Another program that goes on writing the file between our two looks at it."""
        content = read(path)
        if path.name == "a_2.png" and not written:
            written.append(path)
            path.write_bytes(content + b"more")
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_append)
    with pytest.raises(DataError, match=r"a/a_2\.png: images must stay as they are while they are"):
        decode(dataset, preprocessing=SMALL, cache_dir=cache, workers=1)
    assert entries(cache) == []


def test_a_file_taken_away_before_the_second_look_is_told(folder: Path, cache: Path) -> None:
    copy = folder / "b" / "b_8.bmp"
    Image.fromarray(open_image(folder / "a" / "a_0.png")).save(copy)

    def take_away(done: int, total: int) -> None:
        if done == total:
            copy.unlink(missing_ok=True)

    with pytest.raises(DataError, match=r"b/b_8\.bmp: images must stay as they are while they are"):
        decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache, progress=take_away)
    assert entries(cache) == []


# -- the place ------------------------------------------------------------------------------------


def test_the_cache_lies_where_the_environment_or_the_system_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("CONVOSCOPE_CACHE")
    assert cache_folder() == platformdirs.user_cache_path("convoscope")


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """A disk on which no file can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(folder: Path, cache: Path) -> None:
    dataset, large = read_folder(folder), Preprocessing(size=(96, 96))
    with files_up_to(100_000), pytest.raises(StorageError, match="needs more room than the disk"):
        decode(dataset, preprocessing=large, cache_dir=cache)
    assert entries(cache) == []
    assert len(decode(dataset, preprocessing=large, cache_dir=cache).images) == 8


def test_a_cache_that_is_a_file_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(StorageError, match="the folder must be writable, the system said 'Not a"):
        decode(read_folder(folder), preprocessing=SMALL, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("damage", ["cut", "no facts", "half facts"])
def test_a_damaged_entry_is_made_again(folder: Path, cache: Path, damage: str) -> None:
    dataset = read_folder(folder)
    first = everything(decode(dataset, preprocessing=SMALL, cache_dir=cache))
    (entry,) = entries(cache)
    if damage == "cut":
        os.truncate(entry / "images.bin", 100)
    elif damage == "no facts":
        (entry / "facts.npz").unlink()
    else:
        os.truncate(entry / "facts.npz", 100)
    assert everything(decode(dataset, preprocessing=SMALL, cache_dir=cache)) == first
    assert entries(cache) == [entry]


def test_what_was_left_by_killed_processes_goes_after_a_day(folder: Path, cache: Path) -> None:
    old, new = cache / "images" / "x.1.part", cache / "images" / "x.2.part"
    for part in (old, new):
        part.mkdir(parents=True)
        (part / "images.bin").write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    decode(read_folder(folder), preprocessing=SMALL, cache_dir=cache)
    assert not old.exists()
    assert new.exists()


SCRIPT = """
import sys
import time
from pathlib import Path
from convoscope.data.cache import decode
from convoscope.data.folders import read_folder
from convoscope.data.preprocessing import Preprocessing

folder, cache = map(Path, sys.argv[1:3])
stop_at = int(sys.argv[3])

def progress(done, total):
    print(done, flush=True)
    if done == stop_at:
        time.sleep(60)  # until killed

decoded = decode(
    read_folder(folder), preprocessing=Preprocessing(size=(12, 12)), cache_dir=cache,
    progress=progress,
)
print(decoded.images.sum(), decoded.fingerprint)
"""


def start(folder: Path, cache: Path, *, stop_at: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(cache), str(stop_at)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_process_killed_halfway_leaves_nothing_that_looks_finished(
    folder: Path, cache: Path
) -> None:
    process = start(folder, cache, stop_at=5)
    assert process.stdout is not None
    assert "5\n" in iter(process.stdout.readline, "")
    process.kill()
    process.communicate()
    assert [entry.suffix for entry in entries(cache)] == [".part"]
    dataset = read_folder(folder)
    again = everything(decode(dataset, preprocessing=SMALL, cache_dir=cache))
    shutil.rmtree(cache)
    assert everything(decode(dataset, preprocessing=SMALL, cache_dir=cache)) == again


def test_processes_that_fill_the_same_entry_at_once_agree(folder: Path, cache: Path) -> None:
    processes = [start(folder, cache) for _ in range(3)]
    outputs = [process.communicate()[0].splitlines()[-1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(set(outputs)) == 1
    assert len(entries(cache)) == 1
