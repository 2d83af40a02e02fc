from __future__ import annotations

import numpy as np
import pytest

from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten
from convoscope.errors import SettingsError, UnknownNameError
from convoscope.transfer.rates import Depths, depths, gradual_rates, head_rates, tuned_rates
from convoscope.transfer.strategies import tuning

NET = Architecture(
    name="net",
    input_shape=(3, 8, 8),
    layers=(
        Conv2d("block1_a", 4, padding=1),
        Conv2d("block1_b", 4, padding=1),
        BatchNorm("block1_norm"),
        Conv2d("block2_a", 4, padding=1),
        Conv2d("block3_a", 4, padding=1),
    ),
    heads=(Head(layers=(Flatten("flat"), Dense("hidden", 5), Dense("out", 3))),),
)


def depth(*fresh: str) -> Depths:
    """The network of which all has learnt before but those layers."""
    whole = depths(NET, ())
    return depths(NET, [n for n in whole.names if n.partition(".")[0] not in fresh])


def rates(tune: str, *fresh: str, **how: object) -> dict[str, float]:
    """The rate of each layer's parameters, which agree."""
    found = tuned_rates(depth(*fresh), tuning(tune), **how)  # type: ignore[arg-type]
    layers = {name.partition(".")[0]: rate for name, rate in found.items()}
    for name, rate in found.items():
        assert layers[name.partition(".")[0]] == rate
    return {layer: rate for layer, rate in layers.items() if rate}


@pytest.mark.parametrize(
    ("tune", "fresh", "learning"),
    [
        ("svm", ("out",), {"out": 1}),
        ("last", ("out",), {"out": 1}),
        ("last", ("hidden", "out"), {"hidden": 1, "out": 1}),
        ("last", (), {"out": 1}),
        ("last:1", (), {"out": 0.1}),
        ("last:2", ("out",), {"hidden": 0.1, "out": 1}),
        ("last:3", ("out",), {"block3_a": 0.1, "hidden": 0.1, "out": 1}),
        ("last:1block", ("out",), {"block3_a": 0.1, "hidden": 0.1, "out": 1}),
        (
            "last:block2",
            ("out",),
            {"block2_a": 0.1, "block3_a": 0.1, "hidden": 0.1, "out": 1},
        ),
        (
            "last:block1_b",
            ("out",),
            {
                "block1_b": 0.1,
                "block1_norm": 0.1,
                "block2_a": 0.1,
                "block3_a": 0.1,
                "hidden": 0.1,
                "out": 1,
            },
        ),
    ],
)
def test_what_learns_and_how_fast(
    tune: str, fresh: tuple[str, ...], learning: dict[str, float]
) -> None:
    assert rates(tune, *fresh, pretrained=0.1) == learning


def test_rates_fall_from_block_to_block() -> None:
    found = rates("layerwise:0.5", "out", pretrained=0.1)
    expected = {
        "block1_a": 0.025,
        "block1_b": 0.025,
        "block1_norm": 0.025,
        "block2_a": 0.05,
        "block3_a": 0.1,
        "hidden": 0.1,
        "out": 1,
    }
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), [expected[name] for name in found])


def test_norms_keep_still_or_adapt_whatever_their_layer_does() -> None:
    assert "block1_norm" not in rates("all", norms="still")
    assert rates("last", "out", norms="adapt", pretrained=0.5) == {"block1_norm": 0.5, "out": 1}


def test_a_person_s_rates_override() -> None:
    found = rates("last:1block", "out", "hidden", pretrained=0.1, asked={"block3": 0.3, "out": 2.0})
    assert found == {"block3_a": 0.3, "hidden": 1, "out": 2}


def test_unfreezing_goes_from_the_head_to_the_image() -> None:
    whole = depth("out")
    final = tuned_rates(whole, tuning("all"), pretrained=0.1)

    def learning(found: dict[str, float]) -> set[str]:
        return {name.partition(".")[0] for name, rate in found.items() if rate}

    head = {"hidden", "out"}
    assert learning(head_rates(whole, final)) == head
    assert [learning(each) for each in gradual_rates(whole, final)] == [
        head | {"block3_a"},
        head | {"block3_a", "block2_a"},
    ]


def test_more_than_there_is_cannot_learn() -> None:
    with pytest.raises(
        SettingsError, match="last:7: net has 6 layers with weights, got 7: ask for"
    ):
        rates("last:7")
    with pytest.raises(SettingsError, match="last:4blocks: net has 3 blocks with weights, got 4"):
        rates("last:4blocks")


def test_a_block_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no block or layer 'block4': did you mean 'block3'"):
        rates("last:block4")
