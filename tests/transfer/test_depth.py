from __future__ import annotations

import pytest

from convoscope import engines
from convoscope.architecture.branches import Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten
from convoscope.architecture.zoo import resolve
from convoscope.transfer.depth import blocks_of, head_units, shapes_in_order, trunk_units

NET = Architecture(
    name="net",
    input_shape=(3, 8, 8),
    layers=(
        BatchNorm("norm0"),
        Conv2d("conv1", 4, padding=1),
        BatchNorm("norm1"),
        Residual(
            "block2_add", (Conv2d("a", 4, padding=1), BatchNorm("b"), Conv2d("c", 4, padding=1))
        ),
    ),
    heads=(
        Head(name="one", layers=(Flatten("f"), Dense("hidden", 5), Dense("out", 3))),
        Head(name="two", layers=(Flatten("g"), Dense("other", 2))),
    ),
)


def test_what_has_no_weights_belongs_to_the_layer_before_and_the_first_to_the_one_after() -> None:
    units = trunk_units(NET)
    assert [unit.name for unit in units] == ["conv1", "a", "c"]
    assert {name.partition(".")[0] for name in units[0].parameters} == {"norm0", "conv1", "norm1"}
    assert {name.partition(".")[0] for name in units[1].parameters} == {"a", "b"}


def test_every_parameter_of_the_network_is_in_one_unit() -> None:
    units = [*trunk_units(NET), *(unit for of_head in head_units(NET).values() for unit in of_head)]
    names = [name for unit in units for name in unit.parameters]
    assert sorted(names) == sorted(shapes_in_order(NET))


def test_layers_inside_a_branch_are_of_one_block() -> None:
    assert [name for name, _ in blocks_of(trunk_units(NET))] == ["conv1", "block2"]


def test_heads_stand_side_by_side() -> None:
    found = {head: [unit.name for unit in units] for head, units in head_units(NET).items()}
    assert found == {"one": ["hidden", "out"], "two": ["other"]}


@pytest.mark.parametrize(
    ("name", "last", "count"),
    [("vgg19", "block5", 5), ("squeezenet1_0", "fire9", 9), ("mobilenet_v2", "Conv_1", 20)],
)
def test_blocks_are_those_that_the_author_named(name: str, last: str, count: int) -> None:
    blocks = [block for block, _ in blocks_of(trunk_units(resolve(name)))]
    assert blocks[-1] == last
    assert len(blocks) == count


def test_an_adopted_network_s_blocks_are_read_from_its_paths() -> None:
    plan = engines.blueprint("timm/test_resnet.r160_in1k", (3, 64, 64), cut="layer4")
    units = trunk_units(plan.architecture)
    assert [block for block, _ in blocks_of(units)][-2:] == ["layer3.0", "layer4.0"]
    assert units[-1].parameters[0].startswith("trunk.layer4.0.")
    names = [name for unit in units for name in unit.parameters]
    assert sorted(names) == sorted(plan.shapes)
