from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.metrics.conftest import draw_head

from convoscope.errors import RunError
from convoscope.metrics.confidence import choose_temperature
from convoscope.metrics.predictions import Predictions
from convoscope.runs.calibration import calibration_of, choose_calibration
from convoscope.runs.store import Run


def run_with(path: Path, split: str = "validation", *, unknown: int = 0) -> Run:
    """A run that has predictions of that split, its logits three times too large."""
    run = Run(path)
    head = draw_head(seed=4, unknown=unknown)
    sharp = type(head)(class_names=head.class_names, labels=head.labels, logits=3 * head.logits)
    ids = tuple(map(str, range(len(head.labels))))
    run.write_predictions(Predictions(split=split, ids=ids, heads={"class": sharp}))
    return run


def test_the_temperature_is_that_of_the_validation_predictions(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    found = calibration_of(run)
    assert found is not None
    said = run.predictions("validation")
    assert found.temperatures["class"] == choose_temperature(said.heads["class"])
    assert found.temperatures["class"].value > 1.3
    cooled = found.predictions(said).heads["class"]
    np.testing.assert_allclose(
        cooled.logits, said.heads["class"].logits / found.temperatures["class"].value, rtol=1e-6
    )
    assert found.head("another", said.heads["class"]) is said.heads["class"]


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    found = choose_calibration(run)
    assert found is not None
    run.write_calibration(found.to_json())
    assert calibration_of(run) == found
    run.write_predictions(
        Predictions(split="validation", ids=(), heads={"class": draw_head(images=0)})
    )
    assert calibration_of(run) == found, "the kept one counts"


def test_without_validation_labels_there_is_none(tmp_path: Path) -> None:
    assert calibration_of(run_with(tmp_path / "test-only", "test")) is None
    assert calibration_of(run_with(tmp_path / "unlabelled", unknown=200)) is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"schema_version": 9, "heads": {}}, "has schema_version 9, this convoscope reads up to 1"),
        ({"schema_version": 1, "split": "validation"}, "must hold a temperature above 0"),
        (
            {
                "schema_version": 1,
                "split": "validation",
                "heads": {"class": {"value": 0.0, "n": 3, "before": 1.0, "after": 1.0}},
            },
            "must hold a temperature above 0 for each head, this one does not: delete the file",
        ),
        ([], "must hold a temperature above 0"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: Any, sentence: str) -> None:
    run = run_with(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "calibration.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"calibration\.json: ") as error:
        calibration_of(run)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
