"""CIFAR-10 in its binary version: records of one label byte and 3 x 32 x 32 pixel bytes.

The version that most programs download is made of Python pickles, which can run any code when they
are opened; it is not read here. Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary
version".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convoscope.arrays import ByteArray
from convoscope.data.dataset import Dataset, SplitName
from convoscope.errors import DataError

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = "test_batch.bin"
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32


def read_cifar10(folder: Path) -> Dataset:
    """50,000 images for training and 10,000 for testing, (32, 32, 3), from six files.

    The files may lie anywhere below ``folder``.

    Raises:
        DataError: if one is missing, cut short, or holds a label that is no class.
    """
    found = {path.name: path for path in sorted(folder.rglob("*.bin"))}
    names = (*_TRAIN, _TEST)
    missing = [name for name in names if name not in found]
    if missing:
        kind = (
            "it is the version for Python, which is not safe to open"
            if (any(folder.rglob("data_batch_1")))
            else f"{missing[0]} is not there"
        )
        raise DataError(
            f"{folder}: CIFAR-10 must be its binary version, with {names[0]} to {names[-1]}, but "
            f"{kind}: get cifar-10-binary.tar.gz"
        )
    records = [_records(found[name]) for name in names]
    splits: list[SplitName] = [
        "test" if name == _TEST else "train"
        for name, part in zip(names, records, strict=True)
        for _ in part
    ]
    ids = [
        f"{name.removesuffix('.bin')}/{number:05}"
        for name, part in zip(names, records, strict=True)
        for number in range(len(part))
    ]
    table = np.concatenate(records)
    return Dataset(
        name="cifar10",
        root=folder,
        ids=tuple(ids),
        labels={"class": table[:, 0].astype(np.int64)},
        class_names={"class": CLASSES},
        pixels=np.ascontiguousarray(table[:, 1:].reshape(-1, *_SHAPE).transpose(0, 2, 3, 1)),
        given_split=tuple(splits),
    )


def _records(path: Path) -> ByteArray:
    """(N, 3073): a label and the red, green and blue planes of each image."""
    content = np.fromfile(path, np.uint8)
    if not len(content) or len(content) % _RECORD:
        raise DataError(
            f"{path}: a file of CIFAR-10 must hold whole records of {_RECORD} bytes, it has "
            f"{len(content):,} bytes: the file is cut short, get it again"
        )
    records: ByteArray = content.reshape(-1, _RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise DataError(
            f"{path}: the labels of CIFAR-10 must be from 0 to 9, got {records[:, 0].max()}: this "
            "is another file, get it again"
        )
    return records
