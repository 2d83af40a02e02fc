"""A command line to try things on, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result
from tests.networks import TINY_WITH_DROPOUT

from convoscope.cli import program
from convoscope.runs import Run

Convoscope: TypeAlias = Callable[..., Result]


@pytest.fixture
def convoscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convoscope:
    """``convoscope("runs", "list")``: the result, with ``exit_code``, ``stdout`` and ``stderr``.

    The working directory is a fresh one, so that ``runs/`` lands there.
    """
    monkeypatch.chdir(tmp_path)

    def run(*words: object, typed: str | None = None) -> Result:
        result = CliRunner().invoke(program, [str(word) for word in words], input=typed)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A network for 16x16 pictures that trains in no time, with dropout to be reproduced."""
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY_WITH_DROPOUT)
    return file


_TINY_FOR_DIGITS = """\
name: tiny
input_shape: [1, 8, 8]
layers:
- {kind: conv2d, name: conv, filters: 4, activation: relu}
heads:
  class:
    layers:
    - {kind: global_avg_pool, name: pool}
    - {kind: dense, name: dense, units: 10}
"""


def looked_at_digits(folder: Path) -> Run:
    """A run below the folder: a small network that has looked at digits, with the NumPy engine."""
    from convoscope.jobs.train import train

    (folder / "tiny.yaml").write_text(_TINY_FOR_DIGITS)
    return train(
        "digits", model=folder / "tiny.yaml", out=folder / "run", epochs=1, engine="numpy", batch=64
    )
