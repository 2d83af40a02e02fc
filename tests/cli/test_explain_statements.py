"""``explain --statements``: sentences, a file beside what was explained, and one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope, looked_at_digits

from convoscope.jobs.statements import statements_of
from convoscope.runs import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network that has looked at digits, with the NumPy engine."""
    return looked_at_digits(tmp_path_factory.mktemp("stated"))


def test_statements_are_printed_written_and_json(convoscope: Convoscope, run: Run) -> None:
    said = statements_of(run)
    result = convoscope("explain", run.path, "--methods", "grad-cam", "--statements", "-o", "out")
    assert result.exit_code == 0
    assert [one.about for one in said] == ["direction", *["separability"] * 3, *["shift"] * 3]
    for statement in said:
        assert f"· {statement.sentence}" in result.stdout.splitlines()
    expected = [one.to_json() for one in said]
    assert json.loads(Path("out/statements.json").read_text())["statements"] == expected
    words = ("--methods", "grad-cam", "--json", "-o")
    found = json.loads(convoscope("explain", run.path, *words, "two", "--statements").stdout)
    assert found["statements"] == expected
    assert list(expected[0]) == [
        "about",
        "layer",
        "figure",
        "chance",
        "count",
        "sentence",
        "pixels",
        "shifts",
        "step",
    ]
    assert set(expected[0]["figure"]) == {"value", "low", "high"}
    assert "statements" not in json.loads(convoscope("explain", run.path, *words, "three").stdout)


def test_a_backbone_has_no_images_of_its_own(convoscope: Convoscope) -> None:
    result = convoscope("explain", "--backbone", "vgg19", "--statements")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "convoscope: --statements: a network is measured on the images that its run was tested on, "
        "got --backbone, which has none: name a run, as in  convoscope explain RUN --statements"
    ]
