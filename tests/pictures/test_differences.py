from __future__ import annotations

import pytest
from tests.pictures.conftest import Drawing

from convoscope.pictures.differences import DifferenceRow, difference_chart

ROWS = [
    DifferenceRow(
        first="A", second="B", value=0.045, low=0.012, high=0.079, is_more_than_noise=True
    ),
    DifferenceRow(
        first="A", second="C", value=-0.01, low=-0.04, high=0.02, is_more_than_noise=False
    ),
]


def test_bands_reach_over_zero_where_the_interval_does(drawing: type[Drawing]) -> None:
    picture = drawing(difference_chart(ROWS))
    (zero,) = [float(node.get("x1") or 0) for node in picture.find("line", "axis")]
    ends = [
        (float(band.get("x") or 0), float(band.get("x") or 0) + float(band.get("width") or 0))
        for band in picture.find("rect", "band")
    ]
    assert ends[0][0] > zero
    assert ends[1][0] < zero < ends[1][1]
    dots = [float(dot.get("cx") or 0) for dot in picture.find("circle", "dot")]
    assert dots[1] < zero < dots[0]
    assert all(low < dot < high for dot, (low, high) in zip(dots, ends, strict=True))


def test_what_may_be_noise_is_gray_and_both_are_signed(drawing: type[Drawing]) -> None:
    picture = drawing(difference_chart(ROWS))
    assert len(picture.find("circle", "quiet")) == 1
    assert {"+4.5", "−1", "A → B", "A → C"} <= set(picture.texts())
    assert "B less A +4.5 (+1.2 to +7.9)" in (picture.root.get("aria-label") or "")


@pytest.mark.parametrize("reach", [0.0, 1.0])
def test_no_difference_and_the_largest_can_be_drawn(drawing: type[Drawing], reach: float) -> None:
    row = DifferenceRow(
        first="A", second="B", value=reach, low=reach, high=reach, is_more_than_noise=bool(reach)
    )
    (dot,) = drawing(difference_chart([row])).find("circle", "dot")
    assert 60 <= float(dot.get("cx") or 0) <= 400
