"""Statements are read as they were written, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convoscope.errors import RunError
from convoscope.explain.statement_files import read_statements, write_statements
from convoscope.explain.statements import separable, shift_tolerant


def test_statements_are_read_as_they_were_written(tmp_path: Path) -> None:
    said = (
        separable("conv1", np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])),
        separable("conv2", np.array([[0.0], [1.0]]), np.array([0, 1])),
        shift_tolerant("conv1", np.array([0.5, 0.75])[None], [3]),
    )
    assert read_statements(tmp_path) == ()
    write_statements(tmp_path, said)
    assert read_statements(tmp_path) == said


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"statements": [{"about": "shift"}]}'])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "statements.json").write_text(text)
    with pytest.raises(RunError, match=r"statements\.json: must hold statements, .*: delete the"):
        read_statements(tmp_path)
