from __future__ import annotations

import re

import pytest
from tests.pictures.conftest import Drawing

from convoscope.report.learning_parts import Together, learnt_together

HISTORIES = [
    [{"epoch": 1, "train_loss": 3.0, "validation_loss": 2.0}],
    [
        {"epoch": 1, "train_loss": 1.0, "validation_loss": 2.5},
        {"epoch": 2, "train_loss": 0.5, "validation_loss": 2.2},
    ],
    [
        {"epoch": 1, "train_loss": 2.0, "validation_loss": 2.4},
        {"epoch": 2, "train_loss": 1.5, "validation_loss": 2.1},
    ],
]


@pytest.fixture
def together() -> Together:
    found = learnt_together(HISTORIES, "fold")
    assert found is not None
    return found


def heights(path: str | None) -> list[float]:
    return [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path or "")]


def test_each_training_is_a_thin_line_and_their_median_a_bold_one(together: Together) -> None:
    ((score, chart),) = together.charts
    paths = Drawing(chart).find("path", "curve")
    thin = [path for path in paths if "thin" in (path.get("class") or "").split()]
    bold = [path for path in paths if path not in thin]
    assert (score, len(thin), len(bold)) == ("loss", 6, 2)
    train = {heights(p.get("d"))[0] for p in thin if "orange" in (p.get("class") or "")}
    (middle,) = heights(next(p.get("d") for p in bold if "orange" in (p.get("class") or "")))
    assert middle == sorted(train)[1], "of 3, 1 and 2 the median is 2"


def test_the_median_ends_where_the_first_training_ends(together: Together) -> None:
    assert together.sentence == (
        "Each thin line is one fold, the bold one the median of all 3 as far as all of them went, "
        "which is epoch 1 of at most 2."
    )
    level = learnt_together(HISTORIES[1:], "seed")
    assert level is not None
    assert level.sentence.endswith(
        "Each thin line is one seed, the bold one the median of all 2 as far as all of them went."
    )


def test_only_the_medians_are_named(together: Together) -> None:
    ((_, chart),) = together.charts
    texts = Drawing(chart).texts()
    assert [texts.count(name) for name in ("train", "validation")] == [1, 1]
    assert "loss over 2 epochs: train from 2 to 2, validation from 2.4 to 2.4" in chart


def test_where_one_of_them_learnt_in_no_epochs_there_are_no_curves() -> None:
    assert learnt_together([*HISTORIES, []], "fold") is None
    assert learnt_together([], "fold") is None
