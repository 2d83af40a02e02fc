from __future__ import annotations

from collections.abc import Callable

from tests.pictures.conftest import Drawing

from convoscope.pictures.diagram import Block, network_diagram
from convoscope.pictures.palette import standalone

TRUNK = [
    Block(name="image", kind="input", shape=(3, 224, 224)),
    Block(name="conv1", kind="conv2d", shape=(8, 54, 54), learns=True),
    Block(name="pool1", kind="max_pool2d", shape=(8, 26, 26)),
]
HEAD = [Block(name="logits", kind="dense", shape=(5,), learns=True, head="class")]


def test_there_is_a_block_per_layer_and_maps_shrink_in_height(drawing: type[Drawing]) -> None:
    drawn = drawing(network_diagram(TRUNK + HEAD))
    blocks = drawn.find("rect", "block")
    assert len(blocks) == 4
    heights = [float(block.get("height") or 0) for block in blocks[:3]]
    assert heights == sorted(heights, reverse=True)
    assert len(drawn.find("rect", "learns")) == 2
    assert {"224²", "54²", "26²", "3", "8", "5"} <= set(drawn.texts())


def test_several_heads_are_rows_with_their_names(drawing: type[Drawing]) -> None:
    colour = [Block(name="red", kind="dense", shape=(1,), learns=True, head="<colour>")]
    drawn = drawing(network_diagram(TRUNK + HEAD + colour))
    assert {"class", "<colour>"} <= set(drawn.texts())
    tops = {float(block.get("y") or 0) for block in drawn.find("rect", "block")[-2:]}
    assert len(tops) == 2


def test_every_block_lies_inside_the_picture(drawing: type[Drawing]) -> None:
    vector = [Block(name="image", kind="input", shape=(1, 8, 8))]
    wide = [Block(name="fc", kind="dense", shape=(65536,), learns=True, head="class")]
    drawn = drawing(network_diagram(vector + wide))
    height = float(drawn.root.get("height") or 0)
    for block in drawn.find("rect"):
        top = float(block.get("y") or 0)
        assert top >= 0
        assert top + float(block.get("height") or 0) <= height


def test_the_whole_diagram(golden: Callable[[str, str], None]) -> None:
    golden("pictures/network.svg", standalone(network_diagram(TRUNK + HEAD)))
