"""The set as files is the set: every image and label is read back and compared."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convoscope.data.lines import FACTORS, make_lines
from convoscope.data.reading import Reading
from convoscope.data.sources import open_dataset
from convoscope.errors import SettingsError, StorageError
from convoscope.jobs.data_lines import class_frames, contact_sheet, write_lines
from convoscope.pictures.video import read_video

PATTERN = "{length}_{width}_{angle}_{colour}_{id}"


def test_a_folder_is_read_back_with_every_label(tmp_path: Path) -> None:
    made = write_lines(tmp_path / "set", train=2, test=1)
    lines = make_lines(train=2, test=1)
    dataset = open_dataset(tmp_path / "set", reading=Reading(label_pattern=PATTERN))
    assert (made.images, len(dataset)) == (288, 288)
    assert dataset.class_names["angle"] == tuple(map(str, range(12)))
    assert dataset.given_split is not None
    assert dataset.given_split.count("train") == 192
    rows = {f"{split}/{name}.png": i for i, (split, name) in enumerate(
        zip(lines.splits, lines.names, strict=True)
    )}  # fmt: skip
    for place in range(0, 288, 5):
        row = rows[dataset.ids[place]]
        assert dataset.files is not None
        with Image.open(dataset.files[place]) as picture:
            assert np.array_equal(np.asarray(picture), lines.pixels[row])
        said = tuple(int(dataset.labels[factor][place]) for factor in FACTORS)
        assert "_".join(map(str, said)) == lines.names[row].rpartition("_")[0]


def test_jpeg_keeps_a_lines_place_and_colour(tmp_path: Path) -> None:
    write_lines(tmp_path / "set", version="published", train=1, test=1, image_format="jpg")
    lines = make_lines("published", train=1, test=1)
    for row in range(0, len(lines), 11):
        file = tmp_path / "set" / lines.splits[row] / f"{lines.names[row]}.jpg"
        with Image.open(file) as picture:
            decoded = np.asarray(picture)
        assert np.array_equal(decoded > 127, lines.pixels[row] > 127)


def test_an_npz_file_is_read_back_with_every_head(tmp_path: Path) -> None:
    write_lines(tmp_path / "set.npz", train=2, test=1)
    dataset = open_dataset(tmp_path / "set.npz")
    own = open_dataset("lines:heads@2/1")
    assert dataset.class_names == own.class_names
    assert dataset.pixels is not None
    assert own.pixels is not None
    order = np.argsort(np.array(own.given_split) == "test", kind="stable")
    assert np.array_equal(dataset.pixels, own.pixels[order])
    for head in FACTORS:
        assert np.array_equal(dataset.labels[head], own.labels[head][order])


def test_what_was_made_is_counted(tmp_path: Path) -> None:
    made = write_lines(tmp_path / "set.npz", version="published", train=60, test=40)
    lines = make_lines("published", train=60, test=40)
    train = {image.tobytes() for image in lines.pixels[lines.is_train]}
    copies = sum(image.tobytes() in train for image in lines.pixels[~lines.is_train])
    assert (made.train, made.test_images_seen) == (len(train), copies)
    assert (made.train_images, made.test_images) == (5760, 3840)


def test_the_film_shows_nine_images_of_every_class(tmp_path: Path) -> None:
    write_lines(tmp_path / "s.npz", train=3, test=2, video=tmp_path / "film.mp4")
    frames = class_frames(make_lines(train=3, test=2))
    again = read_video(tmp_path / "film.mp4")
    assert again.shape == frames.shape == (96 * 3, 258, 258, 3)
    # Red classes stand first and blue ones second, throughout.
    reds = again.reshape(96, 3, -1, 3).max(axis=(1, 2))
    assert (reds[0::2, 0] > 180).all()
    assert (reds[1::2, 2] > 180).all()
    # Each frame as it was drawn, but for the encoder's loss.
    assert np.abs(again[::37].astype(int) - frames[::37]).mean() < 6


def test_the_contact_sheet_has_a_row_for_each_class(tmp_path: Path) -> None:
    write_lines(tmp_path / "s.npz", train=3, test=2, sheet=tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes() == contact_sheet(make_lines(train=3, test=2))
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.height > 96 * 56
        colours = np.asarray(picture).reshape(-1, 3)
    assert ((colours == (255, 0, 0)).all(axis=1)).sum() > 1000


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(StorageError, match="needs a place of its own, there is something already"):
        write_lines(tmp_path / "photos", train=1, test=1)


def test_a_line_that_cannot_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not fit into 10 x 10: use a size of at least 15"):
        write_lines(tmp_path / "set", size=10)
    assert not list(tmp_path.iterdir())
