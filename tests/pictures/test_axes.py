from __future__ import annotations

import pytest

from convoscope.pictures.axes import Scale, even_ticks, log_ticks, percent, plain


def test_a_scale_maps_its_ends_to_its_pixels() -> None:
    scale = Scale(low=1, high=5, start=100, end=20)
    assert [scale(1), scale(3), scale(5)] == [100, 60, 20]


def test_a_logarithmic_scale_gives_each_power_the_same_room_and_stops_at_its_low_end() -> None:
    scale = Scale(low=0.01, high=100, start=0, end=80, is_log=True)
    assert [round(scale(v), 6) for v in (0.01, 0.1, 1, 100)] == [0, 20, 40, 80]
    assert scale(0) == 0


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.62, 5, [0, 0.2, 0.4, 0.6]),
        (1, 25, 5, [5, 10, 15, 20, 25]),
        (0, 2300, 4, [0, 1000, 2000]),
    ],
)
def test_even_ticks_are_round(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert even_ticks(low, high, count) == ticks


def test_logarithmic_ticks_are_powers_or_1_2_5_where_powers_are_few() -> None:
    assert log_ticks(0.001, 10) == [0.001, 0.01, 0.1, 1, 10]
    assert log_ticks(0.09, 1.1) == [0.1, 0.2, 0.5, 1]


def test_ticks_are_written_as_people_write_them() -> None:
    assert [plain(v) for v in (0, 0.05, 200, 1e-6)] == ["0", "0.05", "200", "1e-6"]
    assert percent(0.2) == "20\N{NO-BREAK SPACE}%"
