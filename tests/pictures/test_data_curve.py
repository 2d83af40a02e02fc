"""Accuracy against the number of images, drawn."""

from __future__ import annotations

import re
from itertools import pairwise

from convoscope.pictures.data_curve import DataCurve, Measured, data_curves


def curve(name: str, *values: float) -> DataCurve:
    points = [
        Measured(at=5.0 * 2**k, value=v, low=v - 0.1, high=min(1.0, v + 0.1))
        for k, v in enumerate(values)
    ]
    return DataCurve(name=name, points=points, colour="blue")


def test_equal_factors_are_equal_distances() -> None:
    drawn = str(data_curves([curve("a", 0.5, 0.7, 0.9)]))
    x = [float(cx) for cx in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    assert len(x) == 3
    assert abs((x[1] - x[0]) - (x[2] - x[1])) < 0.2


def test_names_do_not_cover_each_other() -> None:
    drawn = str(data_curves([curve(name, 0.5, 0.9) for name in ("one", "two", "three")]))
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>(?:one|two|three)<', drawn))
    assert len(heights) == 3
    assert all(b - a >= 15 for a, b in pairwise(heights))


def test_the_label_says_what_is_drawn() -> None:
    drawn = str(data_curves([curve("frozen", 0.5, 0.7)]))
    assert "frozen 50\N{NO-BREAK SPACE}% with 5, 70\N{NO-BREAK SPACE}% with 10" in drawn
    assert "shade blue" in drawn


def test_one_point_is_drawn_without_a_band() -> None:
    drawn = str(data_curves([curve("alone", 0.5)]))
    assert "shade" not in drawn
    assert "alone" in drawn
