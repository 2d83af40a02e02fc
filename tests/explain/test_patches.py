"""Patches: exact ones against what really changes a neuron, effective ones against trying all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.explain.conftest import BRANCHES, CHAIN, SMOOTH, Build

from convoscope.architecture.receptive_field import Box
from convoscope.arrays import Array, FloatArray, generator
from convoscope.errors import ExplainError, SettingsError, UnknownNameError
from convoscope.explain.patches import effective_patch, patch
from convoscope.network import Engine, Neuron


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 2), (5, 5)])
def test_pixels_outside_the_patch_change_nothing_and_its_edges_do(
    build: Build, engine: Engine, images: Array, row: int, column: int
) -> None:
    """Positive weights and images, so that no ReLU is closed and every maximum can be passed."""
    network = build(CHAIN, engine)
    network = network.with_parameters({n: np.abs(a) for n, a in network.parameters().items()})
    box = patch(network, "conv2", row, column)

    def value(changed: Array) -> float:
        with network.trace(changed[None], layers=["conv2"], wrt=()) as trace:
            return float(trace.activations["conv2"][0, 1, row, column])

    image, before = images[0], value(images[0])
    outside = image + 10
    outside[:, box.top : box.bottom, box.left : box.right] = image[
        :, box.top : box.bottom, box.left : box.right
    ]
    assert value(outside) == pytest.approx(before, rel=1e-12)
    for edge_row in (box.top, box.bottom - 1):
        changed = image.copy()
        changed[:, edge_row, box.left : box.right] += 10
        assert value(changed) > before
    for edge_column in (box.left, box.right - 1):
        changed = image.copy()
        changed[:, box.top : box.bottom, edge_column] += 10
        assert value(changed) > before


def test_a_patch_reaches_through_branches(build: Build, engine: Engine) -> None:
    """Cell 3 of the narrow branch sees stem's cells 2 to 4, that of the wide one cells 0 to 6."""
    assert patch(build(BRANCHES, engine), "last", 3, 3) == Box(0, 0, 13, 12)
    assert patch(build(BRANCHES, engine), "narrow", 3, 3) == Box(3, 3, 10, 10)


def test_a_place_or_layer_that_is_not_there_is_one_sentence(build: Build, engine: Engine) -> None:
    network = build(CHAIN, engine)
    with pytest.raises(SettingsError) as caught:
        patch(network, "conv2", 6, 0)
    assert str(caught.value) == "layer 'conv2': row must lie in 0..5 of this layer's maps, got 6"
    with pytest.raises(ExplainError, match="layer 'dense': a layer of maps"):
        patch(network, "dense", 0, 0)
    with pytest.raises(UnknownNameError, match="there is no layer 'conv12': did you mean"):
        patch(network, "conv12", 0, 0)


def smallest(weight: FloatArray, share: float) -> int:
    height, width = weight.shape
    boxes = itertools.product(
        itertools.combinations(range(height + 1), 2), itertools.combinations(range(width + 1), 2)
    )
    return min(
        (bottom - top) * (right - left)
        for (top, bottom), (left, right) in boxes
        if weight[top:bottom, left:right].sum() >= share * weight.sum() * (1 - 1e-12)
    )


@pytest.mark.parametrize("share", [0.3, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_no_smaller_box_holds_the_share(share: float, seed: int) -> None:
    rng = generator(seed, "gradient")
    gradient = rng.normal(size=(3, 7, 9)) * (rng.random((7, 9)) < 0.4)
    box = effective_patch(gradient, share)
    weight = np.abs(gradient).sum(axis=0)
    held = weight[box.top : box.bottom, box.left : box.right].sum()
    assert held >= share * weight.sum() * (1 - 1e-12)
    assert (box.bottom - box.top) * (box.right - box.left) == smallest(weight, share)


def test_a_single_pixel_is_its_own_box() -> None:
    gradient = np.zeros((3, 5, 6))
    gradient[1, 2, 4] = -7
    assert effective_patch(gradient) == Box(2, 4, 3, 5)
    assert effective_patch(np.zeros((3, 5, 6))) == Box(0, 0, 0, 0)


def test_the_effective_patch_lies_in_the_exact_one(build: Build, images: Array) -> None:
    network = build(CHAIN)
    with network.trace(images[:1], layers=["conv1"]) as trace:
        channel = int(trace.activations["conv1"][0, :, 6, 6].argmax())
        (gradient,) = trace.gradient([Neuron("conv1", 6, 6, channel)])
    assert effective_patch(gradient[0], 1.0) == patch(network, "conv1", 6, 6) == Box(5, 5, 8, 8)


def test_a_share_that_is_none_is_one_sentence() -> None:
    for share in (0.0, 1.5):
        with pytest.raises(
            ExplainError, match=rf"share must be above 0 and at most 1, got {share}"
        ):
            effective_patch(np.ones((1, 2, 2)), share)


def test_smooth_networks_have_patches_too(build: Build, engine: Engine) -> None:
    assert patch(build(SMOOTH, engine), "conv1", 0, 0) == Box(0, 0, 3, 3)
