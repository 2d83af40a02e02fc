from collections.abc import Callable

import pytest
from hypothesis import given, settings
from tests.architecture.conftest import architectures, outputs

from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool2d,
    SeparableConv2d,
)
from convoscope.architecture.protocol import Shape
from convoscope.errors import ArchitectureError, ShapeError


@given(architectures())
@settings(deadline=None)
def test_shapes_and_parameters_are_those_of_pytorchs_modules(architecture: Architecture) -> None:
    found, modules = outputs(architecture)
    for place in walk(architecture):
        name = place.layer.name
        assert place.output_shape == tuple(found[name].shape[1:])
        if name in modules:
            theirs = sum(parameter.numel() for parameter in modules[name].parameters())
            assert place.layer.parameter_count(place.input_shape) == theirs


def test_a_convolution_counts_weights_and_products() -> None:
    conv = Conv2d("conv", 8, kernel_size=3, stride=2, padding=1, groups=2)
    assert conv.parameter_shapes((4, 9, 9)) == {"weight": (8, 2, 3, 3), "bias": (8,)}
    assert conv.parameter_count((4, 9, 9)) == 8 * 2 * 9 + 8
    assert conv.macs((4, 9, 9)) == (8 * 5 * 5) * (2 * 9)
    assert conv.buffer_shapes((4, 9, 9)) == {}


def test_a_separable_convolution_counts_both_of_its_steps() -> None:
    conv = SeparableConv2d("conv", 8, kernel_size=3, bias=False)
    assert conv.parameter_shapes((4, 9, 9)) == {
        "depthwise": (4, 1, 3, 3),
        "pointwise": (8, 4, 1, 1),
    }
    assert conv.macs((4, 9, 9)) == 7 * 7 * 4 * 9 + 7 * 7 * 8 * 4


def test_a_dense_layer_counts_weights_and_products() -> None:
    dense = Dense("dense", 5, bias=False)
    assert dense.parameter_shapes((7,)) == {"weight": (5, 7)}
    assert dense.macs((7,)) == 35


def test_batch_norm_has_parameters_and_buffers_per_channel() -> None:
    norm = BatchNorm("norm")
    assert norm.parameter_shapes((6, 4, 4)) == {"weight": (6,), "bias": (6,)}
    assert norm.buffer_shapes((6,)) == {"running_mean": (6,), "running_var": (6,)}
    assert norm.macs((6, 4, 4)) == 0


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Flatten("flatten"), (2, 3, 4), (24,)),
        (Flatten("flatten"), (5,), (5,)),
        (GlobalMaxPool("pool"), (2, 3, 4), (2,)),
        (GlobalAvgPool("pool"), (2, 3, 4), (2,)),
        (Dropout("dropout"), (2, 3, 4), (2, 3, 4)),
        (MaxPool2d("pool"), (2, 5, 4), (2, 2, 2)),
        (MaxPool2d("pool", ceil_mode=True), (2, 5, 4), (2, 3, 2)),
        (AvgPool2d("pool", kernel_size=3, stride=2, padding="same"), (2, 5, 4), (2, 3, 2)),
    ],
)
def test_layers_without_weights_only_change_the_shape(
    layer: Flatten | GlobalMaxPool | Dropout | MaxPool2d | AvgPool2d, shape: Shape, expected: Shape
) -> None:
    assert layer.output_shape(shape) == expected
    assert layer.parameter_shapes(shape) == {}
    assert layer.buffer_shapes(shape) == {}
    assert (layer.parameter_count(shape), layer.macs(shape)) == (0, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d("c", 0), "layer 'c': filters must be an int >= 1, got 0"),
        (lambda: Conv2d("c", 1, stride=0), "layer 'c': stride must be an int >= 1, got 0"),
        (lambda: Conv2d("c", True), "layer 'c': filters must be an int >= 1, got True"),
        (
            lambda: Conv2d("c", 2**54),
            "layer 'c': filters must be at most 9007199254740992",
        ),
        (lambda: Conv2d("c", 1, padding=-1), "padding must be an int >= 0, 'same' or 'valid', got"),
        (
            lambda: Conv2d("c", 1, padding="full"),  # type: ignore[arg-type]
            "layer 'c': padding must be an int >= 0, 'same' or 'valid', got 'full'",
        ),
        (
            lambda: Conv2d("c", 1, activation="rleu"),  # type: ignore[arg-type]
            "layer 'c': activation must be one of relu, .*, sigmoid, got 'rleu'",
        ),
        (
            lambda: Dense("d", 1, initialisation="zeros"),  # type: ignore[arg-type]
            "layer 'd': initialisation must be one of kaiming, xavier, fan_in, got 'zeros'",
        ),
        (
            lambda: Activation("a", "swish"),  # type: ignore[arg-type]
            "layer 'a': function must be one of relu, .*, sigmoid, got 'swish'",
        ),
        (lambda: SeparableConv2d("s", -2), "layer 's': filters must be an int >= 1, got -2"),
        (lambda: MaxPool2d("p", stride=0), "layer 'p': stride must be an int >= 1, got 0"),
        (
            lambda: AvgPool2d("p", padding=2),
            "layer 'p': padding of a pooling layer must be at most half its kernel, "
            "got padding 2 for a 2x2 window",
        ),
        (lambda: Dropout("d", 1.0), "layer 'd': rate must be at least 0 and below 1, got 1.0"),
        (lambda: Dropout("d", float("nan")), "rate must be at least 0 and below 1, got nan"),
        (lambda: BatchNorm("b", momentum=2), r"layer 'b': momentum must lie in 0\.\.1, got 2"),
        (lambda: BatchNorm("b", eps=0), "layer 'b': eps must be a finite number above 0, got 0"),
    ],
)
def test_impossible_fields_are_refused_when_the_layer_is_made(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Conv2d("c", 4, groups=2),
            (3, 9, 9),
            "groups must divide channels and filters, got groups=2 with 3 channels and 4 filters",
        ),
        (Conv2d("c", 4), (9,), r"takes maps \(C, H, W\), got a vector of shape \(9,\): put it"),
        (MaxPool2d("p"), (9,), r"takes maps \(C, H, W\), got a vector of shape \(9,\): put it"),
        (
            Dense("d", 4),
            (3, 9, 9),
            r"a dense layer takes a vector, got maps of shape \(3, 9, 9\): put a flatten",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_one_sentence(
    layer: Conv2d | MaxPool2d | Dense, shape: Shape, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.output_shape(shape)
