"""A network with one head answers several questions by copies of it."""

from __future__ import annotations

import re

import pytest

from convoscope.architecture.branches import Parallel, Residual
from convoscope.architecture.graph import Architecture, Head, logit_shapes, walk
from convoscope.architecture.heads import with_heads, with_thresholds
from convoscope.architecture.layers import Activation, Dense, Flatten
from convoscope.architecture.zoo import ZOO, make
from convoscope.errors import ArchitectureError, UnknownNameError

ASKED = {"breed": 7, "colour": 3}


@pytest.mark.parametrize("name", sorted(set(ZOO) - {"four-heads"}))
def test_each_head_is_a_copy_with_its_own_classes(name: str) -> None:
    original = make(name)
    architecture = with_heads(original, ASKED)
    assert logit_shapes(architecture) == {"breed": (7,), "colour": (3,)}
    assert architecture.layers == original.layers
    (head,) = original.heads
    for copy in architecture.heads:
        assert [layer.kind for layer in copy.layers] == [layer.kind for layer in head.layers]
        assert [layer.name for layer in copy.layers] == [
            f"{copy.name}-{layer.name}" for layer in head.layers
        ]


def test_the_copies_of_a_head_add_its_parameters_each() -> None:
    def parameters(architecture: Architecture, head: str | None) -> int:
        return sum(
            place.layer.parameter_count(place.input_shape)
            for place in walk(architecture)
            if place.head == head and place.depth == 0
        )

    two, one = with_heads(make("small"), ASKED), make("small", classes=7)
    assert parameters(two, "breed") == parameters(one, "class") == 256 * 7 + 7
    assert parameters(two, "colour") == 256 * 3 + 3
    assert parameters(two, None) == parameters(one, None)


def test_heads_that_are_there_are_kept_by_their_names() -> None:
    asked = {"angle": 4, "length": 2, "width": 2, "colour": 3}
    architecture = with_heads(make("four-heads"), asked)
    assert logit_shapes(architecture) == {
        "length": (1,),
        "width": (1,),
        "colour": (3,),
        "angle": (4,),
    }
    assert "angle_logits" in architecture.layer_names


def test_a_single_head_is_renamed_and_its_layers_keep_their_names() -> None:
    architecture = with_heads(make("small"), {"species": 3})
    assert logit_shapes(architecture) == {"species": (3,)}
    assert architecture.layer_names == make("small").layer_names


def test_layers_inside_branches_are_renamed_too() -> None:
    body = (Dense("inner", 4), Activation("act"))
    both = Parallel("both", ((Dense("left", 2),), (Dense("right", 2),)))
    head = Head(layers=(Flatten("flat"), Residual("join", body), both, Dense("out", 2)))
    original = Architecture(name="n", input_shape=(1, 2, 2), layers=(), heads=(head,))
    names = with_heads(original, ASKED).layer_names
    assert len(names) == len(set(names)) == 2 * len(original.layer_names)
    assert {"breed-inner", "colour-left", "colour-right", "breed-join"} <= set(names)


def test_a_layer_of_the_trunk_may_have_the_copy_s_name() -> None:
    trunk = (Flatten("flat"), Dense("breed-out", 5), Dense("breed--out", 5))
    head = Head(layers=(Dense("out", 2),))
    original = Architecture(name="n", input_shape=(1, 2, 2), layers=trunk, heads=(head,))
    names = with_heads(original, ASKED).layer_names
    assert names == ("flat", "breed-out", "breed--out", "breed---out", "colour-out")


def test_several_other_heads_are_refused() -> None:
    sentence = (
        "four-heads: the network's heads must be what the data labels (breed, colour), or a single "
        "one that can be copied, got angle, colour, length, width: name the heads like that, or "
        "choose another network"
    )
    with pytest.raises(ArchitectureError, match=re.escape(sentence)):
        with_heads(make("four-heads"), ASKED)


def test_a_name_that_cannot_be_a_head_s_is_refused() -> None:
    with pytest.raises(
        ArchitectureError, match=r"small: head names .* got 'fur/colour': rename it"
    ):
        with_heads(make("small"), {"breed": 2, "fur/colour": 3})


def test_a_threshold_is_the_heads_own() -> None:
    architecture = with_thresholds(make("four-heads"), {"colour": 0.8})
    assert [head.threshold for head in architecture.heads] == [0.5, 0.5, 0.8, 0.5]
    assert with_thresholds(make("four-heads"), {}) == make("four-heads")


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"colour": 0.0}, "head 'colour': threshold must be a probability between 0 and 1, got 0"),
        ({"colour": 1.0}, "head 'colour': threshold must be a probability between 0 and 1, got 1"),
        (
            {"angle": 0.4},
            "head 'angle': a threshold is for a sigmoid of one unit, .* softmax of 12",
        ),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(
    thresholds: dict[str, float], message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        with_thresholds(make("four-heads"), thresholds)


def test_a_threshold_for_a_head_that_is_not_there_is_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'color': did you mean 'colour'"):
        with_thresholds(make("four-heads"), {"color": 0.7})
