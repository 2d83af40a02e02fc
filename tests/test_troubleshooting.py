"""The troubleshooting page speaks of messages that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEADINGS = re.findall(
    r"^### (.+)$", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
)


def texts(file: Path) -> list[str]:
    """The strings of a module; what an f-string fills in is a gap."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "\0" for p in node.values)
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


@pytest.fixture(scope="module")
def messages() -> str:
    """Every string of the source, one after the other."""
    files = sorted((ROOT / "src").rglob("*.py"))
    assert files
    return "\n".join(text for file in files for text in texts(file))


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_message_of_each_heading_is_in_the_source(heading: str, messages: str) -> None:
    assert heading in messages


def test_there_are_headings_and_none_is_there_twice() -> None:
    assert len(HEADINGS) > 30
    assert len(set(HEADINGS)) == len(HEADINGS)


def test_each_heading_says_why_and_what_to_do() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        assert len(text.split("\n## ")[0].strip()) > 40, heading


def test_every_option_that_is_advised_is_there() -> None:
    from click.testing import CliRunner

    from convoscope.cli import program

    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    commands = (
        ["train"],
        ["describe"],
        ["data", "split"],
        ["data", "fetch"],
        ["weights", "import"],
        ["ladder"],
        ["predict"],
        ["explain"],
        ["maximise"],
        ["atlas"],
        ["experiment"],
    )
    helps = "".join(CliRunner().invoke(program, [*words, "--help"]).output for words in commands)
    for option in sorted(set(re.findall(r"--[a-z-]+", page))):
        assert re.search(rf"{option}\b", helps), option
