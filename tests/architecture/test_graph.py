import pytest

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.graph import (
    Architecture,
    Head,
    class_count,
    logit_shapes,
    trunk_shape,
    walk,
    with_classes,
    with_input,
    without_top,
)
from convoscope.architecture.layers import Activation, Conv2d, Dense, Flatten, GlobalAvgPool
from convoscope.errors import ArchitectureError, ShapeError, UnknownNameError


def network(*layers: AnyLayer, heads: tuple[Head, ...] = ()) -> Architecture:
    return Architecture(name="net", input_shape=(3, 8, 8), layers=layers, heads=heads)


def two_heads() -> Architecture:
    return network(
        Conv2d("conv", 4),
        Flatten("flatten"),
        heads=(
            Head(name="shape", layers=(Dense("shape_logits", 5),)),
            Head(name="colour", layers=(Dense("colour_logit", 1),), output="sigmoid"),
        ),
    )


def test_walk_gives_branches_before_the_layer_that_joins_them() -> None:
    inner = Parallel("join", ((Conv2d("a", 2, padding=1),), (Conv2d("b", 1, padding=1),)))
    net = network(
        Residual("sum", (inner,)), heads=(Head(layers=(GlobalAvgPool("mean"), Dense("d", 2))),)
    )
    assert [(p.layer.name, p.depth, p.head) for p in walk(net)] == [
        ("a", 2, None),
        ("b", 2, None),
        ("join", 1, None),
        ("sum", 0, None),
        ("mean", 0, "class"),
        ("d", 0, "class"),
    ]
    assert net.layer_names == ("a", "b", "join", "sum", "mean", "d")


def test_every_head_reads_the_trunk() -> None:
    net = two_heads()
    assert trunk_shape(net) == (4 * 6 * 6,)
    assert logit_shapes(net) == {"shape": (5,), "colour": (1,)}
    assert {place.input_shape for place in walk(net) if place.head} == {(144,)}


def test_a_place_knows_its_shapes_and_an_unknown_layer_the_nearest_name() -> None:
    net = two_heads()
    assert (net.place("conv").input_shape, net.place("conv").output_shape) == ((3, 8, 8), (4, 6, 6))
    with pytest.raises(UnknownNameError, match="there is no layer 'con': did you mean 'conv'"):
        net.place("con")
    assert net.head("colour").output == "sigmoid"
    with pytest.raises(UnknownNameError, match="there is no head 'color': did you mean 'colour'"):
        net.head("color")


def test_a_layer_that_does_not_fit_is_named_with_its_place_among_all() -> None:
    with pytest.raises(
        ShapeError,
        match=r"^layer 'second' \(2 of 3\): a 9x9 kernel with padding 0 does not fit in a map of 6",
    ):
        network(Conv2d("first", 1), Conv2d("second", 1, kernel_size=9), Activation("third"))


def test_a_layer_in_a_branch_that_does_not_fit_is_named() -> None:
    with pytest.raises(ShapeError, match=r"^layer 'inner' \(2 of 3\): a 9x9 kernel"):
        network(Residual("sum", (Conv2d("first", 3), Conv2d("inner", 3, kernel_size=9))))


def test_names_must_be_unique_across_branches_and_heads() -> None:
    with pytest.raises(ArchitectureError, match="layer names must be unique, 'a' is there twice"):
        network(Conv2d("a", 3, padding=1), Residual("sum", (Conv2d("a", 3, padding=1),)))
    with pytest.raises(ArchitectureError, match="head names must be unique, 'class' is there twi"):
        heads = (Head(layers=(Dense("a", 2),)), Head(layers=(Dense("b", 2),)))
        network(Flatten("f"), heads=heads)


@pytest.mark.parametrize("name", ["", "a.b", "a/b"])
def test_names_must_be_usable_as_parameter_prefixes(name: str) -> None:
    with pytest.raises(ArchitectureError, match=r"non-empty and without '\.' and '/', got '"):
        network(Activation(name))


def test_a_head_must_end_in_a_vector() -> None:
    with pytest.raises(
        ArchitectureError, match=r"head 'class': .* vector of logits, got maps of shape \(2, 6, 6\)"
    ):
        network(heads=(Head(layers=(Conv2d("c", 2),)),))


@pytest.mark.parametrize("shape", [(3, 8), (3, 0, 8), (3, 8.0, 8), (3, 8, 65537), (True, 8, 8)])
def test_an_impossible_input_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ShapeError, match=r"must be \(channels, height, width\), each an int from 1"
    ):
        Architecture(name="net", input_shape=shape, layers=())


def test_another_input_keeps_the_layers() -> None:
    net = with_input(two_heads(), (1, 20, 10))
    assert net.layers == two_heads().layers
    assert trunk_shape(net) == (4 * 18 * 8,)


def test_without_top_is_the_trunk() -> None:
    net = without_top(two_heads())
    assert net.layer_names == ("conv", "flatten")
    assert logit_shapes(net) == {}


def test_heads_are_resized_to_their_classes() -> None:
    net = with_classes(two_heads(), {"shape": 7})
    assert logit_shapes(net) == {"shape": (7,), "colour": (1,)}
    net = with_classes(two_heads(), {"colour": 2, "shape": 2})
    assert logit_shapes(net) == {"shape": (2,), "colour": (1,)}
    assert [head.output for head in net.heads] == ["softmax", "sigmoid"]
    net = with_classes(two_heads(), {"colour": 3})
    assert (net.head("colour").output, logit_shapes(net)["colour"]) == ("softmax", (3,))
    head = Head(layers=(Conv2d("conv", 4), GlobalAvgPool("mean"), Activation("relu")))
    assert logit_shapes(with_classes(network(heads=(head,)), {"class": 9})) == {"class": (9,)}


def test_a_head_without_weights_cannot_be_resized() -> None:
    net = network(heads=(Head(layers=(GlobalAvgPool("mean"),)),))
    with pytest.raises(
        ArchitectureError, match=r"head 'class': .* conv layer .*, got global_avg_pool: add a dense"
    ):
        with_classes(net, {"class": 9})
    with pytest.raises(UnknownNameError, match="there is no head 'clas': did you mean 'class'"):
        with_classes(net, {"clas": 9})


def test_one_sigmoid_logit_tells_two_classes_apart() -> None:
    net = two_heads()
    assert class_count(net.head("colour"), 1) == 2
    assert class_count(net.head("shape"), 5) == 5
