"""Explanations as the network forgets: made small by means, kept, and read back whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convoscope.errors import RunError
from convoscope.runs.explanation_forgetting import (
    FORGETTING,
    LONGEST,
    forgetting,
    read_forgetting,
    write_forgetting,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    values = rng.random((3, 2, 9, 12), dtype=np.float32)
    write_forgetting(tmp_path, forgetting("a", picture, ["cam", "grad-cam++"], values))
    found = read_forgetting(tmp_path)
    assert found is not None
    assert found.name == "a"
    np.testing.assert_array_equal(found.picture, picture)
    for place, name in enumerate(("cam", "grad-cam++")):
        np.testing.assert_array_equal(found.methods[name], values[:, place])
    assert read_forgetting(tmp_path / "other") is None


def test_large_ones_are_means_of_blocks_the_last_of_which_may_be_smaller() -> None:
    height, width = 2 * LONGEST - 1, 3 * LONGEST - 1
    values = np.random.default_rng(1).random((1, 1, height, width))
    picture = np.zeros((height, width, 1), np.uint8)
    small = forgetting("a", picture, ["cam"], values).methods["cam"][0]
    assert small.shape == (-(-height // 3), LONGEST)
    for row, column in ((0, 0), (5, 7), (small.shape[0] - 1, LONGEST - 1)):
        block = values[0, 0, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert small[row, column] == pytest.approx(block.mean(), rel=1e-6)


def test_one_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    (tmp_path / FORGETTING).write_bytes(b"PK\x03\x04 half")
    with pytest.raises(RunError, match=r"must hold explanations of one image, reading it gave"):
        read_forgetting(tmp_path)
