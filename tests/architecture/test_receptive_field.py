import pytest
from hypothesis import given, settings
from tests.architecture.conftest import architectures, reach, reached

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import (
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
    MaxPool2d,
)
from convoscope.architecture.receptive_field import Box, ReceptiveField, receptive_field
from convoscope.architecture.zoo import make
from convoscope.errors import SettingsError


def network(side: int, *layers: AnyLayer) -> Architecture:
    return Architecture(name="net", input_shape=(1, side, side), layers=layers)


def check_against_gradients(architecture: Architecture) -> None:
    """Assert that every cell's patch is the support of its gradient."""
    image, found = reach(architecture)
    fields = receptive_field(architecture)
    assert set(fields) == set(architecture.layer_names)
    for name, maps in found.items():
        for row in range(maps.shape[2]):
            for column in range(maps.shape[3]):
                expected = reached(image, maps[0, 0, row, column])
                assert fields[name].patch(row, column) == expected, (name, row, column)


@given(architectures())
@settings(max_examples=60, deadline=None)
def test_patches_are_the_support_of_gradients(architecture: Architecture) -> None:
    check_against_gradients(architecture)


@given(architectures())
@settings(max_examples=60, deadline=None)
def test_a_patch_is_never_larger_than_the_size(architecture: Architecture) -> None:
    fields = receptive_field(architecture)
    for field in fields.values():
        for row in range(len(field.rows.firsts)):
            box = field.patch(row, 0)
            assert box.bottom - box.top <= field.size[0]
            assert box.right - box.left <= field.size[1]


@given(architectures(with_branches=False))
@settings(max_examples=60, deadline=None)
def test_the_formula_holds_the_patch(architecture: Architecture) -> None:
    height = architecture.input_shape[1]
    for field in receptive_field(architecture).values():
        for row in range(len(field.rows.firsts)):
            first = field.start[0] + row * field.jump[0]
            box = field.patch(row, 0)
            assert max(first, 0) <= box.top < box.bottom <= min(first + field.size[0], height)


def test_without_padding_the_formula_is_the_patch() -> None:
    field = receptive_field(
        network(
            60,
            Conv2d("conv1", 1, kernel_size=11, stride=4),
            MaxPool2d("pool1", kernel_size=3, stride=2),
            Conv2d("conv2", 1, kernel_size=2, dilation=2),
        )
    )["conv2"]
    assert (field.size, field.jump, field.start) == ((35, 35), (8, 8), (0, 0))
    for row in range(3):
        assert field.patch(row, 1) == Box(8 * row, 8, 8 * row + 35, 43)


@pytest.mark.parametrize(
    "layers",
    [
        # the second stride leaves the last pixel unseen, however far the formula goes
        (Conv2d("a", 1, kernel_size=1, stride=2), Conv2d("b", 1, padding=1)),
        # the first tap inside is not the first cell inside
        (Conv2d("a", 1, kernel_size=3, dilation=2, padding=3), MaxPool2d("p", stride=1)),
        # border cells that see nothing but zeros, alone and through a window
        (Conv2d("a", 1, kernel_size=1, padding=2), Conv2d("b", 1, kernel_size=2)),
        (MaxPool2d("p", kernel_size=3, stride=2, ceil_mode=True), Conv2d("b", 1, padding="same")),
        # branches that move at different strides
        (
            Parallel(
                "join",
                (
                    (Conv2d("a", 1, kernel_size=1, stride=2),),
                    (Conv2d("b", 1, kernel_size=4),),
                ),
            ),
        ),
    ],
)
def test_borders_gaps_and_unequal_branches_are_exact(layers: tuple[AnyLayer, ...]) -> None:
    check_against_gradients(network(6, *layers))


def test_a_cell_that_sees_only_padding_has_an_empty_patch() -> None:
    field = receptive_field(network(5, Conv2d("conv", 1, kernel_size=1, padding=1)))["conv"]
    assert field.patch(0, 3) == Box(0, 0, 0, 0)
    assert field.patch(1, 1) == Box(0, 0, 1, 1)


def test_a_residual_layer_sees_what_its_widest_path_sees() -> None:
    body = (Conv2d("a", 1, padding=1), Conv2d("b", 1, padding=1))
    fields = receptive_field(network(9, Residual("sum", body), Conv2d("next", 1)))
    assert fields["sum"].size == (5, 5)
    assert fields["sum"].start == (-2, -2)
    assert fields["next"].size == (7, 7)


def test_unequal_strides_meet_in_a_size_that_holds_every_cell() -> None:
    branches = ((Conv2d("a", 1, kernel_size=1, stride=2),), (Conv2d("b", 1, kernel_size=4),))
    field = receptive_field(network(6, Parallel("join", branches)))["join"]
    assert (field.size, field.jump) == ((4, 4), (2, 2))
    assert field.patch(2, 2) == Box(2, 2, 6, 6)


@pytest.mark.parametrize(
    ("net", "layer", "size", "jump"),
    [
        ("vgg19", "block5_conv4", 252, 16),
        ("vgg19", "block5_pool", 268, 32),
        ("vgg16", "block5_pool", 212, 32),
        ("vgg16", "block1_conv2", 5, 1),
        ("architecture-1", "pool2", 67, 16),
        ("given-net", "pool1", 8, 2),
    ],
)
def test_published_receptive_fields(net: str, layer: str, size: int, jump: int) -> None:
    field = receptive_field(make(net))[layer]
    assert (field.size, field.jump) == ((size, size), (jump, jump))


def test_vgg19_neurons_of_the_last_convolution_are_clipped_to_the_image() -> None:
    field = receptive_field(make("vgg19"))["block5_conv4"]
    assert field.start == (-118, -118)
    assert field.patch(0, 0) == Box(0, 0, 134, 134)
    assert field.patch(13, 6) == Box(90, 0, 224, 224)


def test_a_vector_has_one_cell_that_sees_everything() -> None:
    net = network(8, Conv2d("conv", 2, padding=1), Flatten("flatten"), Dense("dense", 3))
    fields = receptive_field(net)
    assert fields["flatten"].patch(0, 0) == fields["dense"].patch(0, 0) == Box(0, 0, 8, 8)
    assert fields["dense"].jump == (0, 0)
    with pytest.raises(SettingsError, match=r"row must lie in 0\.\.0 of this layer's map, got 1"):
        fields["dense"].patch(1, 0)


@pytest.mark.parametrize("pool", [GlobalAvgPool("p"), Flatten("p")])
def test_what_is_cut_off_before_a_global_layer_stays_unseen(pool: AnyLayer) -> None:
    fields = receptive_field(network(7, MaxPool2d("pool"), pool))
    assert fields["p"].patch(0, 0) == Box(0, 0, 6, 6)


def test_heights_and_widths_are_apart() -> None:
    net = Architecture(name="n", input_shape=(1, 4, 9), layers=(Conv2d("conv", 1, stride=3),))
    field: ReceptiveField = receptive_field(net)["conv"]
    assert field.patch(0, 2) == Box(0, 6, 3, 9)
    with pytest.raises(SettingsError, match=r"column must lie in 0\.\.2 of this layer's map, got"):
        field.patch(0, -1)


def test_heads_are_followed_from_the_trunk() -> None:
    fields = receptive_field(make("four-heads"))
    assert fields["colour_logit"].patch(0, 0) == Box(0, 0, 28, 28)
