"""The page that walks through the arithmetic: its examples run and say what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-it-computes.md"
EXAMPLES = [
    code
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    if code.startswith("import")
]


def run(code: str, capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(code, str(PAGE), "exec"), {})
    return capsys.readouterr().out


def test_the_relu_example_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(EXAMPLES[0], capsys).splitlines()
    promised = [comment.strip() for comment in re.findall(r"# (.*)", EXAMPLES[0])]
    assert printed == promised


def test_a_step_of_the_example_lowers_its_loss(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = run(EXAMPLES[1], capsys).split(" -> ")
    assert float(after) < float(before)


def test_the_nudge_agrees_with_the_derivative(capsys: pytest.CaptureFixture[str]) -> None:
    derivative, nudge = (
        float(value) for value in re.findall(r"\[(.*?)\]", run(EXAMPLES[2], capsys))
    )
    assert derivative == pytest.approx(nudge, rel=1e-6)


def test_every_file_that_the_page_names_is_there() -> None:
    engine = PAGE.parents[1] / "src" / "convoscope" / "engines" / "numpy"
    for name in re.findall(r"`(?:\.\./)?(\w+\.py)`", PAGE.read_text(encoding="utf-8")):
        assert (engine / name).exists() or (engine / "functional" / name).exists(), name
