"""Rows around a line: where they stand, and what a screen reader says."""

from __future__ import annotations

import re

from convoscope.pictures.standings import StandingRow, signed, standings_chart


def test_rows_stand_at_their_values_and_are_said() -> None:
    rows = [
        StandingRow(name="A <b>", value=0.3, low=0.1, high=0.5, tone="blue"),
        StandingRow(name="B", value=-0.2, low=-0.4, high=0.1, tone="red"),
    ]
    svg = str(standings_chart(rows, against="the centre", unit="ahead"))
    assert "A &lt;b&gt; +0.30 (+0.10 to +0.50), B −0.20 (−0.40 to +0.10)" in svg
    first, second = (float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg))
    assert first > second
    assert svg.count("range blue") == svg.count("range red") == 1


def test_signs_are_written_as_people_write_them() -> None:
    assert [signed(v) for v in (0.214, -0.05, 0.001, 0.0)] == ["+0.21", "−0.05", "0", "0"]
