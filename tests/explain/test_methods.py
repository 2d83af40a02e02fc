"""The table of methods, behind one call, on one forward pass."""

from __future__ import annotations

import numpy as np
import pytest
from tests.explain.conftest import CHAIN, SMOOTH, Build

from convoscope.arrays import Array, as_unit_float
from convoscope.errors import ExplainError, UnknownNameError
from convoscope.explain.grad_cam import enlarge, grad_cam
from convoscope.explain.gradients import gradient
from convoscope.explain.guided_backprop import guided_backprop
from convoscope.explain.methods import METHODS, explain, usable, view_for
from convoscope.network import Channel, ClassLogit, Engine, Neuron, Target

ONE_PASS = ("grad-cam", "guided-backprop", "guided-grad-cam", "gradient", "input-x-gradient")
TARGETS: list[Target] = [ClassLogit("class", (0, 1, 3)), Neuron("conv2", 2, 3, 4)]


@pytest.mark.parametrize("method", ONE_PASS)
def test_every_method_gives_what_its_row_says(
    method: str, build: Build, engine: Engine, images: Array
) -> None:
    row = METHODS[method]
    found = explain(build(CHAIN, engine), images, method, TARGETS, layer="conv1")
    shapes = {"map": (2, 3, 13, 12), "gradient": (2, 3, 3, 13, 12)}
    assert found.shape == shapes[row.gives]
    assert np.isfinite(found).all()
    assert found[0].any()
    assert row.title
    assert row.sentence.endswith(".")


def test_the_methods_are_what_their_names_say(build: Build, engine: Engine, images: Array) -> None:
    network, target = build(CHAIN, engine), TARGETS[:1]
    plain, guided = gradient(network, images, target), guided_backprop(network, images, target)
    heat = enlarge(grad_cam(network, images, target)["conv2"], (13, 12))
    for method, expected in {
        "gradient": plain,
        "guided-backprop": guided,
        "grad-cam": heat,
        "guided-grad-cam": guided * heat[:, :, None],
        "input-x-gradient": plain * images,
    }.items():
        np.testing.assert_allclose(
            explain(network, images, method, target), expected, rtol=1e-9, atol=1e-15
        )


def test_bytes_are_read_as_shares_of_255(build: Build, engine: Engine, images: Array) -> None:
    network, pixels = build(CHAIN, engine), np.round(images * 255).astype(np.uint8)
    for method in ONE_PASS:
        np.testing.assert_allclose(
            explain(network, pixels, method, TARGETS[:1]),
            explain(network, as_unit_float(pixels), method, TARGETS[:1]),
            rtol=1e-4,
            atol=1e-7,
        )


def test_one_pass_serves_all_methods_and_questions(
    build: Build, engine: Engine, images: Array
) -> None:
    network = build(CHAIN, engine)
    with view_for(network, images, ONE_PASS, layers=["conv1", "conv2"]) as view:
        assert view.layer == "conv2"
        said = tuple(int(c) for c in view.trace.logits["class"].argmax(axis=1))
        targets: list[Target] = [ClassLogit("class", said), Channel("conv2", 1)]
        together = {
            method: METHODS[method].explain(view, targets if "cam" not in method else targets[:1])
            for method in ONE_PASS
        }
    for method, found in together.items():
        alone = explain(network, images, method, targets[: len(found)])
        if METHODS[method].gives == "map":
            found = enlarge(found, (13, 12))
        np.testing.assert_allclose(found, alone, rtol=1e-9, atol=1e-15)


def test_a_method_or_layer_that_cannot_be_used_is_one_sentence(
    build: Build, engine: Engine, images: Array
) -> None:
    network = build(CHAIN, engine)
    with pytest.raises(UnknownNameError, match="there is no method 'gradcam': did you mean 'grad-"):
        explain(network, images, "gradcam", TARGETS)
    with pytest.raises(UnknownNameError, match="there is no layer 'cnv1': did you mean 'conv1'"):
        explain(network, images, "grad-cam", TARGETS, layer="cnv1")
    with pytest.raises(ExplainError, match="layer 'flat': a layer of maps"):
        explain(network, images, "guided-grad-cam", TARGETS, layer="flat")
    with pytest.raises(ExplainError, match="network 'smooth': guided backpropagation acts at ReLU"):
        explain(build(SMOOTH, engine), images, "guided-grad-cam", TARGETS[:1])


def test_images_of_half_precision_are_explained_as_any(build: Build, images: Array) -> None:
    network, target = build(CHAIN), ClassLogit("class", 1)
    half = as_unit_float(images).astype(np.float16)
    for method in usable(network):
        found = explain(network, half, method, [target])
        expected = explain(network, half.astype(np.float32), method, [target])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
