"""The axis around zero, and differences with their intervals on it."""

from __future__ import annotations

import pytest

from convoscope.pictures.around_zero import points_scale, said, signed_points
from convoscope.pictures.effects import EffectRow


def row(low: float, high: float) -> EffectRow:
    middle = (low + high) / 2
    return EffectRow(name="", value=middle, low=low, high=high, is_more_than_noise=False)


def test_points_have_signs_and_nothing_has_none() -> None:
    assert [signed_points(points) for points in (4.46, -2.0, 0.04)] == ["+4.5", "−2", "0"]
    assert said(row(-0.01, 0.05)) == "+2 (−1 to +5)"


@pytest.mark.parametrize("ends", [[(-0.3, 0.1)], [(0.0, 0.0)], [(0.2, 0.4), (-1.0, -0.9)]])
def test_zero_is_in_the_middle_and_every_interval_has_room(ends: list[tuple[float, float]]) -> None:
    at = points_scale([row(*both) for both in ends], 10, 110)
    assert at(0) == pytest.approx(60)
    for low, high in ends:
        assert 10 < at(100 * low) <= at(100 * high) < 110
