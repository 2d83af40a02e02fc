"""SmoothGrad against its definition, done slowly, and against Captum's noise tunnel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from tests.explain.conftest import CHAIN, SHAPE, Build
from torch import nn

from convoscope.arrays import Array, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.explain import explain, look
from convoscope.explain.smooth_grad import COPIES, NOISE, smooth_grad
from convoscope.network import ClassLogit, Engine


def test_it_is_the_mean_gradient_of_noisy_copies(
    build: Build, engine: Engine, images: Array
) -> None:
    network, target = build(CHAIN, engine), ClassLogit("class", (2, 0, 1))
    total = np.zeros(images.shape)
    for copy in range(COPIES):
        drawn = generator(0, "smooth grad", copy).standard_normal(SHAPE)
        for n, image in enumerate(images):
            noisy = image + NOISE * (image.max() - image.min()) * drawn
            of = ClassLogit("class", target.classes[n])  # type: ignore[index]
            with network.trace(noisy[None]) as trace:
                total[n] += trace.gradient([of])[0, 0]
    found = explain(network, images, "smooth-grad", [target])
    np.testing.assert_allclose(found[0], total / COPIES, rtol=1e-9, atol=1e-12)


def test_an_image_has_the_same_explanation_alone_and_among_others(
    build: Build, images: Array
) -> None:
    network, target = build(CHAIN), ClassLogit("class", 1)
    together = explain(network, images, "smooth-grad", [target])
    alone = explain(network, images[1:2], "smooth-grad", [target])
    np.testing.assert_allclose(together[:, 1:2], alone, rtol=1e-9, atol=1e-12)


def test_of_many_copies_captum_finds_the_same() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3)).double()
    image = generator(3, "image").random((1, 1, 6, 6))
    network = adopt(module, input_shape=(1, 6, 6), device="cpu", precision="float64")
    with look(network, image, wrt=()) as view:
        found = smooth_grad(view, [ClassLogit("class", 2)], copies=4000)
    theirs = NoiseTunnel(Saliency(module)).attribute(
        torch.from_numpy(image),
        target=2,
        abs=False,
        nt_samples=4000,
        nt_samples_batch_size=1000,
        stdevs=NOISE * float(np.ptp(image)),
    )
    assert float(np.abs(found[0] - theirs.numpy()).max()) < 0.02 * float(np.abs(found).max())


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_constant_image_has_its_plain_gradient(build: Build, value: float) -> None:
    image = np.full((1, *SHAPE), value)
    network, target = build(CHAIN), ClassLogit("class", 1)
    np.testing.assert_allclose(
        explain(network, image, "smooth-grad", [target]),
        explain(network, image, "gradient", [target]),
        atol=1e-12,
    )
