"""The section on layers: a question each, the first and the last answer, and all as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.report.conftest import Task, write_run

from convoscope.arrays import generator
from convoscope.explain.statement_files import write_statements
from convoscope.explain.statements import oriented_filters, separable, shift_tolerant
from convoscope.report import statements
from convoscope.report.statements import questions, statements_section

RNG = generator(0, "statements")
LABELS = np.arange(30) % 3
SAID = (
    oriented_filters("conv1", RNG.normal(size=(8, 1, 3, 3))),
    separable("conv1", RNG.normal(size=(30, 4)), LABELS),
    separable("conv2", RNG.normal(size=(30, 4)) + np.eye(4)[LABELS], LABELS),
    separable("conv3", RNG.normal(size=(30, 4)) + 9 * np.eye(4)[LABELS], LABELS),
    shift_tolerant("conv1", np.array([[0.8] * 10, [0.5] * 10, [0.2] * 10]), [1, 2, 4], step=1),
    shift_tolerant("pool1", np.array([[0.9] * 10, [0.7] * 10, [0.6] * 10]), [1, 2, 4], step=4),
)


def test_each_question_has_the_first_and_the_last_answer_and_every_layer() -> None:
    direction, apart, shift = questions(SAID)
    assert direction.title == statements.TITLES["direction"]
    assert direction.sentences == (SAID[0].sentence,)
    assert apart.sentences == (SAID[1].sentence, SAID[3].sentence)
    assert [row.layer for row in apart.rows] == ["conv1", "conv2", "conv3"]
    assert apart.rows[2].value.startswith("100.0")
    assert apart.rows[0].chance.startswith("33.3")
    assert (shift.rows[0].value, shift.rows[0].interval) == ("0.50", "0.50–0.50")
    assert shift.rows[1].layer == "pool1, a cell per 4 px"
    assert (apart.chart, direction.chart) == (None, None)
    assert shift.chart is not None
    assert "conv1 0.80 with 1, 0.50 with 2, 0.20 with 4; pool1 (1 : 4) 0.90 with 1" in shift.chart
    assert (apart.has_chance, shift.has_chance) == (True, True)


def test_a_run_whose_layers_nobody_measured_has_no_section(tmp_path: Path) -> None:
    task = Task(heads={"size": (("small", "large"), lambda values: values // 8)}, epochs=2)
    run = write_run(tmp_path / "run", task)
    assert statements_section(run.path) == ()
    write_statements(tmp_path, SAID)
    assert statements_section(run.path) == (), "what lies elsewhere is not the run's"
