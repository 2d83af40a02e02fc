"""Which part of a named set is asked for, checked against counts made by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoscope.data.catalogue.choice import Choice, choose, is_named, parse
from convoscope.data.catalogue.table import NAMED
from convoscope.data.dataset import Dataset, SplitName
from convoscope.errors import DataError, SettingsError, UnknownNameError

NAMES = ("a", "b", "c")


def images(*labels: int, copies: int = 0) -> Dataset:
    """An image for each label, each with pixels of its own; the first one ``copies`` times more."""
    every = (*labels, *(labels[0],) * copies)
    pixels = np.arange(len(every) * 4, dtype=np.uint8).reshape(-1, 2, 2, 1)
    pixels[len(labels) :] = pixels[0]
    unsplit = Dataset(
        name="drawn",
        root=None,
        ids=tuple(f"{number:03}" for number in range(len(every))),
        labels={"class": np.array(every, np.int64)},
        class_names={"class": NAMES},
        pixels=pixels,
    )
    given: list[SplitName] = ["train"] * len(every)
    return replace(unsplit, given_split=tuple(given))


def chosen(words: str, dataset: Dataset) -> Dataset:
    choice = parse(words)
    assert choice is not None
    return choose(dataset, choice)


def per_class(dataset: Dataset) -> dict[tuple[str, int], int]:
    """Images per split and class."""
    assert dataset.given_split is not None
    labels = dataset.labels["class"].tolist()
    return dict(Counter(zip(dataset.given_split, labels, strict=True)))


def test_all_of_the_words_are_understood() -> None:
    assert parse("caltech101: ketch , bonsai@50/10/20#7") == Choice(
        words="caltech101: ketch , bonsai@50/10/20#7",
        named=NAMED["caltech101"],
        classes=("ketch", "bonsai"),
        counts={"train": 50, "validation": 10, "test": 20},
        seed=7,
    )
    bare = parse("mnist")
    assert bare is not None
    assert (bare.classes, bare.counts, bare.seed) == ((), None, 0)


def test_a_path_is_no_named_set() -> None:
    assert parse("./mnist") is None
    assert parse("photos") is None
    assert is_named("mnist@42000/28000")
    assert not is_named("photos:new")
    assert not is_named("")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("mnist@60000", "mnist@60000: after @ there must be numbers of images, TRAIN/TEST or TRA"),
        ("mnist@a/b", r"after @ there must be numbers .* got 'a/b': write such as @50/10/20"),
        ("mnist@1/2/3/4", "got '1/2/3/4'"),
        ("mnist@0/10", "there must be images to train on, got '0/10': ask for at least one"),
        ("mnist:", "after : there must be names of classes with commas between them, got ''"),
        ("mnist:1,,2", "got '1,,2': leave out the colon for all classes"),
        ("mnist@5/5#x", "after # there must be a seed, a whole number, for the numbers after @"),
        ("mnist#1", "after # there must be a seed, a whole number, for the numbers after @: write"),
    ],
)
def test_words_that_cannot_be_understood_are_one_sentence(words: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(words)


def test_chosen_classes_keep_their_order_and_the_given_split() -> None:
    dataset = images(0, 1, 2, 2, 1)
    part = chosen("caltech101:c,a", dataset)
    assert part.class_names == {"class": ("a", "c")}
    assert part.labels["class"].tolist() == [0, 1, 1]
    assert part.ids == ("000", "002", "003")
    assert part.given_split == ("train",) * 3


def test_an_unknown_class_is_told_with_the_nearest() -> None:
    dataset = replace(images(0, 1, 2), class_names={"class": ("ketch", "bonsai", "crab")})
    with pytest.raises(
        UnknownNameError, match="no class of caltech101 'bonsay': did you mean 'bonsai'"
    ):
        chosen("caltech101:ketch,bonsay", dataset)
    with pytest.raises(
        DataError, match="at least two classes to tell apart, got one: name another"
    ):
        chosen("caltech101:ketch", dataset)


def test_so_many_images_of_each_class() -> None:
    part = chosen("caltech101@2/1/1", images(*[0] * 4, *[1] * 9, *[2] * 5))
    wanted = {"train": 2, "validation": 1, "test": 1}
    assert per_class(part) == {(split, k): n for split, n in wanted.items() for k in range(3)}
    assert part.notes == (
        "4 images of each class of caltech101 were chosen with seed 0: 2 for train, "
        "1 for validation, 1 for test",
    )


def test_so_many_images_in_all_as_the_classes_are_frequent() -> None:
    part = chosen("mnist@12/6", images(*[0] * 3, *[1] * 6, *[2] * 9))
    assert per_class(part) == {
        ("train", 0): 2,
        ("train", 1): 4,
        ("train", 2): 6,
        ("test", 0): 1,
        ("test", 1): 2,
        ("test", 2): 3,
    }


@given(
    sizes=st.lists(st.integers(1, 30), min_size=3, max_size=3),
    parts=st.tuples(st.integers(1, 30), st.integers(0, 30), st.integers(0, 30)),
    seed=st.integers(0, 3),
)
def test_numbers_in_all_are_exact_and_each_class_is_off_by_two_at_most(
    sizes: list[int], parts: tuple[int, int, int], seed: int
) -> None:
    dataset = images(*np.repeat(np.arange(3), sizes).tolist())
    total = sum(parts)
    words = f"mnist@{'/'.join(map(str, parts))}#{seed}"
    if total > len(dataset):
        with pytest.raises(DataError, match=f"{total} images in all are asked for, there are"):
            chosen(words, dataset)
        return
    part = chosen(words, dataset)
    found = per_class(part)
    assert len(set(part.ids)) == total
    for split, count in zip(("train", "validation", "test"), parts, strict=True):
        of_split = [found.get((split, k), 0) for k in range(3)]
        assert sum(of_split) == count
        for number, size in zip(of_split, sizes, strict=True):
            assert abs(number - count * size / len(dataset)) <= 2


def test_the_choice_depends_on_its_seed_and_the_names_alone() -> None:
    dataset = images(*[0] * 20, *[1] * 20, *[2] * 20)
    first, again, other = (chosen(f"mnist@30/15#{s}", dataset) for s in (1, 1, 2))
    assert first.ids == again.ids
    assert first.given_split == again.given_split
    assert (first.ids, first.given_split) != (other.ids, other.given_split)


def test_identical_images_stay_in_one_split() -> None:
    dataset = images(*[0] * 8, *[1] * 12, *[2] * 12, copies=4)
    for seed in range(5):
        part = chosen(f"caltech101@7/5#{seed}", dataset)
        assert part.given_split is not None
        assert part.pixels is not None
        twins = {
            split
            for split, pixels in zip(part.given_split, part.pixels, strict=True)
            if (pixels == dataset.pixels[0]).all()  # type: ignore[index]
        }
        assert len(twins) == 1


def test_numbers_that_identical_images_prevent_are_one_sentence() -> None:
    dataset = images(0, 1, 1, 1, 1, 2, 2, 2, 2, copies=3)
    with pytest.raises(
        DataError, match=r"identical images must stay in one split, .* few images l"
    ):
        chosen("caltech101@2/2", dataset)


def test_more_images_than_there_are_is_one_sentence() -> None:
    with pytest.raises(
        DataError, match=r"caltech101@3/1: 4 images of 'b' are asked for, there are 3: ask for few"
    ):
        chosen("caltech101@3/1", images(*[0] * 4, *[1] * 3, *[2] * 4))


def test_a_set_with_several_heads_is_taken_whole() -> None:
    dataset = images(0, 1, 2)
    two = replace(
        dataset,
        labels=dict.fromkeys(("x", "y"), dataset.labels["class"]),
        class_names=dict.fromkeys(("x", "y"), NAMES),
    )
    for words in ("mnist:a,b", "mnist@1/1"):
        with pytest.raises(
            DataError, match="a set with one label for each image, this one has x, y"
        ):
            chosen(words, two)
