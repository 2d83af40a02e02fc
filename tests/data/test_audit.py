"""The check on made folders with each fault planted, and on real data where it is at hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from convoscope.arrays import Array, generator
from convoscope.data.audit import Audit, audit, quick_findings
from convoscope.data.cache import decode
from convoscope.data.dataset import SplitName
from convoscope.data.findings import Finding, Kind, counted, listed
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.sources import open_dataset

FACTS_ALONE = Preprocessing(size=(1, 1), order="gray")


def checked(root: Path, *, split: dict[SplitName, Array] | None = None) -> Audit:
    return audit(
        decode(open_dataset(root), preprocessing=FACTS_ALONE, skip_unreadable=True), split=split
    )


def of_kind(found: Audit, kind: Kind) -> Finding:
    """The one finding of that kind."""
    (finding,) = [finding for finding in found.findings if finding.kind == kind]
    return finding


def kinds(found: Audit) -> set[str]:
    return {finding.kind for finding in found.findings}


def photo(*purpose: str | int, size: tuple[int, int] = (80, 72)) -> Image.Image:
    """A smooth coloured picture (width, height) that is like no other."""
    coarse = generator(0, "photo", *purpose).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save(picture: Image.Image, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return file


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of twelve pictures with nothing wrong."""
    return draw(tmp_path / "photos", [""])


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """The same, twelve a class in each of train and test."""
    return draw(tmp_path / "divided", ["train", "test"])


def draw(root: Path, splits: list[str], each: int = 12) -> Path:
    for split in splits:
        for name in ("cat", "dog"):
            for number in range(each):
                save(photo(split, name, number), root / split / name / f"{number}.png")
    return root


def test_nothing_is_found_where_nothing_is_planted(photos: Path, divided: Path) -> None:
    for root in (photos, divided):
        assert checked(root).findings == ()


def test_it_says_among_which_pictures_near_duplicates_are_not_looked_for(photos: Path) -> None:
    assert checked(photos).notes == ()
    save(photo("little", size=(80, 63)), photos / "cat" / "little.png")
    assert checked(photos).notes == (
        "near-duplicates are looked for among pictures of 64 and more pixels a side, 1 of 25 are "
        "smaller",
    )


def test_an_unreadable_file_is_told_with_its_reason_and_the_others_are_checked(
    photos: Path,
) -> None:
    (photos / "cat" / "3.png").write_bytes(b"")
    found = checked(photos)
    finding = of_kind(found, "unreadable")
    assert (finding.severity, finding.count) == ("wrong", 1)
    assert [group.ids for group in finding.groups] == [("cat/3.png",)]
    assert finding.sentence == (
        "1 picture cannot be read (cat/3.png: the file is empty (0 bytes)): mend or remove them, "
        "or train without them with --skip-unreadable"
    )
    assert (found.files, found.images) == (24, 23)
    assert found.counts == {"class": {"cat": {"all": 11}, "dog": {"all": 12}}}


def test_a_copy_in_its_own_class_is_worth_a_look(photos: Path) -> None:
    shutil.copy(photos / "cat" / "3.png", photos / "cat" / "copy.png")
    Image.open(photos / "dog" / "2.png").save(photos / "dog" / "other.bmp")
    finding = of_kind(checked(photos), "duplicate")
    assert (finding.severity, finding.count) == ("look", 2)
    assert {(group.caption, group.ids) for group in finding.groups} == {
        ("the same file", ("cat/3.png", "cat/copy.png")),
        ("the same pixels in different files", ("dog/2.png", "dog/other.bmp")),
    }
    assert finding.sentence == (
        "2 pictures are there more than once with the same label (cat/3.png and cat/copy.png): "
        "each counts double; keep one of each"
    )


def test_a_copy_in_another_class_contradicts(photos: Path) -> None:
    shutil.copy(photos / "cat" / "3.png", photos / "dog" / "copy.png")
    found = checked(photos)
    finding = of_kind(found, "conflict")
    assert finding in found.wrong
    assert finding.groups[0].ids == ("cat/3.png", "dog/copy.png")
    assert finding.sentence == (
        "1 picture carries two different labels (cat/3.png and dog/copy.png): one of them must be "
        "wrong; keep the right one"
    )
    assert kinds(found) == {"conflict"}


def test_an_unknown_label_contradicts_nothing(photos: Path) -> None:
    shutil.copy(photos / "cat" / "3.png", photos / "dog" / "copy.png")
    decoded = decode(open_dataset(photos), preprocessing=FACTS_ALONE)
    labels = decoded.dataset.labels["class"].copy()
    labels[decoded.dataset.ids.index("dog/copy.png")] = -1
    unknown = replace(decoded, dataset=replace(decoded.dataset, labels={"class": labels}))
    assert kinds(audit(unknown)) == {"duplicate"}


def test_a_copy_in_another_split_is_a_leak(divided: Path) -> None:
    shutil.copy(divided / "train" / "cat" / "3.png", divided / "test" / "cat" / "copy.png")
    found = checked(divided)
    finding = of_kind(found, "leak")
    assert finding in found.wrong
    assert finding.sentence == (
        "1 picture is in two splits (train/cat/3.png and test/cat/copy.png): the network is tested "
        "on what it has learnt by heart, and its figures are too good; keep one of each"
    )
    assert kinds(found) == {"leak"}


def test_a_copy_in_another_split_with_another_label_is_both(divided: Path) -> None:
    shutil.copy(divided / "train" / "cat" / "3.png", divided / "test" / "dog" / "copy.png")
    assert kinds(checked(divided)) == {"leak", "conflict"}


def brightened(source: Path, target: Path, factor: float = 1.1) -> None:
    """Nearly the same picture: a little brighter and smaller, as a JPEG."""
    with Image.open(source) as picture:
        changed = ImageEnhance.Brightness(picture.resize((70, 66))).enhance(factor)
    changed.save(target, quality=80)


def test_near_duplicates_are_worth_a_look_in_one_class_and_across_classes(photos: Path) -> None:
    brightened(photos / "cat" / "3.png", photos / "cat" / "again.jpg")
    brightened(photos / "cat" / "5.png", photos / "dog" / "again.jpg")
    found = checked(photos)
    assert kinds(found) == {"near_duplicate", "near_conflict"}
    assert found.wrong == ()
    alike, unlike = of_kind(found, "near_duplicate"), of_kind(found, "near_conflict")
    assert alike.groups[0].ids == ("cat/3.png", "cat/again.jpg")
    assert unlike.groups[0].ids == ("cat/5.png", "dog/again.jpg")
    assert alike.sentence == (
        "1 group of pictures looks almost the same (cat/3.png and cat/again.jpg): they count as "
        "several but teach little more than one; where convoscope divides, they stay in one split"
    )
    assert unlike.sentence == (
        "1 pair of pictures that look almost the same carries different labels (cat/5.png and "
        "dog/again.jpg): look whether both labels are right"
    )


def test_near_duplicates_across_splits_are_wrong(divided: Path) -> None:
    brightened(divided / "train" / "cat" / "3.png", divided / "test" / "cat" / "again.jpg")
    found = checked(divided)
    finding = of_kind(found, "near_leak")
    assert finding in found.wrong
    assert finding.groups[0].ids == ("train/cat/3.png", "test/cat/again.jpg")
    assert finding.groups[0].caption.endswith("correlated")
    assert finding.sentence == (
        "1 pair of pictures that look almost the same lies in different splits (train/cat/3.png "
        "and test/cat/again.jpg): the network is tested on what it has nearly seen, and its "
        "figures are too good; put both into the same split"
    )


def test_near_duplicates_of_near_duplicates_are_one_group(photos: Path) -> None:
    for number in range(4):
        again = photos / "dog" / f"again{number}.jpg"
        brightened(photos / "dog" / "7.png", again, 0.9 + 0.05 * number)
    finding = of_kind(checked(photos), "near_duplicate")
    assert [len(group.ids) for group in finding.groups] == [5]


def test_a_group_in_two_splits_is_wrong_and_names_an_image_of_each(divided: Path) -> None:
    decoded = decode(open_dataset(divided), preprocessing=FACTS_ALONE)
    names = [Path(id_).stem for id_ in decoded.dataset.ids]
    patients = tuple(f"patient {name}" if name in "57" else f"p{k}" for k, name in enumerate(names))
    found = audit(replace(decoded, dataset=replace(decoded.dataset, groups=patients)))
    assert kinds(found) == {"group_leak"}
    finding = of_kind(found, "group_leak")
    assert finding in found.wrong
    assert [group.caption for group in finding.groups] == ["patient 5", "patient 7"]
    assert finding.groups[0].ids == (
        "train/cat/5.png",
        "test/cat/5.png",
        "train/dog/5.png",
        "test/dog/5.png",
    )
    assert finding.sentence == (
        "2 groups are in several splits (patient 5: train/cat/5.png and test/cat/5.png): the "
        "network is tested on what belongs to pictures that it has learnt, and its figures are too "
        "good; put each group into one split"
    )


def test_another_split_than_the_datas_own_is_checked_instead(divided: Path) -> None:
    shutil.copy(divided / "train" / "cat" / "3.png", divided / "test" / "cat" / "copy.png")
    rows = np.arange(49)
    none = rows[:0]
    together = checked(divided, split={"train": rows, "validation": none, "test": none})
    assert kinds(together) == {"duplicate"}
    left_out: dict[SplitName, Array] = {"train": rows[:24], "validation": none, "test": none}
    assert checked(divided, split=left_out).counts["class"]["cat"] == {"train": 12}


def grayed(folder: Path) -> None:
    for file in folder.iterdir():
        with Image.open(file) as picture:
            picture.convert("L").save(file)


def test_a_gray_class_is_given_away_with_examples_of_both_sides(tmp_path: Path) -> None:
    root = draw(tmp_path / "gray", [""], each=30)
    grayed(root / "dog")
    found = checked(root)
    finding = of_kind(found, "shortcut")
    assert finding in found.wrong
    assert finding.head == "class"
    clue = next(clue for clue in finding.clues if clue.shortcut.trait == "gray")
    assert clue.shortcut.accuracy.value == 1
    assert clue.histogram.of_class == (30, 0)
    assert clue.histogram.others == (0, 30)
    assert clue.sentence.startswith(
        "every picture of cat is in colour, none of the others, which is right in 100.0 % of cases"
    )
    cats, others = finding.groups
    assert all(name.startswith("cat/") for name in cats.ids)
    assert all(name.startswith("dog/") for name in others.ids)
    assert finding.sentence.startswith(
        "cat can be told from the rest without a look at what is shown: "
    )


def test_a_narrow_class_is_given_away_by_its_width(tmp_path: Path) -> None:
    root = tmp_path / "narrow"
    for kind, name in enumerate(("ant", "bee", "owl")):
        for number in range(30):
            wide = 70 if name == "owl" else 90 + (kind + number) % 20
            size = (wide, 66 + number % 20)
            save(photo(name, number, size=size), root / name / f"{number}.png")
    finding = of_kind(checked(root), "shortcut")
    (clue,) = [clue for clue in finding.clues if clue.shortcut.trait == "width"]
    assert clue.shortcut.class_name == "owl"
    assert clue.sentence.startswith("its width is about 70 px, that of the others 97 px")
    assert sum(clue.histogram.of_class) == 30
    assert sum(clue.histogram.others) == 60


def test_each_head_has_its_own_counts_and_shortcuts(tmp_path: Path) -> None:
    root = draw(tmp_path / "heads", [""], each=30)
    grayed(root / "dog")
    decoded = decode(open_dataset(root), preprocessing=FACTS_ALONE)
    odd = np.arange(60) % 2
    two = replace(
        decoded.dataset,
        labels={"kind": decoded.dataset.labels["class"], "parity": odd},
        class_names={"kind": ("cat", "dog"), "parity": ("even", "odd")},
    )
    found = audit(replace(decoded, dataset=two))
    assert of_kind(found, "shortcut").head == "kind"
    assert found.counts["parity"] == {"even": {"all": 30}, "odd": {"all": 30}}
    assert set(found.shortcuts) == {"kind", "parity"}
    assert not any(shortcut.is_suspicious for shortcut in found.shortcuts["parity"])


def test_rare_classes_and_imbalance_are_worth_a_look(photos: Path) -> None:
    for number in range(4, 12):
        (photos / "dog" / f"{number}.png").unlink()
    found = checked(photos)
    assert kinds(found) == {"few_images", "imbalance"}
    assert found.wrong == ()
    assert of_kind(found, "few_images").sentence == (
        "class dog is of fewer than 10 pictures: too few to learn from and to be tested on"
    )
    assert of_kind(found, "imbalance").sentence == (
        "cat has 12 pictures, dog 4, 3.0 times fewer: read the balanced accuracy beside the plain "
        "one, and try --class-weights balanced"
    )


def test_a_class_that_is_tested_only_is_wrong_and_one_that_is_not_tested_is_not(
    divided: Path,
) -> None:
    shutil.move(divided / "train" / "dog", divided / "train" / "owl")
    found = checked(divided)
    assert kinds(found) >= {"untrained_class", "untested_class"}
    wrong, look = of_kind(found, "untrained_class"), of_kind(found, "untested_class")
    assert (wrong.severity, look.severity) == ("wrong", "look")
    assert wrong.sentence == (
        "class dog is in test but not in train: nobody can name what was never shown; add pictures "
        "of it to train, or remove it there"
    )
    assert look.sentence == (
        "class owl is in train but not in test: nothing can be said about it there"
    )


@pytest.mark.parametrize(
    ("size", "kind", "says"),
    [
        ((5, 7), "tiny", "1 picture is smaller than 8 pixels on a side, where nothing can be"),
        ((800, 720), "size", "1 picture is over 4 times larger or smaller than most, which are"),
        ((320, 72), "aspect", "1 picture is over 3 times narrower or wider than most, which a"),
    ],
)
def test_odd_sizes_are_worth_a_look(
    photos: Path, size: tuple[int, int], kind: Kind, says: str
) -> None:
    save(photo("odd", size=size), photos / "cat" / "odd.png")
    found = checked(photos)
    assert kinds(found) == {kind}
    assert found.wrong == ()
    finding = of_kind(found, kind)
    assert finding.sentence.startswith(says)
    assert finding.sentence.endswith(f"(such as cat/odd.png, {size[0]} x {size[1]})")


def test_a_few_pictures_of_another_mode_are_worth_a_look(photos: Path) -> None:
    see_through = photo("see-through").convert("RGBA")
    see_through.putalpha(120)
    save(see_through, photos / "cat" / "rgba.png")
    finding = of_kind(checked(photos), "mode")
    assert finding.severity == "look"
    assert finding.sentence == (
        "1 picture is transparent, read over white, unlike nearly all others (such as "
        "cat/rgba.png, RGBA)"
    )


def test_the_object_adds_up_and_names_everything(divided: Path) -> None:
    shutil.copy(divided / "train" / "cat" / "3.png", divided / "test" / "cat" / "copy.png")
    content = checked(divided).to_json()
    assert content["is_clean"] is False
    assert content["images"] == content["files"] == 49
    counts = content["counts"]["class"]
    assert sum(sum(of_class.values()) for of_class in counts.values()) == 49
    assert counts["cat"] == {"train": 12, "test": 13}
    assert content["width"] == {"least": 80, "median": 80, "largest": 80}
    assert content["modes"] == {"RGB": 49}
    (finding,) = content["findings"]
    assert finding["groups"][0]["ids"] == ["train/cat/3.png", "test/cat/copy.png"]
    best = content["shortcuts"]["class"][0]
    assert set(best) >= {"trait", "class", "accuracy", "median", "median_of_others"}


def test_a_quick_look_finds_conflicts_and_shortcuts_alone(tmp_path: Path) -> None:
    root = draw(tmp_path / "both", [""], each=30)
    grayed(root / "dog")
    shutil.copy(root / "cat" / "3.png", root / "dog" / "copy.png")
    shutil.copy(root / "cat" / "4.png", root / "cat" / "copy.png")
    decoded = decode(open_dataset(root), preprocessing=FACTS_ALONE)
    quick = list(quick_findings(decoded.dataset, decoded.facts))
    whole = audit(decoded)
    assert [finding.kind for finding in quick] == ["conflict", "shortcut"]
    assert [finding for finding in whole.findings if finding.kind in ("conflict", "shortcut")] == (
        quick
    )


def test_names_and_numbers_as_people_write_them() -> None:
    assert counted(1, "picture") == "1 picture"
    assert counted(1250, "class", "classes") == "1,250 classes"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


@pytest.mark.slow
def test_every_car_is_gray_and_pianos_are_in_two_splits(shared: Callable[[str], Path]) -> None:
    found = checked(shared("caltech5"))
    finding = of_kind(found, "shortcut")
    clues = {clue.shortcut.trait: clue for clue in finding.clues}
    assert {clue.shortcut.class_name for clue in finding.clues} == {"car_side"}
    assert clues["gray"].sentence.startswith("every picture of car_side is gray, 2 % of the others")
    assert clues["gray"].shortcut.accuracy.value == pytest.approx(0.99, abs=0.01)
    assert "near_leak" in {wrong.kind for wrong in found.wrong}


@pytest.mark.slow
def test_the_width_gives_leopards_away(shared: Callable[[str], Path]) -> None:
    finding = of_kind(checked(shared("animals3")), "shortcut")
    clues = {clue.shortcut.trait: clue for clue in finding.clues}
    assert {clue.shortcut.class_name for clue in finding.clues} == {"Leopards"}
    assert clues["width"].shortcut.accuracy.value == pytest.approx(0.99, abs=0.01)


@pytest.mark.slow
def test_natural_classes_have_no_shortcut_and_are_unequal(shared: Callable[[str], Path]) -> None:
    found = checked(shared("nature10"))
    assert found.wrong == ()
    assert "imbalance" in kinds(found)
