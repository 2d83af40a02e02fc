"""The filter that a user names, writes or keeps in a file, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from convoscope.arrays import Array, FloatArray
from convoscope.errors import SettingsError, placed, unknown_name

KAIMING = "kaiming"
"""Drawn, not written: normal with variance 2 / n, n the number of values of the filter."""

KERNELS: Mapping[str, str] = {
    "blur": "1/9 1/9 1/9; 1/9 1/9 1/9; 1/9 1/9 1/9",
    "laplacian": "0 1 0; 1 -4 1; 0 1 0",
    "sharpen": "0 -1 0; -1 5 -1; 0 -1 0",
    "sobel-x": "-1 0 1; -2 0 2; -1 0 1",
    "sobel-y": "-1 -2 -1; 0 0 0; 1 2 1",
}
"""Filters with a name, written as a user may write one. The Sobel ones answer brightness that
rises to the right (x) and downwards (y).
"""


def read_kernel(text: str) -> tuple[str, FloatArray | None]:
    """A filter's name and its values (k, k) float64; ``None`` for the one that is drawn.

    ``text`` is a name, a file of rows, or the rows themselves.

    Raises:
        UnknownNameError: if it is none of them; names the nearest name.
        SettingsError: if its rows are not those of a filter.
    """
    if text == KAIMING:
        return KAIMING, None
    if text in KERNELS:
        return text, parse_kernel(KERNELS[text])
    if not text.strip():
        raise SettingsError(f"--filter must name a filter or give its rows, got {text!r}")
    file = Path(text)
    if "\n" not in text and len(text) < 1000 and file.is_file():
        with placed(str(file)):
            return file.stem, parse_kernel(_content(file))
    if not any(sign.isdigit() for sign in text):
        raise unknown_name("filter or file", text, [KAIMING, *KERNELS])
    with placed("--filter"):
        return "own", parse_kernel(text)


def parse_kernel(text: str) -> FloatArray:
    """Rows between ``;`` or line ends, numbers between blanks or commas: (k, k) float64.

    A number may be a fraction, ``1/9``.

    Raises:
        SettingsError: if it holds what is no number, or is not a square of finite numbers.
    """
    rows = [row.replace(",", " ").split() for row in text.replace(";", "\n").splitlines()]
    values = [[_number(word) for word in row] for row in rows if row]
    lengths = [len(row) for row in values]
    if len(set(lengths)) > 1:
        raise SettingsError(
            "the rows of a filter must be equally long, got rows of "
            f"{', '.join(map(str, lengths))} numbers: give each row the same number"
        )
    return checked_kernel(np.array(values, dtype=np.float64))


def checked_kernel(values: Array) -> FloatArray:
    """A filter (k, k) as float64, if it is one; k may be even.

    Raises:
        SettingsError: if it is not a square of finite numbers.
    """
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not values.size:
        raise SettingsError(
            f"a filter must be a square of numbers, got an array of shape {values.shape}: "
            "give as many rows as each row has numbers"
        )
    kernel: FloatArray = values.astype(np.float64)
    if not np.isfinite(kernel).all():
        row, column = np.argwhere(~np.isfinite(kernel))[0]
        raise SettingsError(
            f"a filter must hold finite numbers, got {kernel[row, column]} in row {row}, column "
            f"{column}: write a number there"
        )
    return kernel


def _number(word: str) -> float:
    try:
        return float(Fraction(word)) if "/" in word else float(word)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise SettingsError(
            f"a filter is made of numbers such as -1, 0.5 or 1/9, got {word!r}: write a number"
        ) from error


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"a filter's file must be text, reading it gave {error}: write rows of numbers"
        ) from error
