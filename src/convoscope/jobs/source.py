"""From what was asked to the data set: the one place where a request's data is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from convoscope.data.dataset import Dataset
from convoscope.data.reading import Reading
from convoscope.data.sources import open_dataset
from convoscope.data.splits import check_classes_left
from convoscope.errors import placed
from convoscope.jobs.request import TrainRequest, image_shape


class ReadingOptions(TypedDict, total=False):
    """How to read a source, in the words of :class:`~convoscope.jobs.request.TrainRequest`."""

    image_column: str | None
    label_column: str | Sequence[str]
    label_pattern: str | None
    combine_labels: bool | None
    split_column: str | None
    image_root: str | Path | None
    image_shape: str | None
    image_layout: Literal["hwc", "chw"] | None


def reading(options: ReadingOptions) -> Reading:
    """The options as the readers of data take them.

    Raises:
        SettingsError: if ``image_shape`` is no shape.
    """
    root, shape = options.get("image_root"), options.get("image_shape")
    columns = options.get("label_column", ())
    return Reading(
        image_column=options.get("image_column"),
        label_column=(columns,) if isinstance(columns, str) else tuple(columns),
        label_pattern=options.get("label_pattern"),
        combine_labels=bool(options.get("combine_labels")),
        split_column=options.get("split_column"),
        image_root=None if root is None else Path(root).expanduser(),
        image_shape=None if shape is None else image_shape(shape),
        image_layout=options.get("image_layout"),
    )


def asked_reading(asked: TrainRequest) -> Reading:
    """How the request's data is read."""
    return reading(
        {
            "image_column": asked.image_column,
            "label_column": asked.label_column,
            "label_pattern": asked.label_pattern,
            "combine_labels": asked.combine_labels,
            "split_column": asked.split_column,
            "image_root": asked.image_root,
            "image_shape": asked.image_shape,
            "image_layout": asked.image_layout,
        }
    )


def asked_dataset(asked: TrainRequest) -> Dataset:
    """The request's data set, with its groups.

    Raises:
        ConvoscopeError: if there is no such data, or it cannot be used; says why.
    """
    dataset = open_dataset(asked.data, group_by=asked.group_by, reading=asked_reading(asked))
    if asked.split is None:
        with placed(dataset.place):
            check_classes_left(dataset)
    return dataset
