"""``convoscope data``, from the words typed to what is printed and written."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder

from convoscope.arrays import generator
from convoscope.data.findings import Kind
from convoscope.runs import Run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of fifteen smooth pictures of their own, with nothing wrong."""
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(15):
            coarse = generator(0, name, number).integers(0, 256, (6, 6, 3)).astype(np.uint8)
            picture = Image.fromarray(coarse).resize((80, 72), Image.Resampling.BICUBIC)
            picture.save(root / name / f"{number}.png")
    return root


def refusal(convoscope: Convoscope, *words: object) -> str:
    result = convoscope(*words)
    assert result.exit_code == 2, result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith("convoscope")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def grayed(folder: Path) -> None:
    for file in folder.iterdir():
        Image.open(file).convert("L").save(file)


# -- check ----------------------------------------------------------------------------------------


def test_a_clean_folder_has_exit_code_0_and_a_page(convoscope: Convoscope, photos: Path) -> None:
    result = convoscope("data", "check", photos, "-q")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "30 images: 0 wrong, 0 to look at" in result.stdout
    assert "page    data-check.html" in result.stdout
    assert "nothing is wrong" in Path("data-check.html").read_text()


def test_what_is_wrong_has_exit_code_1_and_is_said(convoscope: Convoscope, photos: Path) -> None:
    shutil.copy(photos / "cat" / "3.png", photos / "dog" / "copy.png")
    result = convoscope("data", "check", photos, "--no-page")
    assert result.exit_code == 1
    assert "wrong: 1 picture carries two different labels (cat/3.png and dog/copy.png)" in (
        result.stdout
    )
    assert "31 images: 1 wrong, 0 to look at" in result.stdout
    assert not Path("data-check.html").exists()


def test_what_needs_a_look_has_exit_code_0(convoscope: Convoscope, photos: Path) -> None:
    shutil.copy(photos / "cat" / "3.png", photos / "cat" / "copy.png")
    result = convoscope("data", "check", photos, "--no-page")
    assert result.exit_code == 0
    assert "look: 1 picture is there more than once" in result.stdout


def test_an_empty_class_is_wrong_and_does_not_stop_the_check(
    convoscope: Convoscope, photos: Path
) -> None:
    (photos / "fox").mkdir()
    result = convoscope("data", "check", photos, "-q")
    assert result.exit_code == 1
    assert (
        "wrong: class fox is without any picture: training would stop; put pictures there, or "
        "remove the folder\n" in result.stdout
    )
    assert "31 images" not in result.stdout
    assert "A class without pictures" in Path("data-check.html").read_text()
    info = convoscope("data", "info", photos, "-q")
    assert "cannot be divided" in info.stdout
    said = refusal(convoscope, "train", photos, "-m", "small", "-q")
    assert "photos: every class must have images that can be read, 'fox' (class) has none" in said


def test_json_is_one_object_alone(convoscope: Convoscope, photos: Path) -> None:
    (photos / "dog" / "broken.jpg").write_bytes(b"no picture")
    result = convoscope("data", "check", photos, "--json", "--out", "page.html")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert content["is_clean"] is False
    assert (content["files"], content["images"]) == (31, 30)
    assert [finding["kind"] for finding in content["findings"]] == ["unreadable"]
    assert Path("page.html").exists()


def test_every_key_and_kind_is_documented(convoscope: Convoscope, photos: Path) -> None:
    grayed(photos / "dog")
    documented = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    for kind in get_args(Kind):
        assert f"`{kind}`" in documented
    for command in ("check", "info"):
        words = ["data", command, photos, "--json", *(["--no-page"] * (command == "check"))]
        content = json.loads(convoscope(*words).stdout)
        parts = [content, *content.get("findings", [])]
        parts += [
            clue for finding in content.get("findings", []) for clue in finding.get("clues", [])
        ]
        for key in {key for part in parts for key in part}:
            assert f'"{key}"' in documented.split(f"## `data {command}")[1], key


def test_a_split_file_is_checked_instead_of_the_folders(
    convoscope: Convoscope, photos: Path
) -> None:
    shutil.copy(photos / "cat" / "3.png", photos / "cat" / "copy.png")
    (photos / "dog" / "broken.png").write_bytes(b"")
    lines = ["file,split"]
    for file in sorted(photos.glob("*/*.png")):
        name = file.relative_to(photos).as_posix()
        lines.append(f"{name},{'test' if '1' in name or 'copy' in name else 'train'}")
    Path("mine.csv").write_text("\n".join(lines))
    result = convoscope("data", "check", photos, "--split", "mine.csv", "--no-page", "--json")
    assert result.exit_code == 1
    kinds = {finding["kind"] for finding in json.loads(result.stdout)["findings"]}
    assert kinds == {"unreadable", "leak"}


def test_what_cannot_be_checked_is_said_in_a_sentence(
    convoscope: Convoscope, photos: Path, tmp_path: Path
) -> None:
    assert "photoz" in refusal(convoscope, "data", "check", "photoz")
    assert "nosplit.csv" in refusal(convoscope, "data", "check", photos, "--split", "nosplit.csv")
    Path("odd.csv").write_text("name,part\nx,train\n")
    assert "a split file must have the columns file and split" in refusal(
        convoscope, "data", "check", photos, "--split", "odd.csv"
    )
    for file in photos.glob("*/*.png"):
        file.write_bytes(b"")
    said = refusal(convoscope, "data", "check", photos)
    assert "every image must be readable, 30 of 30 are not" in said
    assert not Path("data-check.html").exists()
    assert "there is no option '--jsn'" in refusal(convoscope, "data", "check", photos, "--jsn")


def test_a_page_that_cannot_be_written_is_a_sentence(convoscope: Convoscope, photos: Path) -> None:
    Path("file").write_text("")
    assert "file/page.html" in refusal(convoscope, "data", "check", photos, "-o", "file/page.html")


def test_groups_in_two_splits_are_found_by_a_pattern(convoscope: Convoscope, photos: Path) -> None:
    lines = ["file,split"]
    for number in range(15):
        for name, split in (("cat", "train"), ("dog", "test" if number == 5 else "train")):
            lines.append(f"{name}/{number}.png,{split}")
    Path("mine.csv").write_text("\n".join(lines))
    words = ("data", "check", photos, "--no-page", "--json", "--split", "mine.csv")
    result = convoscope(*words, "--group-by", r"/(\d+)\.png")
    (finding, *_) = json.loads(result.stdout)["findings"]
    assert finding["kind"] == "group_leak"
    assert finding["groups"] == [{"caption": "5", "ids": ["cat/5.png", "dog/5.png"]}]


# -- info and split -------------------------------------------------------------------------------


def test_info_counts_what_is_there_and_what_it_would_be_divided_into(
    convoscope: Convoscope, photos: Path
) -> None:
    grayed(photos / "dog")
    content = json.loads(convoscope("data", "info", photos, "--json").stdout)
    assert content["counts"] == {"class": {"cat": {"all": 15}, "dog": {"all": 15}}}
    planned = content["planned"]["class"]
    assert {split: planned["cat"][split] + planned["dog"][split] for split in planned["cat"]} == {
        "train": 22,
        "validation": 2,
        "test": 6,
    }
    assert (content["gray"], content["modes"]) == (15, {"RGB": 15, "L": 15})
    assert content["is_given_split"] is False
    said = convoscope("data", "info", photos, "-q").stdout
    assert "80 px" in said
    assert "none: training would divide so" in said


def test_info_says_why_it_cannot_be_divided(convoscope: Convoscope, tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "few", classes=("bars", "disc"), per_class=2)
    result = convoscope("data", "info", root)
    assert result.exit_code == 0
    assert "cannot be divided: " in result.stdout
    assert "at least 3 different" in result.stdout


def test_info_refuses_an_impossible_share(convoscope: Convoscope, photos: Path) -> None:
    said = refusal(convoscope, "data", "info", photos, "--test", "1.5")
    assert "test must be a share of at least 0 and below 1, got 1.5" in said


def test_the_split_that_is_written_is_the_one_that_training_uses(
    convoscope: Convoscope, shapes_flat: Path, tiny: Path
) -> None:
    made = convoscope("data", "split", shapes_flat, "--seed", "7", "--test", "0.3", "-q")
    assert made.exit_code == 0
    with Path("split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "class", "split", "sha256"]
    counts = {split: sum(row["split"] == split for row in rows) for split in ("train", "test")}
    assert counts["test"] == 9
    words = ("-m", tiny, "-e", "1", "--engine", "numpy", "--no-report", "-q", "-o", "run")
    assert convoscope("train", shapes_flat, "--split", "split.csv", *words).exit_code == 0
    assert Run(Path("run")).split_file.read_text() == Path("split.csv").read_text()


@pytest.fixture
def shapes_flat(tmp_path: Path) -> Path:
    """Three classes of ten images, not split."""
    return draw_folder(tmp_path / "flat", per_class=10)


def test_groups_stay_in_one_split(convoscope: Convoscope, photos: Path) -> None:
    words = ("data", "split", photos, "--test", "0.4", "--group-by", r"/(\d+)\.png")
    assert convoscope(*words).exit_code == 0
    with Path("split.csv").open(newline="") as file:
        split_of = {row["file"]: row["split"] for row in csv.DictReader(file)}
    assert all(split_of[f"cat/{n}.png"] == split_of[f"dog/{n}.png"] for n in range(15))
    assert set(split_of.values()) == {"train", "validation", "test"}
    said = refusal(convoscope, "data", "info", photos, "--group-by", "patient")
    assert "group_by 'patient': only a table has columns" in said


def test_a_split_is_not_overwritten_unless_asked(convoscope: Convoscope, shapes_flat: Path) -> None:
    assert convoscope("data", "split", shapes_flat).exit_code == 0
    before = Path("split.csv").read_bytes()
    said = refusal(convoscope, "data", "split", shapes_flat, "--seed", "5")
    assert "split.csv: a split is only written where nothing is yet" in said
    assert "--replace" in said
    assert Path("split.csv").read_bytes() == before
    assert convoscope("data", "split", shapes_flat, "--seed", "5", "--replace").exit_code == 0
    assert Path("split.csv").read_bytes() != before


def test_unreadable_images_stop_a_split_unless_skipped(
    convoscope: Convoscope, shapes_flat: Path
) -> None:
    (shapes_flat / "bars" / "bad.png").write_bytes(b"")
    said = refusal(convoscope, "data", "split", shapes_flat)
    assert "every image must be readable, 1 are not, such as bars/bad.png" in said
    assert not Path("split.csv").exists()
    assert convoscope("data", "split", shapes_flat, "--skip-unreadable").exit_code == 0
    assert "bad.png" not in Path("split.csv").read_text()


# -- preview --------------------------------------------------------------------------------------


def test_a_preview_is_a_png_with_a_row_per_class(convoscope: Convoscope, photos: Path) -> None:
    assert convoscope("data", "preview", photos, "--columns", "5").exit_code == 0
    with Image.open("preview.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 5 * 112
        assert 2 * 112 < picture.height < 3 * 112


def test_a_preview_shows_what_training_would_see(convoscope: Convoscope, photos: Path) -> None:
    words = ("data", "preview", photos, "--augment", "light")
    for name, seed in (("a.png", 0), ("b.png", 0), ("c.png", 1)):
        assert convoscope(*words, "-o", name, "--seed", seed).exit_code == 0
    assert convoscope("data", "preview", photos, "-o", "d.png").exit_code == 0
    a, b, c, d = (Path(f"{name}.png").read_bytes() for name in "abcd")
    assert a == b
    assert len({a, c, d}) == 3


def test_a_preview_of_mixing_shows_two_classes_in_one_picture(
    convoscope: Convoscope, tmp_path: Path
) -> None:
    for name, shade in (("dark", 40), ("light", 240)):
        (tmp_path / "flat" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40), (shade,) * 3).save(tmp_path / "flat" / name / "1.png")
    words = ("data", "preview", "flat", "--augment", "mixup", "--columns", "12")
    assert convoscope(*words).exit_code == 0
    with Image.open("preview.png") as picture:
        shades = set(np.asarray(picture.convert("L")).ravel().tolist())
    assert convoscope("data", "preview", "flat", "-o", "plain.png").exit_code == 0
    with Image.open("plain.png") as picture:
        plain = set(np.asarray(picture.convert("L")).ravel().tolist())
    assert len({shade for shade in shades - plain if 60 < shade < 220}) >= 5


def test_an_embedded_set_is_previewed_at_its_own_size(convoscope: Convoscope) -> None:
    assert convoscope("data", "preview", "digits", "--augment", "handwriting").exit_code == 0
    assert Path("preview.png").exists()


def test_unreadable_pictures_are_passed_over_unless_nothing_is_left(
    convoscope: Convoscope, photos: Path
) -> None:
    for number in range(14):
        (photos / "cat" / f"{number}.png").write_bytes(b"")
    assert convoscope("data", "preview", photos).exit_code == 0
    (photos / "cat" / "14.png").write_bytes(b"")
    said = refusal(convoscope, "data", "preview", photos)
    assert "every class must have an image that can be read, 'cat' has none" in said


def test_bad_words_of_a_preview(convoscope: Convoscope, photos: Path) -> None:
    said = refusal(convoscope, "data", "preview", photos, "--augment", "ligt")
    assert said.endswith("there is no augmentation 'ligt': did you mean 'light'?")
    said = refusal(convoscope, "data", "preview", photos, "-o", "p.txt")
    assert "p.txt: a preview is a PNG picture, and its name must end with .png, got '.txt'" in said
    assert said.endswith("name it p.png")
    said = refusal(convoscope, "data", "preview", photos, "--columns", "0")
    assert "columns must be a number from 1 to 40, got 0" in said
    said = refusal(convoscope, "data", "preview", photos, "--size", "5000")
    assert "size must be a number from 1 to 1024, got 5000" in said


# -- training -------------------------------------------------------------------------------------


def test_training_says_in_a_line_what_the_check_would_say(
    convoscope: Convoscope, photos: Path, tiny: Path
) -> None:
    grayed(photos / "dog")
    text = tiny.read_text().replace("units: 3", "units: 2")
    tiny.write_text(text)
    words = ("-m", tiny, "-e", "1", "--engine", "numpy", "--no-report", "-o", "run")
    result = convoscope("train", photos, *words)
    assert result.exit_code == 0
    (note,) = [n for n in Run(Path("run")).record().data["notes"] if n.startswith("data check")]
    assert "cat can be told from the rest by " in note
    assert "being gray (100.0 %)" in note
    assert note.endswith(f"see  convoscope data check {photos}")
    assert "\n" not in note
    assert f"note: {note}" in result.stdout
    assert f"note: {note}" in result.stderr


@pytest.mark.slow
def test_mnist_is_clean(convoscope: Convoscope, shared: Callable[[str], Path]) -> None:
    result = convoscope("data", "check", shared("mnist"), "--json", "--no-page")
    content = json.loads(result.stdout)
    assert result.exit_code == 0
    assert content["findings"] == []
    assert content["counts"]["class"]["3"] == {"train": 6131, "test": 1010}
