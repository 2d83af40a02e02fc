"""Grad-CAM++ and LayerCAM against their papers' equations, a number at a time."""

from __future__ import annotations

import numpy as np
import pytest
from tests.explain.conftest import CHAIN, SHAPE, Build

from convoscope import engines
from convoscope.arrays import Array, FloatArray, generator
from convoscope.explain import explain, look
from convoscope.explain.grad_cam_plus_plus import grad_cam_plus_plus
from convoscope.explain.layer_cam import layer_cam
from convoscope.network import ClassLogit, Engine, Target


def plus_plus(maps: FloatArray, pulls: FloatArray) -> FloatArray:
    """Equations 19, 5 and 13 for one image, before the ReLU of equation 13 a sum per cell."""
    channels, height, width = maps.shape
    heat = np.zeros((height, width))
    for k in range(channels):
        total = sum(
            maps[k, a, b] * pulls[k, a, b] ** 3 for a in range(height) for b in range(width)
        )
        weight = 0.0
        for i in range(height):
            for j in range(width):
                below = 2 * pulls[k, i, j] ** 2 + total
                alpha = pulls[k, i, j] ** 2 / below if below else 0.0
                weight += alpha * max(pulls[k, i, j], 0.0)
        heat += weight * maps[k]
    return np.maximum(heat, 0)


def layered(maps: FloatArray, pulls: FloatArray) -> FloatArray:
    """Equations 5 to 7 for one image."""
    channels, height, width = maps.shape
    heat = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            for k in range(channels):
                heat[i, j] += max(pulls[k, i, j], 0.0) * maps[k, i, j]
    return np.where(heat > 0, heat, 0)


TARGETS: list[Target] = [ClassLogit("class", (2, 0, 1)), ClassLogit("odd", 0)]


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_both_are_their_papers_equations(
    build: Build, engine: Engine, images: Array, layer: str
) -> None:
    network = build(CHAIN, engine)
    with look(network, images, layer=layer, wrt=[layer]) as view:
        maps, pulls = view.trace.activations[layer], view.trace.gradient(TARGETS, wrt=layer)
        for method, slowly in ((grad_cam_plus_plus, plus_plus), (layer_cam, layered)):
            found = method(view, TARGETS)
            assert found.any()
            for t in range(2):
                for n in range(3):
                    expected = slowly(maps[n], pulls[t, n])
                    np.testing.assert_allclose(found[t, n], expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("method", ["grad-cam++", "layer-cam"])
def test_they_are_enlarged_to_the_image_and_never_below_0(
    build: Build, images: Array, method: str
) -> None:
    found = explain(build(CHAIN), images, method, TARGETS)
    assert found.shape == (2, 3, *SHAPE[1:])
    assert found.min() >= 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_gradients_of_any_size_give_heat(scale: float) -> None:
    """Their cubes would vanish or overflow in float32; a share of 0 / 0 is none."""
    network = engines.build(CHAIN, engine="torch", seed=1, device="cpu")
    images = generator(1, "images").random((1, *SHAPE), dtype="float32")
    last = {n: v * scale for n, v in network.parameters().items() if n.startswith("logits.")}
    found = explain(network.with_parameters(last), images, "grad-cam++", [ClassLogit("class", 1)])
    assert np.isfinite(found).all()
    assert found.any()
