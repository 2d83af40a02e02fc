"""Several label columns as one: a class for each combination of them that occurs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convoscope.data.class_indices import UNKNOWN
from convoscope.data.dataset import Dataset
from convoscope.errors import DataError

HEAD = "class"
_JOINT = "_"


def combined(dataset: Dataset) -> Dataset:
    """The data set with one head, ``class``, whose classes are the combinations of labels found.

    They are named ``15_3_135_red`` and stand in the order of their labels; what each of them is in
    each of the former heads is kept in ``factors``. An image that lacks a label has no class.

    Raises:
        DataError: if there is only one head, or fewer than two combinations.
    """
    if len(dataset.labels) < 2:
        raise DataError(
            f"{dataset.place}: to combine labels there must be several, it has only "
            f"{', '.join(dataset.labels)}: leave --combine-labels out"
        )
    columns = np.column_stack(list(dataset.labels.values()))
    known = (columns != UNKNOWN).all(axis=1)
    rows, indices = np.unique(columns[known], axis=0, return_inverse=True)
    if len(rows) < 2:
        raise DataError(
            f"{dataset.place}: there must be at least two combinations of "
            f"{', '.join(dataset.labels)} to tell apart, found {len(rows)}: add images of another, "
            "or leave --combine-labels out"
        )
    words = [
        tuple(names[label] for names, label in zip(dataset.class_names.values(), row, strict=True))
        for row in rows.tolist()
    ]
    labels = np.full(len(dataset), UNKNOWN, dtype=np.int64)
    labels[known] = indices.ravel()
    return replace(
        dataset,
        labels={HEAD: labels},
        class_names={HEAD: tuple(_JOINT.join(values) for values in words)},
        factors={HEAD: dict(zip(dataset.labels, zip(*words, strict=True), strict=True))},
    )
