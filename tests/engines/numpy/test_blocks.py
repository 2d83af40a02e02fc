"""Blocks of images: they cover the batch, keep its order, and do not depend on the cores."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, GlobalAvgPool, MaxPool2d
from convoscope.arrays import Array, generator
from convoscope.engines.numpy import blocks
from convoscope.engines.numpy.blocks import core_count, each, image_blocks, spans
from convoscope.network import HeadLoss, Optimiser

NET = Architecture(
    name="net",
    input_shape=(3, 20, 20),
    layers=(
        Conv2d("conv1", 8, activation="relu"),
        BatchNorm("norm"),
        MaxPool2d("pool"),
        Conv2d("conv2", 3),
    ),
    heads=(Head(layers=(GlobalAvgPool("mean"),)),),
)


@given(st.integers(0, 300), st.integers(0, 1 << 24))
def test_blocks_cover_every_image_once(images: int, image_bytes: int) -> None:
    found = image_blocks(images, image_bytes)
    assert [i for block in found for i in range(images)[block]] == list(range(images))
    assert all(block.stop - block.start >= 1 for block in found)
    assert len(found) >= min(images, 3)


@given(st.integers(0, 300), st.integers(1, 50))
def test_spans_cover_the_length(length: int, size: int) -> None:
    assert [i for span in spans(length, size) for i in range(length)[span]] == list(range(length))


def test_results_come_in_the_order_of_the_parts() -> None:
    assert each(lambda part: part * 2, list(range(50))) == [2 * part for part in range(50)]


def test_work_inside_work_stays_on_its_own_core(monkeypatch: pytest.MonkeyPatch) -> None:
    def inner(_: int) -> int:
        return threading.get_ident()

    def outer(part: int) -> bool:
        return part > 0 or set(each(inner, [1, 2, 3])) == {threading.get_ident()}

    monkeypatch.setattr(blocks, "core_count", lambda: 2)
    assert all(each(outer, [0, 1]))


def test_an_error_in_a_block_reaches_the_caller_and_the_cores_are_given_back() -> None:
    def fail(part: int) -> None:
        raise ZeroDivisionError(part)

    with threadpool_limits(2):
        with pytest.raises(ZeroDivisionError):
            each(fail, [1, 2])
        assert core_count() == 2


def test_the_number_of_cores_changes_no_byte() -> None:
    rng = generator(0, "cores")
    images, labels = rng.random((40, 3, 20, 20), dtype=np.float32), rng.integers(0, 3, 40)

    def learn(cores: int) -> list[Array]:
        with threadpool_limits(cores):
            learner = engines.learner(
                engines.build(NET, engine="numpy", seed=1),
                optimiser=Optimiser(),
                losses=[HeadLoss(head="class")],
            )
            for _ in range(3):
                learner.step(images, {"class": labels})
            return list(learner.state().values())

    for one, two in zip(learn(1), learn(2), strict=True):
        np.testing.assert_array_equal(one, two)
