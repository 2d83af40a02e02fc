from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image
from tests.conftest import MakeImageFolder
from tests.data.conftest import decoded_of

from convoscope.arrays import IntArray
from convoscope.data.cache import Decoded, decode
from convoscope.data.dataset import SPLIT_NAMES, SplitName, take
from convoscope.data.folders import read_folder
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.splits import Splits, make_splits, read_splits, write_splits
from convoscope.errors import DataError, LeakError, SettingsError, StorageError

SMALL = Preprocessing(size=(12, 12))


def counts(splits: Splits) -> dict[str, int]:
    return {split: len(rows) for split, rows in splits.indices.items()}


def ids(decoded: Decoded, splits: Splits) -> Mapping[str, set[str]]:
    names = decoded.dataset.ids
    return {split: {names[row] for row in rows} for split, rows in splits.indices.items()}


def assert_partition(rows: Mapping[SplitName, IntArray], count: int) -> None:
    """Every image is in exactly one split, and each split is ascending."""
    assert tuple(rows) == SPLIT_NAMES
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(count))
    assert all((np.diff(found) > 0).all() for found in rows.values())


# -- made splits ----------------------------------------------------------------------------------

class_sizes = st.lists(st.integers(3, 60), min_size=2, max_size=6)


def labels_of(sizes: list[int]) -> list[int]:
    return [label for label, size in enumerate(sizes) for _ in range(size)]


@given(class_sizes, st.integers(0, 2**31), st.floats(0.05, 0.4), st.floats(0.05, 0.5))
@settings(deadline=None, max_examples=60)
def test_splits_are_disjoint_whole_and_stratified(
    sizes: list[int], seed: int, validation: float, test: float
) -> None:
    decoded = decoded_of(labels_of(sizes))
    splits = make_splits(decoded, seed=seed, validation=validation, test=test)
    assert_partition(splits.indices, sum(sizes))
    labels = decoded.dataset.labels["class"]
    for label, size in enumerate(sizes):
        found = {s: int((labels[rows] == label).sum()) for s, rows in splits.indices.items()}
        assert min(found.values()) >= 1
        # Rounding, with what earlier classes are owed: never a whole image away, but for the 1.
        assert abs(found["test"] - size * test) <= 1
        assert abs(found["validation"] - size * (1 - test) * validation) <= 1
    assert not splits.is_given


@given(class_sizes, st.integers(0, 2**31), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_split_depends_on_the_seed_and_the_ids_not_on_their_order(
    sizes: list[int], seed: int, random: object
) -> None:
    decoded = decoded_of(labels_of(sizes))
    splits = make_splits(decoded, seed=seed)
    order = np.arange(sum(sizes))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = replace(
        decoded,
        dataset=take(decoded.dataset, order),
        facts=type(decoded.facts).from_arrays(
            {name: array[order] for name, array in decoded.facts.arrays().items()}
        ),
    )
    assert ids(decoded, splits) == ids(shuffled, make_splits(shuffled, seed=seed))


def test_another_seed_gives_another_split() -> None:
    decoded = decoded_of([0, 1] * 30)
    first, second = (ids(decoded, make_splits(decoded, seed=seed)) for seed in (0, 1))
    assert first["test"] != second["test"]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=40, max_size=90),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=60)
def test_what_belongs_together_is_kept_in_one_split(
    images: list[tuple[int, int]], seed: int
) -> None:
    labels = [label for label, _ in images] + [0, 1, 2] * 4
    groups = [f"{label}-{group}" for label, group in images] + [f"own{n}" for n in range(12)]
    for decoded in (decoded_of(labels, groups=groups), decoded_of(labels, pixels=groups)):
        splits = make_splits(decoded, seed=seed)
        assert_partition(splits.indices, len(labels))
        where: dict[str, set[str]] = {}
        for split, rows in splits.indices.items():
            for row in rows:
                where.setdefault(groups[row], set()).add(split)
        assert all(len(found) == 1 for found in where.values())
        assert all(
            set(np.array(labels)[rows].tolist()) == {0, 1, 2} for rows in splits.indices.values()
        )


def test_several_heads_are_stratified_together() -> None:
    rng = np.random.default_rng(0)
    shape, colour = rng.integers(0, 4, 960).tolist(), rng.integers(0, 3, 960).tolist()
    decoded = decoded_of({"shape": shape, "colour": colour})
    splits = make_splits(decoded, seed=0)
    whole = Counter(zip(shape, colour, strict=True))
    for split, share in (("train", 0.72), ("validation", 0.08), ("test", 0.2)):
        rows = splits.indices[split]  # type: ignore[index]
        found = Counter((shape[row], colour[row]) for row in rows.tolist())
        assert all(abs(found[key] - share * whole[key]) <= 2 for key in whole)


def test_rare_combinations_of_heads_leave_no_class_out_of_a_split() -> None:
    labels = {"first": [n // 30 for n in range(300)], "second": [n % 30 for n in range(300)]}
    decoded = decoded_of(labels)
    for seed in range(5):
        splits = make_splits(decoded, seed=seed)
        assert_partition(splits.indices, 300)
        for head, classes in (("first", 10), ("second", 30)):
            for split, share in (("validation", 0.08), ("test", 0.2)):
                rows = splits.indices[split]  # type: ignore[index]
                found = np.bincount(decoded.dataset.labels[head][rows], minlength=classes)
                assert found.min() >= 1
                assert np.abs(found - share * 300 / classes).max() <= 4


def test_images_of_unknown_label_are_divided_too() -> None:
    splits = make_splits(decoded_of([0] * 10 + [1] * 10 + [-1] * 10), seed=0)
    assert_partition(splits.indices, 30)


def test_a_share_of_0_makes_no_such_split() -> None:
    decoded = decoded_of([0, 1] * 2)
    assert counts(make_splits(decoded, seed=0, validation=0, test=0.5)) == {
        "train": 2,
        "validation": 0,
        "test": 2,
    }
    assert counts(make_splits(decoded, seed=0, validation=0, test=0))["train"] == 4


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(name: str, share: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be a share of at least 0 and below 1"):
        make_splits(decoded_of([0, 1] * 9), seed=0, **{name: share})  # type: ignore[arg-type]


def test_a_class_with_too_few_images_is_named() -> None:
    with pytest.raises(DataError) as caught:
        make_splits(decoded_of([0] * 9 + [1] * 2), seed=0)
    assert str(caught.value) == (
        "drawn: to be in train, validation and test, a class must have at least 3 different "
        "images, 'class1' (class) has 2: add images, leave the class out, or divide the images "
        "yourself into train, val and test folders"
    )


def test_copies_do_not_count_as_images() -> None:
    decoded = decoded_of([0] * 9 + [1] * 5, pixels=[*"abcdefghi", "x", "x", "x", "y", "y"])
    with pytest.raises(
        DataError,
        match=r"'class1' \(class\) has 5, 2 when those that belong together count once: add images",
    ):
        make_splits(decoded, seed=0)


def test_groups_that_keep_a_class_out_of_a_split_are_told() -> None:
    # Four groups, each without another class: whichever two share a split, two classes miss one.
    labels = [label for without in range(4) for label in range(4) if label != without]
    groups = [name for name in "wxyz" for _ in range(3)]
    with pytest.raises(
        DataError,
        match=r"no image of 'class\d' \(class\) could be put into \w+, as too few do not belong",
    ):
        make_splits(decoded_of(labels, groups=groups), seed=0)


def test_a_class_that_lost_all_its_images_is_told() -> None:
    decoded = decoded_of([0] * 9 + [1] * 9 + [2])
    left = replace(decoded, dataset=take(decoded.dataset, np.arange(18)))
    with pytest.raises(
        DataError, match=r"every class must have images that can be read, 'class2' \(class\) has"
    ):
        make_splits(left, seed=0)


# -- given splits ---------------------------------------------------------------------------------


def given_split(**sizes: int) -> tuple[list[int], list[SplitName]]:
    """Labels of two classes, ``sizes`` images of each class per split."""
    split: list[SplitName] = []
    for name in SPLIT_NAMES:
        split.extend(name for _ in range(2 * sizes.get(name, 0)))
    return [row % 2 for row in range(len(split))], split


def test_a_given_split_is_used_as_it_is() -> None:
    labels, split = given_split(train=3, validation=2, test=4)
    splits = make_splits(decoded_of(labels, split=split), seed=0)
    assert splits.is_given
    assert splits.notes == ()
    for name in SPLIT_NAMES:
        assert splits.indices[name].tolist() == [r for r, s in enumerate(split) if s == name]


def test_a_missing_validation_split_is_held_out_of_train_by_class() -> None:
    labels, split = given_split(train=30, test=10)
    decoded = decoded_of(labels, split=split)
    splits = make_splits(decoded, seed=0)
    assert_partition(splits.indices, 80)
    assert splits.indices["test"].tolist() == list(range(60, 80))
    held_out = decoded.dataset.labels["class"][splits.indices["validation"]]
    assert sorted(held_out.tolist()) == [0, 0, 0, 1, 1, 1]
    assert splits.notes == ("10% of the training images are held out for validation",)
    assert counts(make_splits(decoded, seed=0, validation=0))["validation"] == 0


def test_a_validation_split_without_a_test_split_becomes_the_test_split() -> None:
    labels, split = given_split(train=20, validation=10)
    splits = make_splits(decoded_of(labels, split=split), seed=0)
    assert splits.indices["test"].tolist() == list(range(40, 60))
    assert counts(splits) == {"train": 36, "validation": 4, "test": 20}
    assert splits.notes == (
        "there is no test split: the validation split is used for testing, and for nothing else",
        "10% of the training images are held out for validation",
    )


def test_a_training_split_alone_is_divided() -> None:
    labels, split = given_split(train=25)
    splits = make_splits(decoded_of(labels, split=split), seed=0)
    assert counts(splits) == {"train": 36, "validation": 4, "test": 10}
    assert not splits.is_given
    assert splits.notes == ("there is a training split only, which was divided",)


def test_without_training_images_nothing_can_be_learnt() -> None:
    labels, split = given_split(validation=3, test=3)
    with pytest.raises(
        DataError,
        match="drawn: there must be images to train on, found only images for validation and test",
    ):
        make_splits(decoded_of(labels, split=split), seed=0)


def test_a_class_that_is_tested_but_never_trained_is_named() -> None:
    labels, split = given_split(train=3, validation=3, test=3)
    with pytest.raises(
        DataError,
        match=r"training images, 'class2' \(class\) has images for test alone: add it to train",
    ):
        make_splits(decoded_of([*labels[:-1], 2], split=split), seed=0)


def test_a_class_that_is_trained_but_never_tested_is_noted() -> None:
    labels, split = given_split(train=3, validation=3, test=1)
    splits = make_splits(decoded_of([*labels[:-2], 0, 0], split=split), seed=0)
    assert splits.notes == ("no test image of class1 (class): nothing can be said about it there",)


def test_identical_pixels_in_two_splits_stop_the_job() -> None:
    labels, split = given_split(train=2, validation=2, test=2)
    decoded = decoded_of(labels, split=split, pixels=[*"abca", *"efag", *"aijf"])
    with pytest.raises(LeakError) as caught:
        make_splits(decoded, seed=0)
    assert str(caught.value) == (
        "drawn: no picture may be in two splits, but 3 have the same pixels as one in another: "
        "0000.png and 0006.png; 0000.png and 0008.png; 0005.png and 0011.png: remove one of each, "
        "or go on with --allow-leak, which the report then states"
    )
    allowed = make_splits(decoded, seed=0, allow_leak=True)
    assert allowed.leaks == (
        ("0000.png", "0006.png"),
        ("0000.png", "0008.png"),
        ("0005.png", "0011.png"),
    )
    assert allowed.notes == (
        "3 pictures with the same pixels as one in another split, which was allowed: "
        "figures on them are too good (0000.png and 0006.png)",
    )


def test_of_many_leaks_the_first_are_named() -> None:
    labels, split = given_split(train=5, test=5)
    decoded = decoded_of(labels, split=split, pixels=[*"abcdefghij"] * 2)
    with pytest.raises(LeakError, match=r"but 10 have .*0002\.png and 0012\.png; and 7 more: "):
        make_splits(decoded, seed=0)


def test_copies_inside_one_split_are_no_leak_and_stay_together_when_held_out() -> None:
    labels, split = given_split(train=30, test=5)
    pixels = [f"{row // 4}-{row % 2}" for row in range(60)] + [f"test{n}" for n in range(10)]
    splits = make_splits(decoded_of(labels, split=split, pixels=pixels), seed=0)
    train, held = ({pixels[r] for r in splits.indices[s]} for s in ("train", "validation"))
    assert not train & held


# -- likeness, in real pictures -------------------------------------------------------------------


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Crops of two photographs in two classes, each with a slightly smaller, lossy copy."""
    for number in range(8):
        for name in ("china", "flower"):
            image = Image.fromarray(load_sample_image(f"{name}.jpg"))
            left, top = 55 * number, 30 * number
            crop = image.crop((left, top, left + 180, top + 180))
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            crop.save(tmp_path / "photos" / name / f"{number}.png")
            crop.resize((150, 150)).save(tmp_path / "photos" / name / f"{number}-web.jpg")
    return tmp_path / "photos"


def test_near_duplicates_are_kept_together_where_we_divide(photographs: Path) -> None:
    decoded = decode(read_folder(photographs), preprocessing=SMALL)
    for seed in range(5):
        splits = make_splits(decoded, seed=seed, validation=0.25, test=0.25)
        split_of = {name: s for s, names in ids(decoded, splits).items() for name in names}
        for name, split in split_of.items():
            twin = name.replace("-web.jpg", ".png") if "-web" in name else f"{name[:-4]}-web.jpg"
            assert split_of[twin] == split


def test_near_duplicates_across_given_splits_are_listed(photographs: Path, tmp_path: Path) -> None:
    for file in sorted(photographs.rglob("*.*")):
        split = "test" if "-web" in file.name else "train"
        target = tmp_path / "given" / split / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    splits = make_splits(decode(read_folder(tmp_path / "given"), preprocessing=SMALL), seed=0)
    pairs = {(pair.first, pair.second) for pair in splits.similar}
    expected = {
        (f"train/{name}/{n}.png", f"test/{name}/{n}-web.jpg")
        for name in ("china", "flower")
        for n in range(8)
    }
    assert expected <= pairs
    assert all(0.9 <= pair.correlation <= 1 for pair in splits.similar)
    assert any("look almost the same lie in different splits" in note for note in splits.notes)


def test_the_split_does_not_depend_on_the_size_of_the_network(photographs: Path) -> None:
    dataset = read_folder(photographs)
    sizes = (Preprocessing(size=(8, 8), order="gray"), Preprocessing(size=(64, 48)))
    first, second = (make_splits(decode(dataset, preprocessing=p), seed=3) for p in sizes)
    for split in SPLIT_NAMES:
        assert first.indices[split].tolist() == second.indices[split].tolist()


# -- the file -------------------------------------------------------------------------------------


@pytest.fixture
def decoded(tmp_path: Path, make_image_folder: MakeImageFolder) -> Decoded:
    folder = make_image_folder(tmp_path / "data", ("a, b", "<c>"), per_class=10)
    return decode(read_folder(folder), preprocessing=SMALL)


def test_a_split_is_written_and_read_back(decoded: Decoded, tmp_path: Path) -> None:
    splits = make_splits(decoded, seed=0)
    file = tmp_path / "split.csv"
    write_splits(file, decoded, splits)
    again = read_splits(file, decoded.dataset)
    for split in SPLIT_NAMES:
        assert again.indices[split].tolist() == splits.indices[split].tolist()
        assert again.indices[split].dtype == np.int64
    assert again.notes == ()
    with file.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == ["file", "class", "split", "sha256"]
    assert lines[0]["file"] == decoded.dataset.ids[0]
    assert lines[0]["class"] == "<c>"
    assert lines[0]["sha256"] == decoded.facts.sha256[0]


def test_several_heads_and_unknown_labels_are_written(tmp_path: Path) -> None:
    decoded = decoded_of({"shape": [0, 1, -1] * 12, "colour": [0, 0, 1, 1] * 9})
    file = tmp_path / "split.csv"
    write_splits(file, decoded, make_splits(decoded, seed=0))
    header, _, _, third, *_ = file.read_text().splitlines()
    assert header == "file,shape,colour,split,sha256"
    assert third.startswith("0002.png,,colour1,")


def test_a_split_written_by_hand_needs_two_columns(decoded: Decoded, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    words = ["Training", "val", "test"]
    rows = [f'"{name}",{words[n % 3]}' for n, name in enumerate(decoded.dataset.ids[:6])]
    file.write_text("\ufefffile,split\n" + "\n".join(rows), encoding="utf-8")
    splits = read_splits(file, decoded.dataset)
    assert splits.is_given
    assert {s: rows.tolist() for s, rows in splits.indices.items()} == {
        "train": [0, 3],
        "validation": [1, 4],
        "test": [2, 5],
    }
    assert splits.notes == ("14 images that mine.csv does not name were left out",)


def refusal(file: Path, decoded: Decoded) -> str:
    with pytest.raises(DataError) as caught:
        read_splits(file, decoded.dataset)
    text = str(caught.value)
    assert text.startswith(f"{file}: ")
    return text.removeprefix(f"{file}: ")


@pytest.fixture
def split_file(decoded: Decoded, tmp_path: Path) -> Path:
    file = tmp_path / "split.csv"
    write_splits(file, decoded, make_splits(decoded, seed=0))
    return file


def test_an_image_that_has_changed_is_named(decoded: Decoded, split_file: Path) -> None:
    assert decoded.dataset.files is not None
    with decoded.dataset.files[4].open("ab") as stream:
        stream.write(b"x")
    assert refusal(split_file, decoded) == (
        "images must be the bytes they were when they were divided, 1 of 20 have changed: "
        f"{decoded.dataset.ids[4]}: put them back, or divide again"
    )


def test_an_image_that_cannot_be_read_any_more_is_named(decoded: Decoded, split_file: Path) -> None:
    assert decoded.dataset.files is not None
    decoded.dataset.files[4].unlink()
    assert "the system says 'No such file" in refusal(split_file, decoded)


def test_images_that_are_missing_are_named(decoded: Decoded, split_file: Path) -> None:
    fewer = replace(decoded, dataset=take(decoded.dataset, np.arange(5, 20)))
    message = refusal(split_file, fewer)
    assert "5 of 20 are not there: <c>/<c>_0.png, <c>/<c>_1.png, <c>/<c>_2.png and 2 m" in message
    assert message.endswith(": put them back, or divide again")


def test_an_image_with_another_label_is_named(decoded: Decoded, split_file: Path) -> None:
    labels = {"class": 1 - decoded.dataset.labels["class"]}
    relabelled = replace(decoded, dataset=replace(decoded.dataset, labels=labels))
    assert refusal(split_file, relabelled) == (
        "file '<c>/<c>_0.png': its class must be what it was when the images were divided, "
        "'<c>', it is now 'a, b': put it back, or divide again"
    )


def test_an_image_listed_twice_is_named(decoded: Decoded, split_file: Path) -> None:
    text = split_file.read_text(encoding="utf-8")
    split_file.write_text(text + text.splitlines()[1] + "\n", encoding="utf-8")
    assert "in one split only, 1 are listed more than once: <c>/<c>_0.png: keep one" in refusal(
        split_file, decoded
    )


def test_files_that_are_no_split_are_refused(decoded: Decoded, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    assert refusal(file, decoded) == (
        "a split must be a CSV file in UTF-8 that can be read, the system said "
        "No such file or directory: check the path"
    )
    file.write_bytes(b"\xff\xfe\x00")
    assert "must be a CSV file in UTF-8" in refusal(file, decoded)
    file.write_text("name,part\n")
    assert refusal(file, decoded) == (
        "a split file must have the columns file and split, got name, part: "
        "name the columns in its first line"
    )
    file.write_text("")
    assert "got none: name the columns" in refusal(file, decoded)
    file.write_text(f"file,split\n{decoded.dataset.ids[0]},sometimes\n")
    assert refusal(file, decoded) == (
        f"file '{decoded.dataset.ids[0]}': split must be one of train, validation, test, "
        "got 'sometimes': mend that line"
    )
    file.write_text(f"file,split\n{decoded.dataset.ids[0]}\n")
    assert "got ''" in refusal(file, decoded)


def test_a_split_that_cannot_be_written_is_one_sentence(decoded: Decoded, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StorageError, match="the folder must be writable"):
        write_splits(tmp_path / "run" / "split.csv", decoded, make_splits(decoded, seed=0))
