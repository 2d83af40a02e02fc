"""Folds: each image tested once, groups whole, classes spread as evenly as groups allow."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold
from tests.conftest import draw_folder

from convoscope.arrays import Array, IntArray, generator
from convoscope.data.cache import Decoded, decode
from convoscope.data.dataset import Dataset
from convoscope.data.folds import fold_of_each, is_divided_as_in, make_folds, write_folds
from convoscope.data.groups import torn
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.sources import open_dataset
from convoscope.errors import DataError, SettingsError


def labelled(labels: Sequence[int], second: Sequence[int] | None = None) -> Dataset:
    heads = {"class": np.array(labels, np.int64)}
    if second is not None:
        heads["colour"] = np.array(second, np.int64)
    names = {head: tuple(f"{head} {k}" for k in range(max(of) + 1)) for head, of in heads.items()}
    ids = tuple(f"image/{n:04d}" for n in range(len(labels)))
    return Dataset(name="numbers", root=None, ids=ids, labels=heads, class_names=names)


def alone(count: int) -> IntArray:
    return np.arange(count, dtype=np.int64)


def table_of(fold: IntArray, labels: Array, folds: int) -> IntArray:
    """Images per fold and class."""
    classes = int(labels.max()) + 1
    return np.bincount(fold * classes + labels, minlength=folds * classes).reshape(folds, classes)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(min_value=7, max_value=40), min_size=2, max_size=6),
    folds=st.integers(min_value=2, max_value=7),
    seed=st.integers(min_value=0, max_value=99),
)
def test_single_images_are_spread_evenly(counts: list[int], folds: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    fold = fold_of_each(labelled(labels.tolist()), alone(len(labels)), folds=folds, seed=seed)
    table = table_of(fold, labels, folds)
    assert np.ptp(table, axis=0).max() <= 1
    assert np.ptp(table.sum(axis=1)) <= 1


@st.composite
def grouped_labels(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Labels and groups; many small groups, some of mixed class."""
    labels: list[int] = []
    groups: list[int] = []
    for group in range(draw(st.integers(min_value=30, max_value=60))):
        size = draw(st.integers(min_value=1, max_value=5))
        mixed = draw(st.booleans())
        labels += [(group + (n if mixed else 0)) % 3 for n in range(size)]
        groups += [group] * size
    return labels, groups


@settings(max_examples=60, deadline=None)
@given(
    drawn=grouped_labels(),
    folds=st.integers(min_value=2, max_value=6),
    seed=st.integers(min_value=0, max_value=99),
)
def test_groups_stay_whole_and_classes_are_in_every_fold(
    drawn: tuple[list[int], list[int]], folds: int, seed: int
) -> None:
    labels, groups = map(np.array, drawn)
    fold = fold_of_each(labelled(drawn[0]), groups, folds=folds, seed=seed)
    for group in np.unique(groups):
        assert len(set(fold[groups == group])) == 1
    assert (table_of(fold, labels, folds) > 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_folds_are_as_even_as_those_of_scikit_learn(seed: int) -> None:
    rng = generator(seed, "groups")
    sizes = rng.integers(1, 7, size=80)
    groups = np.repeat(np.arange(80), sizes)
    of_group = rng.choice(4, size=80, p=[0.4, 0.3, 0.2, 0.1])
    labels = np.where(rng.random(len(groups)) < 0.9, of_group[groups], rng.integers(0, 4))
    theirs = np.empty(len(groups), np.int64)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(splitter.split(labels, labels, groups)):
        theirs[test] = number
    ours = fold_of_each(labelled(labels.tolist()), groups, folds=5, seed=seed)

    def unevenness(fold: IntArray) -> float:
        table = table_of(fold, labels, 5)
        return float((table / table.sum(axis=0)).std(axis=0).mean())

    assert unevenness(ours) <= unevenness(theirs) + 0.005


def test_several_heads_are_spread_at_once() -> None:
    first = np.arange(120) % 3
    second = np.arange(120) // 3 % 4
    dataset = labelled(first.tolist(), second.tolist())
    fold = fold_of_each(dataset, alone(120), folds=5, seed=1)
    for labels in (first, second, 4 * first + second):
        assert np.ptp(table_of(fold, labels, 5), axis=0).max() <= 1


def test_the_order_of_the_images_does_not_matter_and_the_seed_does() -> None:
    labels = (np.arange(60) % 3).tolist()
    one = labelled(labels)
    order = generator(0, "order").permutation(60)
    other = Dataset(
        name="numbers",
        root=None,
        ids=tuple(one.ids[row] for row in order),
        labels={"class": one.labels["class"][order]},
        class_names=one.class_names,
    )
    fold = fold_of_each(one, alone(60), folds=4, seed=3)
    again = fold_of_each(other, alone(60), folds=4, seed=3)
    np.testing.assert_array_equal(fold[order], again)
    assert (fold != fold_of_each(one, alone(60), folds=4, seed=4)).any()


@pytest.mark.parametrize(
    ("labels", "groups", "folds", "sentence"),
    [
        ([0] * 9 + [1] * 3, None, 5, r"'class 1' \(class\) has 3: take 3 folds at most, add"),
        ([0] * 9 + [1], None, 2, "at least 2 images, 'class 1' .* has 1: add images, or leave"),
        ([0] * 6 + [1] * 6, [*range(6), 6, 6, 6, 7, 7, 7], 3, "has 6, 2 when those that belong"),
    ],
)
def test_more_folds_than_a_class_has_images_are_refused(
    labels: list[int], groups: list[int] | None, folds: int, sentence: str
) -> None:
    clusters = alone(len(labels)) if groups is None else np.array(groups)
    with pytest.raises(DataError, match=sentence):
        fold_of_each(labelled(labels), clusters, folds=folds, seed=0)


# -- whole splits ---------------------------------------------------------------------------------


@pytest.fixture
def decoded(tmp_path: Path) -> Decoded:
    """Twelve images of three classes, two of each group; the folders say a split of their own."""
    root = draw_folder(tmp_path / "shapes", splits={"train": 8, "test": 4})
    return decode(
        open_dataset(root, group_by=r"(\w+/\w+_\d)"), preprocessing=Preprocessing(size=(8, 8))
    )


def test_every_image_is_tested_once_and_never_trained_on_where_it_is(decoded: Decoded) -> None:
    folds = make_folds(decoded, folds=4, seed=0)
    tested = np.concatenate([fold.indices["test"] for fold in folds])
    assert sorted(tested.tolist()) == list(range(36))
    for fold in folds:
        rows = np.concatenate([fold.indices[split] for split in ("train", "validation", "test")])
        assert sorted(rows.tolist()) == list(range(36))
        assert torn(decoded.dataset, fold.indices) == ()
        for part in fold.indices.values():
            assert set(decoded.dataset.labels["class"][part]) == {0, 1, 2}


def test_the_datas_own_split_is_not_used_and_a_note_says_so(decoded: Decoded) -> None:
    for fold in make_folds(decoded, folds=2, seed=0):
        assert not fold.is_given
        assert fold.notes == (
            "the data's own split is not used: every image is tested in one of the folds",
        )


def test_without_validation_all_the_rest_is_trained_on(decoded: Decoded) -> None:
    for fold in make_folds(decoded, folds=3, seed=0, validation=0):
        assert len(fold.indices["validation"]) == 0
        assert len(fold.indices["train"]) + len(fold.indices["test"]) == 36


@pytest.mark.parametrize("folds", [1, 0, -3])
def test_fewer_than_two_folds_are_refused(decoded: Decoded, folds: int) -> None:
    with pytest.raises(SettingsError, match=f"folds must be at least 2, .* got {folds}: 5 and 10"):
        make_folds(decoded, folds=folds, seed=0)


def test_a_share_out_of_range_is_refused(decoded: Decoded) -> None:
    with pytest.raises(SettingsError, match="validation must be a share of at least 0 and below 1"):
        make_folds(decoded, folds=3, seed=0, validation=1.5)


def test_too_few_images_for_validation_name_the_fold(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "shapes", per_class=2)
    small = decode(open_dataset(root), preprocessing=Preprocessing(size=(8, 8)))
    with pytest.raises(DataError, match="shapes: fold 1: to be in train and validation, a class"):
        make_folds(small, folds=2, seed=0)


def test_the_file_says_fold_and_group_of_each_image(decoded: Decoded, tmp_path: Path) -> None:
    folds = make_folds(decoded, folds=3, seed=0)
    write_folds(tmp_path / "split.csv", decoded, folds)
    with (tmp_path / "split.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["file", "class", "split", "fold", "group", "sha256"]
    assert [row["file"] for row in rows] == list(decoded.dataset.ids)
    for number, fold in enumerate(folds, start=1):
        found = [n for n, row in enumerate(rows) if row["fold"] == str(number)]
        assert found == fold.indices["test"].tolist()
    assert decoded.dataset.groups == tuple(row["group"] for row in rows)
    assert is_divided_as_in(tmp_path / "split.csv", decoded.dataset, folds)
    other = make_folds(decoded, folds=3, seed=1)
    assert not is_divided_as_in(tmp_path / "split.csv", decoded.dataset, other)
