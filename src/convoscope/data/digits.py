"""The embedded data set: 1,797 real handwritten digits of 8 x 8 pixels."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from convoscope.data.dataset import Dataset

_INK = 16


def read_digits() -> Dataset:
    """Scikit-learn's digits, gray (8, 8, 1), their ink 0..16 scaled to 0..255; no split is given.

    Source: Alpaydin and Kaynak 1998, "Optical recognition of handwritten digits", the test part,
    https://doi.org/10.24432/C50P49 (CC BY 4.0).
    """
    digits = load_digits()
    ink = np.round(digits.images * (255 / _INK)).astype(np.uint8)
    return Dataset(
        name="digits",
        root=None,
        ids=tuple(f"digits/{number:04}" for number in range(len(ink))),
        labels={"class": digits.target.astype(np.int64)},
        class_names={"class": tuple(str(name) for name in digits.target_names)},
        pixels=ink[..., None],
    )
