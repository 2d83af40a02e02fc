import pytest

from convoscope.architecture.branches import Adopted, Parallel, Residual, chain
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import Conv2d, MaxPool2d
from convoscope.architecture.receptive_field import Box, receptive_field
from convoscope.architecture.windows import POINT
from convoscope.errors import ArchitectureError, ShapeError


def test_a_residual_layer_needs_one_shape_from_body_and_shortcut() -> None:
    layer = Residual("sum", (Conv2d("conv", 8, padding=1),))
    with pytest.raises(
        ShapeError,
        match=r"body and the shortcut of a residual branch must give one shape, got \(8, 6, 6\) "
        r"and \(3, 6, 6\): give the shortcut a 1x1 convolution",
    ):
        layer.output_shape((3, 6, 6))


def test_parallel_branches_need_maps_of_one_size_and_add_their_channels() -> None:
    wide, narrow = Conv2d("wide", 8, padding=1), Conv2d("narrow", 4)
    with pytest.raises(ShapeError, match=r"must give maps of one size, got \[\(8, 6, 6\), \(4, 4"):
        Parallel("join", ((wide,), (narrow,))).output_shape((3, 6, 6))
    assert Parallel("join", ((wide,), ())).output_shape((3, 6, 6)) == (11, 6, 6)


def test_joining_looks_at_one_cell_of_each_branch() -> None:
    conv = Conv2d("conv", 1, padding=1)
    assert Residual("sum", (conv,)).window((1, 6, 6)) == POINT
    assert Parallel("join", ((conv,),)).window((1, 6, 6)) == POINT


def test_empty_branches_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="layer 'r': body must hold at least one layer"):
        Residual("r", ())
    with pytest.raises(ArchitectureError, match="layer 'p': branches must hold at least one bran"):
        Parallel("p", ())


def test_a_residual_layers_activation_must_be_known() -> None:
    with pytest.raises(ArchitectureError, match="layer 'r': activation must be one of relu"):
        Residual("r", (Conv2d("c", 1),), activation="rleu")  # type: ignore[arg-type]


def test_errors_in_a_chain_name_the_layer() -> None:
    with pytest.raises(ShapeError, match="layer 'pool': a 5x5 kernel with padding 0 does not fit"):
        chain([Conv2d("conv", 1), MaxPool2d("pool", kernel_size=5)], (1, 6, 6))


def test_an_adopted_network_tells_what_it_was_counted_to_be() -> None:
    adopted = Adopted(
        "backbone",
        source="timm/resnet50",
        cut="layer4",
        maps=(2048, 7, 7),
        parameters=23_508_032,
        multiply_accumulates=4_087_136_256,
    )
    architecture = Architecture(name="a", input_shape=(3, 224, 224), layers=(adopted,))
    place = architecture.place("backbone")
    assert place.output_shape == (2048, 7, 7)
    assert adopted.parameter_count(place.input_shape) == 23_508_032
    assert adopted.macs(place.input_shape) == 4_087_136_256
    assert adopted.parameter_shapes(place.input_shape) == {}
    assert adopted.buffer_shapes(place.input_shape) == {}
    field = receptive_field(architecture)["backbone"]
    assert {field.patch(row, 6 - row) for row in range(7)} == {Box(0, 0, 224, 224)}


def test_an_adopted_networks_counts_must_be_counts() -> None:
    with pytest.raises(ArchitectureError, match="layer 'a': parameters must be an int >= 1, got 0"):
        Adopted("a", source="s", cut="c", maps=(1, 1, 1), parameters=0, multiply_accumulates=1)
