from __future__ import annotations

import pytest

from convoscope.architecture.graph import Architecture, trunk_shape, walk, without_top
from convoscope.architecture.layers import BatchNorm, Conv2d
from convoscope.architecture.zoo import make
from convoscope.architecture.zoo.mobile import mobilenet_v2, squeezenet1_0
from convoscope.errors import SettingsError

IMAGE = (3, 224, 224)


def parameters(architecture: Architecture) -> int:
    return sum(place.layer.parameter_count(place.input_shape) for place in walk(architecture))


def test_both_have_the_published_numbers_of_parameters() -> None:
    assert parameters(make("squeezenet1_0")) == 1_248_424
    assert parameters(make("mobilenet_v2")) == 3_504_872


def test_squeezenet_maps_have_the_sizes_of_its_paper() -> None:
    net = squeezenet1_0((3, 227, 227))
    sizes = {name: net.place(name).output_shape for name in ("conv1", "pool1", "pool4", "pool8")}
    assert sizes == {
        "conv1": (96, 111, 111),
        "pool1": (96, 55, 55),
        "pool4": (256, 27, 27),
        "pool8": (512, 13, 13),
    }
    assert trunk_shape(net) == (512, 13, 13)


def test_a_last_pooling_window_that_sticks_out_is_kept() -> None:
    net = squeezenet1_0(IMAGE)
    assert net.place("conv1").output_shape == (96, 109, 109)
    assert net.place("pool1").output_shape == (96, 54, 54)
    assert net.place("pool4").output_shape == (256, 27, 27)  # 26.5 without it: 26


def test_caffes_squeezenet_pads_its_last_convolution() -> None:
    assert squeezenet1_0(IMAGE).place("conv10").output_shape == (1000, 13, 13)
    padded = squeezenet1_0(IMAGE, final_padding=1)
    assert padded.place("conv10").output_shape == (1000, 15, 15)


def test_mobilenet_stages_have_the_sizes_of_its_paper() -> None:
    net = mobilenet_v2(IMAGE)
    ends = ("Conv1", "expanded_conv_project", "block_2_add", "block_5_add", "block_9_add",
            "block_12_add", "block_15_add", "block_16_project", "Conv_1")  # fmt: skip
    assert [net.place(name).output_shape for name in ends] == [
        (32, 112, 112), (16, 112, 112), (24, 56, 56), (32, 28, 28), (64, 14, 14), (96, 14, 14),
        (160, 7, 7), (320, 7, 7), (1280, 7, 7),
    ]  # fmt: skip
    macs = sum(place.layer.macs(place.input_shape) for place in walk(net))
    assert round(macs / 1e6) == 301  # "300M" in the paper's table 4


@pytest.mark.parametrize(("width", "count"), [(0.35, 410_208), (0.5, 706_224), (1.4, 4_363_712)])
def test_widths_have_as_many_trainable_weights_as_keras_has(width: float, count: int) -> None:
    trunk = without_top(mobilenet_v2(IMAGE, width=width))
    norms = sum(2 * p.input_shape[0] for p in walk(trunk) if isinstance(p.layer, BatchNorm))
    assert parameters(trunk) + norms == count  # Keras counts the running statistics, too


def test_renderings_differ_in_padding_eps_and_norms() -> None:
    keras, torch, folded = (mobilenet_v2(IMAGE, norm=n) for n in ("keras", "torch", "folded"))
    assert [net.place("block_1_depthwise").layer.window((96, 112, 112)).before for net in (
        keras, torch, folded)] == [(0, 0), (1, 1), (0, 0)]  # fmt: skip
    epsilons = [
        {p.layer.eps for p in walk(net) if isinstance(p.layer, BatchNorm)} for net in (keras, torch)
    ]
    assert epsilons == [{1e-3}, {1e-5}]
    kinds = {place.layer.kind for place in walk(folded)}
    assert "batch_norm" not in kinds
    biases = {p.layer.bias for p in walk(folded) if isinstance(p.layer, Conv2d)}
    assert biases == {True}
    assert set(folded.layer_names) < set(keras.layer_names)


@pytest.mark.parametrize("width", [0, -1, 11])
def test_an_impossible_width_is_told(width: float) -> None:
    with pytest.raises(SettingsError, match=r"width must be above 0 and at most 10, got .*: 1 is"):
        mobilenet_v2(IMAGE, width=width)
