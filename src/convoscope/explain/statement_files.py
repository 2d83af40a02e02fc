"""Statements as they are saved beside what was explained: ``statements.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from convoscope import disk
from convoscope.errors import RunError
from convoscope.explain.statements import Statement

SCHEMA_VERSION: Final = 1
STATEMENTS: Final = "statements.json"

_STATEMENTS = TypeAdapter(tuple[Statement, ...])


def write_statements(folder: Path, statements: Sequence[Statement]) -> None:
    """Write ``statements.json`` into the folder of an explanation."""
    content = [statement.to_json() for statement in statements]
    whole = {"schema_version": SCHEMA_VERSION, "statements": content}
    text = json.dumps(whole, indent=2, ensure_ascii=False)
    disk.write_text(folder / STATEMENTS, text + "\n")


def read_statements(folder: Path) -> tuple[Statement, ...]:
    """What :func:`write_statements` wrote; none where nothing was measured.

    Raises:
        RunError: if the file is not whole.
    """
    file = folder / STATEMENTS
    if not file.exists():
        return ()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return _STATEMENTS.validate_python(content["statements"])
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{file}: must hold statements, reading it gave {type(error).__name__}: delete the "
            "file, or measure again with  convoscope explain RUN --statements"
        ) from error
