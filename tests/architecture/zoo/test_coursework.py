import pytest

from convoscope.architecture.graph import walk
from convoscope.architecture.layers import Conv2d, Dense
from convoscope.architecture.zoo import make


def sides(name: str) -> list[int]:
    """The side of the maps after each convolution and pooling."""
    return [
        place.output_shape[1]
        for place in walk(make(name))
        if place.layer.kind in ("conv2d", "max_pool2d")
    ]


@pytest.mark.parametrize(
    ("name", "expected", "flat"),
    [
        ("two-conv", [222, 221, 219, 218], 3_041_536),
        ("architecture-1", [54, 26, 22, 10], 1600),
        ("architecture-2", [54, 26, 22, 10, 8, 3], 288),
        ("architecture-3", [54, 26, 22, 10, 8, 6, 2], 256),
        ("given-net", [22, 11], 3872),
    ],
)
def test_published_sizes(name: str, expected: list[int], flat: int) -> None:
    assert sides(name) == expected
    assert make(name).place("flatten").output_shape == (flat,)


def test_the_first_dense_layer_of_two_conv_has_most_of_its_weights() -> None:
    place = make("two-conv").place("dense1")
    assert place.layer.parameter_count(place.input_shape) == 389_316_736


@pytest.mark.parametrize(
    ("name", "conv", "dense"),
    [
        ("two-conv", "kaiming", "fan_in"),
        ("architecture-1", "xavier", "xavier"),
        ("architecture-2", "xavier", "xavier"),
        ("architecture-3", "xavier", "xavier"),
        ("given-net", "xavier", "xavier"),
    ],
)
def test_weights_are_drawn_as_the_sources_drew_them(name: str, conv: str, dense: str) -> None:
    layers = [place.layer for place in walk(make(name))]
    assert {x.initialisation for x in layers if isinstance(x, Conv2d)} == {conv}
    assert {x.initialisation for x in layers if isinstance(x, Dense)} == {dense}


def test_every_convolution_has_a_relu_and_the_last_layer_none() -> None:
    for name in ("two-conv", "architecture-1", "architecture-2", "architecture-3", "given-net"):
        weighted = [p.layer for p in walk(make(name)) if isinstance(p.layer, Conv2d | Dense)]
        assert [layer.activation for layer in weighted] == ["relu"] * (len(weighted) - 1) + [None]
