"""What is left of a picture when the network forgets: words no stronger than their number."""

from __future__ import annotations

import pytest

from convoscope.explain.scores.board import ALIKE
from convoscope.report.unlearnt import remainder


@pytest.mark.parametrize(
    ("correlation", "depends", "leave"),
    [
        (1.0, "hardly depends on", "leave the order of its pixels nearly as it was"),
        (0.9, "hardly depends on", "leave the order of its pixels nearly as it was"),
        (0.89, "depends little on", "leave most of the order of its pixels"),
        (0.7, "depends little on", "leave most of the order of its pixels"),
        (0.69, "depends only in part on", "leave about half of the order of its pixels"),
        (ALIKE, "depends only in part on", "leave about half of the order of its pixels"),
    ],
)
def test_words_are_as_strong_as_the_correlation(
    correlation: float, depends: str, leave: str
) -> None:
    left = remainder(correlation)
    assert left.depends == f"{depends} what was learnt"
    assert left.leave == leave


def test_words_fit_the_correlation_as_it_is_printed() -> None:
    assert f"{0.8951:.2f}" == "0.90"
    assert remainder(0.8951) == remainder(0.9) != remainder(0.8949)
