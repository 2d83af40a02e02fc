"""The strongest neurons, against sorting everything."""

from __future__ import annotations

import numpy as np
import pytest
from tests.explain.conftest import BRANCHES, CHAIN, SHAPE, Build

from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import Activation, Conv2d
from convoscope.arrays import FloatArray, generator
from convoscope.errors import ExplainError
from convoscope.explain.neurons import OnePer, Strong, strongest, unclipped
from convoscope.network import Neuron

MAPS = np.round(generator(0, "maps").random((4, 3, 5)), 1)  # many are equal


def slowly(maps: FloatArray, k: int, one_per: OnePer | None) -> list[Strong]:
    channels, rows, columns = maps.shape
    found = [
        Strong("l", row, column, channel, float(maps[channel, row, column]))
        for channel in range(channels)
        for row in range(rows)
        for column in range(columns)
    ]
    found.sort(key=lambda s: (-s.value, s.channel, s.row, s.column))
    named, kept = set(), []
    for one in found:
        key = {"channel": (one.channel,), "place": (one.row, one.column)}.get(
            one_per or "", (one.channel, one.row, one.column)
        )
        if key not in named:
            kept.append(one)
        named.add(key)
    return kept[:k]


@pytest.mark.parametrize("one_per", [None, "channel", "place"])
@pytest.mark.parametrize("k", [1, 4, 9, 1000])
def test_the_strongest_come_first_and_of_equal_ones_the_first(
    k: int, one_per: OnePer | None
) -> None:
    found = strongest("l", MAPS, k, one_per=one_per)
    assert list(found) == slowly(MAPS, k, one_per)
    if one_per == "channel":
        assert len({one.channel for one in found}) == len(found)
    if one_per == "place":
        assert len({(one.row, one.column) for one in found}) == len(found)


def test_a_strong_neuron_is_a_target() -> None:
    assert Strong("l", 1, 2, 3, 0.5).neuron == Neuron("l", 1, 2, 3)


def test_neurons_of_a_relu6_are_looked_for_before_it_clips_them(build: Build) -> None:
    assert unclipped(build(BRANCHES), "last") == "cat"
    assert unclipped(build(BRANCHES), "inner") == "inner"
    assert unclipped(build(CHAIN), "conv2") == "conv2"
    bare = Architecture(
        name="bare", input_shape=SHAPE, layers=(Activation("act", "relu6"), Conv2d("conv", 2))
    )
    assert unclipped(build(bare), "act") == "act"  # before it is only the image


def test_a_question_that_makes_no_sense_is_one_sentence() -> None:
    with pytest.raises(ExplainError, match="layer 'l': ask for at least 1 neuron, got 0"):
        strongest("l", MAPS, 0)
    message = r"layer 'l': neurons are chosen in the maps \(C, h, w\) of one image, got an array of"
    with pytest.raises(ExplainError, match=message):
        strongest("l", MAPS[None], 2)
    with pytest.raises(ExplainError, match="one_per must be 'channel', 'place' or None, got 'row'"):
        strongest("l", MAPS, 2, one_per="row")  # type: ignore[arg-type]
