"""CAM is exact: the mean over a class's map, plus its bias, is the class's logit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.explain.conftest import BRANCHES, CHAIN, SHAPE, SMOOTH, Build

from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, Dropout, GlobalAvgPool
from convoscope.arrays import Array
from convoscope.errors import ExplainError
from convoscope.explain import explain, grad_cam, look
from convoscope.explain.cam import averaged_layer, cam
from convoscope.network import ClassLogit, Engine, Neuron


@pytest.mark.parametrize("architecture", [SMOOTH, BRANCHES], ids=lambda each: each.name)
def test_the_mean_and_the_bias_are_the_logit(
    build: Build, engine: Engine, images: Array, architecture: Architecture
) -> None:
    network = build(architecture, engine)
    with look(network, images, wrt=()) as view:
        maps = cam(view, [ClassLogit("class", k) for k in range(4)])
    biases = network.parameters()["logits.bias"]
    expected = network.logits(images)["class"].T - biases[:, None]
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), expected, rtol=1e-9)


def test_of_a_sigmoid_head_too_and_with_dropout_between(build: Build, images: Array) -> None:
    architecture = Architecture(
        name="one unit",
        input_shape=SHAPE,
        layers=(Conv2d("conv", 4), GlobalAvgPool("mean")),
        heads=(Head(layers=(Dropout("drop", 0.5), Dense("unit", 1)), output="sigmoid"),),
    )
    network = build(architecture)
    with look(network, images, wrt=()) as view:
        no, yes, mixed = cam(view, [ClassLogit("class", c) for c in (0, 1, (0, 1, 1))])
    np.testing.assert_array_equal(no, -yes)
    np.testing.assert_array_equal(mixed[0], no[0])
    np.testing.assert_array_equal(mixed[1:], yes[1:])
    logit = network.logits(images)["class"][:, 0] - network.parameters()["unit.bias"]
    np.testing.assert_allclose(yes.mean(axis=(1, 2)), logit, rtol=1e-9)


def test_where_it_is_allowed_grad_cam_shows_what_of_it_is_positive(
    build: Build, images: Array
) -> None:
    network, target = build(BRANCHES), ClassLogit("class", 2)
    layer, _ = averaged_layer(network, "class")
    with look(network, images, wrt=()) as view:
        exact = cam(view, [target])
    cells = exact.shape[2] * exact.shape[3]
    approximate = grad_cam(network, images, [target], [layer])[layer]
    np.testing.assert_allclose(np.maximum(exact, 0) / cells, approximate, rtol=1e-9, atol=1e-15)


def test_any_other_head_is_refused_with_what_to_use(build: Build, images: Array) -> None:
    sentence = (
        "head 'class': cam needs a global average of maps and one dense layer after it, and this "
        "head computes otherwise: use grad-cam, which generalises it"
    )
    with pytest.raises(ExplainError) as error:
        explain(build(CHAIN), images, "cam", [ClassLogit("class", 0)])
    assert str(error.value) == sentence


def test_a_neuron_is_refused(build: Build, images: Array) -> None:
    with pytest.raises(ExplainError, match="cam explains classes, got another target"):
        explain(build(SMOOTH), images, "cam", [Neuron("conv1", 0, 0, 0)])
