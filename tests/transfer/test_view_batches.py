from __future__ import annotations

import numpy as np

from convoscope.arrays import IntArray
from convoscope.transfer.features import Features
from convoscope.transfer.view_batches import ViewBatch, ViewBatches

ROWS = np.array([1, 2, 4, 7, 8, 9])


def batches(seed: int = 0) -> ViewBatches:
    """Features whose values say view and row: 100 view + row."""
    rows = np.arange(10, dtype=np.float32)
    views = tuple(
        np.broadcast_to((100 * view + rows)[:, None, None, None], (10, 2, 3, 4))
        for view in range(3)
    )
    return ViewBatches(
        features=Features(layer="pool", views=views, rounding=0),
        labels={"class": np.arange(10) % 3},
        indices=ROWS,
        batch_size=4,
        seed=seed,
    )


def seen(epoch: list[ViewBatch]) -> tuple[IntArray, IntArray]:
    """The rows and the views of an epoch's images, in their order."""
    values = np.concatenate([batch.images[:, 0, 0, 0] for batch in epoch]).astype(np.int64)
    return values % 100, values // 100


def test_every_image_is_seen_once_an_epoch_with_its_label() -> None:
    epoch = list(batches().epoch(1))
    assert [batch.images.shape for batch in epoch] == [(4, 4, 2, 3), (2, 4, 2, 3)]
    assert len(batches()) == 2
    rows, _ = seen(epoch)
    np.testing.assert_array_equal(np.sort(rows), ROWS)
    labels = np.concatenate([batch.labels["class"] for batch in epoch])
    np.testing.assert_array_equal(labels, rows % 3)


def test_views_take_turns_by_seed_epoch_and_row_alone() -> None:
    drawn = np.array([seen(list(batches().epoch(epoch)))[1] for epoch in range(1, 200)])
    shares = np.bincount(drawn.ravel(), minlength=3) / drawn.size
    assert np.abs(shares - 1 / 3).max() < 0.05
    for made in (batches(), batches()):
        np.testing.assert_array_equal(seen(list(made.epoch(7)))[1], drawn[6])
    assert any((seen(list(batches(seed=1).epoch(e)))[1] != drawn[e - 1]).any() for e in (1, 2, 3))
