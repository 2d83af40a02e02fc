"""Feature maps of every layer, on both engines."""

from __future__ import annotations

import numpy as np
import pytest
from tests.explain.conftest import BRANCHES, CHAIN, Build

from convoscope.arrays import Array
from convoscope.errors import ExplainError, ShapeError, UnknownNameError
from convoscope.explain.activations import feature_maps
from convoscope.explain.layers import map_layers
from convoscope.network import Engine


def test_both_engines_give_the_same_maps_of_every_layer(build: Build, images: Array) -> None:
    for architecture in (CHAIN, BRANCHES):
        ours, slow = (feature_maps(build(architecture, e), images) for e in ("torch", "numpy"))
        assert tuple(ours) == map_layers(build(architecture))
        assert tuple(slow) == tuple(ours)
        for layer, maps in ours.items():
            assert maps.shape == (3, *architecture.place(layer).output_shape)
            np.testing.assert_allclose(maps, slow[layer], rtol=1e-9, atol=1e-12)


def test_a_convolutions_map_is_its_definition(build: Build, engine: Engine, images: Array) -> None:
    network = build(CHAIN, engine)
    (maps,) = feature_maps(network, images[:1], ["conv1"]).values()
    weights, biases = (network.parameters()[f"conv1.{kind}"] for kind in ("weight", "bias"))
    padded = np.pad(images[0], ((0, 0), (1, 1), (1, 1)))
    for row, column, f in ((0, 0, 0), (5, 7, 3), (12, 11, 5)):
        window = padded[:, row : row + 3, column : column + 3]
        expected = max(0.0, float((window * weights[f]).sum() + biases[f]))
        assert maps[0, f, row, column] == pytest.approx(expected, rel=1e-9)


def test_what_cannot_be_looked_at_is_one_sentence(
    build: Build, engine: Engine, images: Array
) -> None:
    network = build(CHAIN, engine)
    with pytest.raises(UnknownNameError, match="there is no layer 'conv9': did you mean 'conv"):
        feature_maps(network, images, ["conv9"])
    with pytest.raises(ExplainError, match="a vector of 4 values: name one that does, such as"):
        feature_maps(network, images, ["logits"])
    with pytest.raises(ShapeError, match=r"must be \(N, 3, 13, 12\), got an array of shape"):
        feature_maps(network, images[:, :, :5])
