"""How large the features before a new head are, and what follows for it."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, GlobalAvgPool
from convoscope.arrays import generator
from convoscope.jobs.scaling import scaled_down, sizes_before_heads
from convoscope.network import Network

LOUD = 40.0
IMAGES = generator(0, "images").integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)


def network(*before: AnyLayer) -> Network:
    """A trunk whose maps are large, and a head of ``before``, a mean and a dense layer."""
    made = engines.build(
        Architecture(
            name="loud",
            input_shape=(3, 8, 8),
            layers=(Conv2d("conv", 4, activation="relu"),),
            heads=(Head(layers=(*before, GlobalAvgPool("pool"), Dense("dense", 3))),),
        ),
        engine="numpy",
        seed=0,
    )
    loud = {name: LOUD * made.parameters()[name] for name in ("conv.weight", "conv.bias")}
    return made.with_parameters(loud)


def sizes(made: Network, *known: str) -> dict[str, float]:
    fresh = frozenset(n for n in made.parameters() if n.partition(".")[0] not in known)
    return sizes_before_heads(made, IMAGES, np.arange(8), fresh, device="auto", precision="float32")


def test_the_size_is_that_of_what_the_first_new_layer_is_given() -> None:
    made = network()
    with made.trace(IMAGES[:8].transpose(0, 3, 1, 2), layers=["pool"]) as trace:
        expected = np.abs(trace.activations["pool"]).mean()
    found = sizes(made, "conv")
    assert found == {"dense": pytest.approx(expected, rel=1e-5)}
    weight = made.parameters()["dense.weight"]
    scaled = scaled_down(made.parameters(), found)["dense.weight"]
    np.testing.assert_allclose(scaled * found["dense"], weight, rtol=1e-5)


def test_a_head_that_normalises_for_itself_is_left_as_it_is() -> None:
    """Dividing its weights, and their rate, as well would make it learn tens of times too slowly:
    before the first step its batch norm does nothing, from then on it gives values of size one.
    """
    assert sizes(network(BatchNorm("norm")), "conv") == {}


def test_a_batch_norm_that_has_learnt_before_is_part_of_what_is_measured() -> None:
    made = network(BatchNorm("norm"))
    still = made.with_parameters({"norm.running_var": np.full(4, 4.0, np.float32)})
    (size,) = sizes(still, "conv", "norm").values()
    (whole,) = sizes(network(), "conv").values()
    assert size == pytest.approx(whole / 2, rel=1e-3)


def test_small_features_are_not_made_larger() -> None:
    made = network()
    quiet = {"conv.weight": made.parameters()["conv.weight"] / (1000 * LOUD)}
    assert sizes(made.with_parameters(quiet), "conv") == {}
