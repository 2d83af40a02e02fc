from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest

from convoscope.arrays import ByteArray, generator
from convoscope.data.augment import POLICIES, augment
from convoscope.data.batches import Batch, Batches, in_order
from convoscope.errors import DataError, SettingsError, UnknownNameError

ROWS = np.array([3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 7], np.int64)


@pytest.fixture
def images() -> ByteArray:
    """(40, 6, 5, 3), read-only as the cache's are."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), np.uint8)
    pixels.setflags(write=False)
    return pixels


LABELS = {"class": np.arange(40) % 3, "colour": np.arange(40) % 2}


def batches(images: ByteArray, **changes: object) -> Batches:
    settings = {"batch_size": 4, "seed": 7, **changes}
    return Batches(images, LABELS, ROWS, **settings)  # type: ignore[arg-type]


def digest(epoch: list[Batch]) -> str:
    state = hashlib.sha256()
    for batch in epoch:
        state.update(batch.images.tobytes())
        state.update(batch.indices.tobytes())
    return state.hexdigest()


def test_an_epoch_shows_every_image_once_with_its_labels(images: ByteArray) -> None:
    epoch = list(batches(images).epoch(1))
    assert [len(batch.images) for batch in epoch] == [4, 4, 3]
    rows = np.concatenate([batch.indices for batch in epoch])
    assert sorted(rows.tolist()) == sorted(ROWS.tolist())
    for batch in epoch:
        assert batch.images.shape[1:] == (3, 6, 5)
        assert (batch.images == images[batch.indices].transpose(0, 3, 1, 2)).all()
        assert {head: known.tolist() for head, known in batch.labels.items()} == {
            head: known[batch.indices].tolist() for head, known in LABELS.items()
        }


def test_a_single_image_left_over_makes_a_batch(images: ByteArray) -> None:
    made = batches(images, batch_size=5)
    assert [len(batch.images) for batch in made.epoch(1)] == [5, 5, 1]
    assert len(made) == 3


def test_images_are_a_view_in_rows_of_pixels(images: ByteArray) -> None:
    (batch, *_) = batches(images, policy="light").epoch(1)
    assert batch.images.transpose(0, 2, 3, 1).flags.c_contiguous


def test_the_order_depends_on_the_seed_and_the_epoch_alone(images: ByteArray) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        parts = [batch.indices for batch in batches(images, seed=seed).epoch(epoch)]
        return [int(row) for row in np.concatenate(parts)]

    made = batches(images)
    assert len(list(made.epoch(1))) == len(list(made.epoch(2))) == 3
    third = np.concatenate([batch.indices for batch in made.epoch(3)]).tolist()
    assert third == order(7, 3)
    assert third == generator(7, "shuffle", 3).permutation(ROWS).tolist()
    assert len({tuple(order(seed, epoch)) for seed in (7, 8) for epoch in (1, 2)}) == 4


@pytest.mark.parametrize("policy", ["none", "row13"])
def test_the_number_of_threads_changes_nothing(images: ByteArray, policy: str) -> None:
    digests = {
        digest(list(batches(images, policy=policy, workers=workers).epoch(2)))
        for workers in (1, 2, 5)
    }
    assert len(digests) == 1


def test_an_image_is_changed_by_seed_epoch_and_row_whatever_its_batch(images: ByteArray) -> None:
    for size in (1, 4, 11):
        for batch in batches(images, policy="row13", batch_size=size).epoch(5):
            for image, row in zip(batch.images, batch.indices.tolist(), strict=True):
                rng = generator(7, "augment", 5, row)
                expected = augment(images[row], POLICIES["row13"], rng)
                assert (image.transpose(1, 2, 0) == expected).all()


def test_a_policy_can_be_given_itself(images: ByteArray) -> None:
    by_name = digest(list(batches(images, policy="light").epoch(1)))
    assert digest(list(batches(images, policy=POLICIES["light"]).epoch(1))) == by_name


def test_leaving_an_epoch_early_leaves_no_thread(images: ByteArray) -> None:
    before = threading.active_count()
    epoch = batches(images, batch_size=1, workers=3).epoch(1)
    next(epoch)
    assert threading.active_count() > before
    epoch.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_in_order_gives_the_rows_as_they_are(images: ByteArray) -> None:
    parts = list(in_order(images, ROWS, 4, labels=LABELS))
    assert [part.indices.tolist() for part in parts] == [
        ROWS[:4].tolist(),
        ROWS[4:8].tolist(),
        ROWS[8:].tolist(),
    ]
    for part in parts:
        assert (part.images == images[part.indices].transpose(0, 3, 1, 2)).all()
        assert (part.labels["class"] == LABELS["class"][part.indices]).all()
    assert next(in_order(images, ROWS, 4)).labels == {}


def test_what_cannot_be_batched_is_told(images: ByteArray) -> None:
    with pytest.raises(SettingsError, match="batch must be at least 1 image, got 0"):
        batches(images, batch_size=0)
    with pytest.raises(DataError, match="batches need at least one image, got none: choose a spl"):
        Batches(images, LABELS, ROWS[:0], batch_size=4, seed=0)
    with pytest.raises(DataError, match="batches need at least one image"):
        next(in_order(images, ROWS[:0], 4))
    with pytest.raises(UnknownNameError, match="did you mean 'flip'"):
        batches(images, policy="flipp")
