from __future__ import annotations

import pytest

from convoscope.architecture.analysis import analyse
from convoscope.architecture.graph import Architecture, Head, trunk_shape
from convoscope.architecture.layers import (
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
)
from convoscope.architecture.zoo import make
from convoscope.errors import ArchitectureError, UnknownNameError
from convoscope.transfer.heads import HEADS, USUAL, with_head

VGG19 = make("vgg19")


def learnt_by_the_head(architecture: Architecture) -> int:
    return sum(row.parameters for row in analyse(architecture).rows if row.head)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_fits_one_and_several_questions_and_a_thousand_classes(head: str) -> None:
    for classes in ({"class": 2}, {"class": 1000}, {"kind": 3, "side": 2}):
        made = with_head(VGG19, head, classes)
        assert {each.name: each.layers[-1].units for each in made.heads} == classes  # type: ignore[union-attr]
        assert all(
            layer.name.rpartition("-")[2].startswith("head_")
            for each in made.heads
            for layer in each.layers
        )


def test_row_5a_learns_as_many_parameters_as_published() -> None:
    made = with_head(VGG19, "flatten", {"class": 5})
    assert learnt_by_the_head(made) == 125_445
    assert analyse(made).parameters == 20_149_829


def test_row_5b_keeps_both_dense_layers_and_replaces_the_last() -> None:
    made = with_head(VGG19, "top", {"class": 3})
    assert [layer.name for layer in made.layers[-3:]] == ["flatten", "fc1", "fc2"]
    assert learnt_by_the_head(made) == 4096 * 3 + 3
    assert trunk_shape(made) == (4096,)


def test_row_5c_is_the_published_stack() -> None:
    (head,) = with_head(VGG19, "max-512", {"class": 3}).heads
    assert head.layers == (
        GlobalMaxPool("head_pool"),
        Dense("head_hidden", 512, activation="relu"),
        Dropout("head_dropout", 0.5),
        Dense("head_dense", 3, initialisation="xavier"),
    )


def test_a_trunk_that_gives_a_vector_is_not_pooled() -> None:
    trunk = Architecture(
        name="t", input_shape=(3, 4, 4), layers=(GlobalAvgPool("gap"), Dense("fc", 8))
    )
    (head,) = with_head(trunk, "linear", {"class": 3}).heads
    assert [layer.kind for layer in head.layers] == ["dense"]
    (head,) = with_head(trunk, "norm-linear", {"class": 3}).heads
    assert [layer.kind for layer in head.layers] == ["dropout", "dense"]
    (head,) = with_head(trunk, "mlp", {"class": 3}).heads
    assert [layer.kind for layer in head.layers] == ["dense", "dropout", "dense"]


def test_a_last_convolution_is_replaced_without_its_relu() -> None:
    top = Head(
        layers=(
            Dropout("drop"),
            Conv2d("conv10", 9, kernel_size=1, activation="relu"),
            GlobalAvgPool("pool10"),
        )
    )
    whole = Architecture(
        name="squeezed", input_shape=(3, 4, 4), layers=(Conv2d("c", 8),), heads=(top,)
    )
    made = with_head(whole, "top", {"class": 4})
    assert [layer.name for layer in made.layers] == ["c", "drop"]
    (head,) = made.heads
    replaced = head.layers[0]
    assert isinstance(replaced, Conv2d)
    assert (replaced.name, replaced.filters, replaced.activation) == ("head_conv10", 4, None)
    assert head.layers[1] == GlobalAvgPool("pool10")


def test_a_new_layer_never_bears_the_name_of_the_one_it_replaces() -> None:
    """With a thousand classes it even has its shape, and must still be drawn anew."""
    made = with_head(VGG19, "top", {"class": 1000})
    assert "predictions" not in made.layer_names


def test_a_network_without_a_top_to_keep_says_so() -> None:
    trunk = Architecture(name="t", input_shape=(3, 4, 4), layers=(Conv2d("c", 2),))
    only_flat = Architecture(
        name="t", input_shape=(3, 4, 4), layers=(), heads=(Head(layers=(Flatten("f"),)),)
    )
    for architecture in (trunk, only_flat):
        with pytest.raises(ArchitectureError, match="t: head 'top' keeps a pretrained head"):
            with_head(architecture, "top", {"class": 3})


def test_an_unknown_head_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no head 'liner': did you mean 'linear'"):
        with_head(VGG19, "liner", {"class": 3})


def test_the_usual_head_normalises_maps_but_not_single_pixels() -> None:
    (head,) = with_head(VGG19, USUAL, {"class": 3}).heads
    kinds = [layer.kind for layer in head.layers]
    assert kinds == ["batch_norm", "global_avg_pool", "dropout", "dense"]
    pixel = Architecture(name="p", input_shape=(3, 4, 4), layers=(Conv2d("c", 8, kernel_size=4),))
    (head,) = with_head(pixel, USUAL, {"class": 3}).heads
    assert [layer.kind for layer in head.layers] == ["global_avg_pool", "dropout", "dense"]
