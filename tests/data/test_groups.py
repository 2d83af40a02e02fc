"""What belongs together: columns, folders and patterns become groups, and groups stay whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import draw_folder

from convoscope.arrays import ByteArray, IntArray
from convoscope.data.cache import decode
from convoscope.data.dataset import Dataset, SplitName
from convoscope.data.groups import check_whole, grouped, is_column, pattern, torn
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.sources import open_dataset
from convoscope.data.splits import make_splits
from convoscope.errors import DataError, LeakError, SettingsError, UnknownNameError


def of_ids(*ids: str, groups: tuple[str, ...] | None = None) -> Dataset:
    labels = np.arange(len(ids), dtype=np.int64) % 2
    return Dataset(
        name="pets",
        root=None,
        ids=ids,
        labels={"class": labels},
        class_names={"class": ("cat", "dog")},
        groups=groups,
    )


PETS = of_ids("cat/rex7_1.png", "dog/rex7_2.png", "cat/tom_1.png", "dog/old/ada_10.png")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (r"/([a-z]+\d*)_", ("rex7", "rex7", "tom", "ada")),
        ("*_", ("rex7", "rex7", "tom", "ada")),
        ("_?.*g", ("pn", "pn", "pn", "\0dog/old/ada_10.png")),
        ("folder", ("cat", "dog", "cat", "dog/old")),
    ],
)
def test_a_pattern_or_the_folder_names_the_groups(word: str, expected: tuple[str, ...]) -> None:
    assert grouped(PETS, word).groups == expected


def test_images_without_the_pattern_are_alone_and_a_note_says_so() -> None:
    found = grouped(PETS, "rex*_")
    assert found.groups == ("7", "7", "\0cat/tom_1.png", "\0dog/old/ada_10.png")
    assert found.notes == (
        "4 images are 3 groups by 'rex*_', the largest has 2; each group stays in one split",
        "'rex*_' is not found in 2 of 4 images: each is a group of its own",
    )


def test_a_glob_star_stops_at_a_slash_and_signs_mean_themselves() -> None:
    assert pattern("a.*_").search("x/aXb_1") is None
    assert pattern("a.*_").search("x/a.b/c_1") is None
    found = pattern("a.*_").search("x/a.b_1_2")
    assert found is not None
    assert found.group(1) == "b"


@pytest.mark.parametrize("word", ["patient", "patient_id", "Patient 1", "über.all"])
def test_plain_words_are_columns(word: str) -> None:
    assert is_column(word)


@pytest.mark.parametrize("word", ["folder", "p(.)", "p*_", r"p\d", "p?"])
def test_the_folder_and_patterns_are_no_columns(word: str) -> None:
    assert not is_column(word)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("*_*", r"must have one \* where the group's name stands, got 2: write one"),
        ("rex?", r"must have one \* where the group's name stands, got 0"),
        (r"rex\d+", "must have one pair of parentheses around what names the group, got 0"),
        (r"(r)(e)x", "parentheses around what names the group, got 2: write it like"),
        (r"(?:r)e+x", r"got 0: .* \(\?:...\) does not count"),
        ("(rex", "must be a regular expression, reading it gave missing .*: mend it"),
        ("animal", "only a table has columns, pets is none: say folder, or a pattern such as"),
    ],
)
def test_a_word_that_asks_for_no_grouping_is_refused(word: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        grouped(PETS, word)


def test_a_pattern_that_is_found_nowhere_is_refused() -> None:
    with pytest.raises(DataError, match=r"it is in none of 4, such as 'cat/rex7_1.png': mend it"):
        grouped(PETS, "frame*_")


def test_groups_of_one_image_each_are_refused() -> None:
    with pytest.raises(DataError, match="each of 4 is a group of its own: leave it out"):
        grouped(PETS, "/(.+)")


# -- tables ---------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve images of three classes, two of each animal; a table that names them."""
    draw_folder(tmp_path, per_class=12)
    lines = ["path,label,owner"]
    for kind in ("bars", "poles", "disc"):
        lines += [f"{kind}/{kind}_{n}.png,{kind},{kind}-{n // 2}" for n in range(12)]
    file = tmp_path / "animals.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_column_of_a_table_names_the_groups(table: Path) -> None:
    dataset = open_dataset(table, group_by="owner")
    assert dataset.groups is not None
    assert len(set(dataset.groups)) == 18
    assert set(dataset.labels) == {"class"}


def test_a_misspelt_column_names_the_nearest(table: Path) -> None:
    with pytest.raises(UnknownNameError, match="no column 'ownr': did you mean 'owner'"):
        open_dataset(table, group_by="ownr")


def test_a_pattern_works_on_a_table_too(table: Path) -> None:
    dataset = open_dataset(table, group_by=r"/(\w+_\d)")
    assert dataset.groups is not None
    assert dataset.groups[:2] == ("bars_0", "bars_1")
    assert dataset.groups[10] == "bars_1"


# -- splits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits_and_every_class_in_each(table: Path, seed: int) -> None:
    dataset = open_dataset(table, group_by="owner")
    decoded = decode(dataset, preprocessing=Preprocessing(size=(8, 8)))
    splits = make_splits(decoded, seed=seed)
    assert torn(decoded.dataset, splits.indices) == ()
    for rows in splits.indices.values():
        assert set(decoded.dataset.labels["class"][rows]) == {0, 1, 2}
    assert sorted(np.concatenate(list(splits.indices.values()))) == list(range(36))


def test_a_class_with_too_few_groups_is_refused(table: Path) -> None:
    dataset = open_dataset(table, group_by="folder")
    decoded = decode(dataset, preprocessing=Preprocessing(size=(8, 8)))
    with pytest.raises(DataError, match="has 12, 1 when those that belong together count once"):
        make_splits(decoded, seed=0)


def test_twins_join_the_groups_of_both() -> None:
    """Animals a and b share one picture, so all images of both stay together."""
    rng = np.random.default_rng(0)
    pixels: ByteArray = rng.integers(0, 256, size=(24, 16, 16, 3), dtype=np.uint8)
    pixels[13] = pixels[0]
    names = [f"{'ab'[n // 12] if n % 12 < 3 else n}" for n in range(24)]
    dataset = Dataset(
        name="twins",
        root=None,
        ids=tuple(f"image/{n:02d}" for n in range(24)),
        labels={"class": np.repeat(np.array([0, 1], np.int64), 12)},
        class_names={"class": ("cat", "dog")},
        pixels=pixels,
        groups=tuple(names),
    )
    decoded = decode(dataset, preprocessing=Preprocessing(size=(16, 16)))
    for seed in range(5):
        splits = make_splits(decoded, seed=seed)
        homes = {
            split
            for split, rows in splits.indices.items()
            if set(rows.tolist()) & {0, 1, 2, 12, 13, 14}
        }
        assert len(homes) == 1


def given(**rows: list[int]) -> Mapping[SplitName, IntArray]:
    found: dict[SplitName, IntArray] = {"train": np.array(rows["train"], np.int64)}
    found["test"] = np.array(rows["test"], np.int64)
    return found


def test_a_split_that_tears_a_group_apart_is_refused_or_noted() -> None:
    dataset = grouped(PETS, "*_")
    assert check_whole(dataset, given(train=[0, 1], test=[2, 3]), allow_leak=False) == ()
    with pytest.raises(LeakError, match="the images of 'rex7' are in several: put each group"):
        check_whole(dataset, given(train=[0, 2], test=[1, 3]), allow_leak=False)
    (note,) = check_whole(dataset, given(train=[0, 2], test=[1, 3]), allow_leak=True)
    assert note.startswith("images of 1 group are in more than one split, which was allowed")


def test_folders_for_splits_that_tear_a_group_apart_are_refused(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "shapes", splits={"train": 4, "val": 2, "test": 2})
    decoded = decode(
        open_dataset(root, group_by=r"(\w+_\d)\."), preprocessing=Preprocessing(size=(8, 8))
    )
    with pytest.raises(LeakError, match=r"a group must be in one split, .* and 3 more are in sev"):
        make_splits(decoded, seed=0)
    notes = make_splits(decoded, seed=0, allow_leak=True).notes
    assert any(note.startswith("images of 6 groups are in more than one split") for note in notes)
