"""Whose output a layer is given, through branches and into heads."""

from __future__ import annotations

from convoscope.architecture.branches import Parallel, Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, Flatten
from convoscope.architecture.lineage import sources


def test_branches_begin_where_the_branching_does_and_heads_at_the_trunks_end() -> None:
    residual = Residual("sum", (Conv2d("a", 2, padding=1), Conv2d("b", 2, padding=1)), shortcut=())
    parallel = Parallel("both", ((Conv2d("left", 1),), (Conv2d("right", 1),)))
    heads = tuple(Head(name=n, layers=(Flatten(f"f{n}"), Dense(f"d{n}", 2))) for n in "xy")
    architecture = Architecture(
        name="n",
        input_shape=(2, 8, 8),
        layers=(Conv2d("first", 2), residual, parallel),
        heads=heads,
    )
    assert sources(architecture) == {
        "first": None,
        "a": "first",
        "b": "a",
        "sum": "first",
        "left": "sum",
        "right": "sum",
        "both": "sum",
        "fx": "both",
        "dx": "fx",
        "fy": "both",
        "dy": "fy",
    }
    assert set(sources(architecture)) == set(architecture.layer_names)
