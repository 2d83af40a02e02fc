"""Accuracy against cost."""

from __future__ import annotations

import re

from convoscope.pictures.trade_off import Point, frontier, short, trade_off


def point(name: str, cost: float, value: float, *, is_main: bool = False) -> Point:
    return Point(
        name=name, cost=cost, value=value, low=value - 0.02, high=value + 0.02, is_main=is_main
    )


POINTS = [
    point("1", 1e6, 0.80),
    point("2", 1e7, 0.79),
    point("3", 2e7, 0.9, is_main=True),
    point("4", 2e7, 0.85),
]


def test_on_the_line_lie_those_that_none_is_both_cheaper_and_better_than() -> None:
    assert [p.name for p in frontier(POINTS)] == ["1", "3"]
    for one in POINTS:
        is_beaten = any(
            (o.cost <= one.cost and o.value > one.value)
            or (o.cost < one.cost and o.value >= one.value)
            for o in POINTS
        )
        assert is_beaten == (one not in frontier(POINTS))


def test_more_accurate_is_higher_and_dearer_is_further_right() -> None:
    drawn = trade_off(POINTS, cost="MACs")
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    (x1, y1), (x2, y2), (x3, y3), (x4, _) = [(float(x), float(y)) for x, y in dots]
    assert x1 < x2 < x3 == x4
    assert y3 < y1 < y2
    assert "MACs (log scale)" in drawn
    assert "3 90" in drawn


def test_no_name_covers_another_or_leaves_the_picture() -> None:
    crowd = [point(str(n), 1e6 * (1 + n / 40), 0.8 + n / 1000) for n in range(8)]
    drawn = trade_off(crowd, cost="parameters")
    texts = re.findall(
        r'<text x="([\d.]+)" y="([\d.]+)"[^>]*middle small (?:quiet|strong)[^>]*>(\d)<', drawn
    )
    places = {(float(x), float(y)) for x, y, _ in texts}
    assert len(places) == len(crowd)
    assert all(0 < x < 460 and 0 < y < 330 for x, y in places)


def test_one_cost_alone_and_certain_networks_can_be_drawn() -> None:
    same = [point("1", 5, 1.0), point("2", 5, 0.0)]
    assert "<circle" in trade_off(same, cost="seconds")


def test_costs_are_short() -> None:
    assert [short(v) for v in (12.5e6, 3e9, 4096, 7)] == [
        "12.5\N{NO-BREAK SPACE}M",
        "3\N{NO-BREAK SPACE}G",
        "4.1\N{NO-BREAK SPACE}k",
        "7",
    ]
