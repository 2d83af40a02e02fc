"""A network's layers, sizes and costs, by arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convoscope.architecture.analysis import Analysis, analyse
from convoscope.architecture.graph import without_top
from convoscope.architecture.zoo import resolve
from convoscope.jobs.request import input_shape


def describe(
    model: str | Path,
    *,
    input: str | None = None,  # noqa: A002 - the same word as on the command line
    classes: Mapping[str, int] | int | None = None,
    top: bool = True,
    **options: Any,
) -> Analysis:
    """The table of a ready-made network, or of one in a YAML file; ``top=False`` is its trunk.

    Raises:
        UnknownNameError: if there is no such network; names the nearest.
        ShapeError: if it does not fit the input.
    """
    name = str(model)
    shape = None
    if input is not None:
        shape = input_shape(input, channels=resolve(name, **options).input_shape[0])
    architecture = resolve(name, input_shape=shape, classes=classes, **options)
    return analyse(architecture if top else without_top(architecture))
