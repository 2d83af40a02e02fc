"""How a table or an ``.npz`` file is read, as options for every command that opens one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class ReadingOption(NamedTuple):
    """An option's name and what click is told of it."""

    name: str
    attributes: Mapping[str, Any]


READING: tuple[ReadingOption, ...] = (
    ReadingOption(
        "--image-column",
        {
            "metavar": "COLUMN",
            "help": "Column of the table that names the images, where it is not found by itself.",
        },
    ),
    ReadingOption(
        "--label-column",
        {
            "metavar": "COLUMN",
            "multiple": True,
            "help": "Column of the table with the classes; may be given again, each is a head.",
        },
    ),
    ReadingOption(
        "--label-pattern",
        {
            "metavar": "PATTERN",
            "help": "Labels stand in the names of a folder's files, each {field} is a head: "
            "'{length}_{width}_{id}'. {id} is a number, {_} any text, both no labels.",
        },
    ),
    ReadingOption(
        "--combine-labels",
        {
            "is_flag": True,
            "help": "Make one class of each combination of several labels.",
        },
    ),
    ReadingOption(
        "--split-column",
        {
            "metavar": "COLUMN",
            "help": "Column of the table that says train, validation or test.",
        },
    ),
    ReadingOption(
        "--image-root",
        {
            "metavar": "DIR",
            "help": "Folder that the table's paths start from, if not the table's own.",
        },
    ),
    ReadingOption(
        "--image-shape",
        {
            "metavar": "HxW[xC]",
            "help": "Shape of an image in an .npz file that has them flattened, such as 32x32x3.",
        },
    ),
    ReadingOption(
        "--image-layout",
        {
            "type": click.Choice(["hwc", "chw"]),
            "help": "Whether an .npz file has the channels last or first, where both could be.",
        },
    ),
)


def reading_options(function: F) -> F:
    """Give a command every option of reading, by the names of
    :class:`~convoscope.jobs.source.ReadingOptions`.
    """
    for option in reversed(READING):
        function = click.option(option.name, **option.attributes)(function)
    return function
