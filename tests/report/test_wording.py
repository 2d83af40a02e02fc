from __future__ import annotations

import pytest

from convoscope.metrics.intervals import UNDEFINED, Figure
from convoscope.report import wording


def plain(words: str) -> str:
    return words.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.84, "0.8 s"),
        (42, "42 s"),
        (59.7, "1 min 00 s"),
        (130, "2 min 10 s"),
        (11100, "3 h 05 min"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert plain(wording.duration(seconds)) == said


def test_counts_have_separators_and_their_noun_in_the_right_number() -> None:
    assert wording.count(62805) == "62,805"
    assert wording.counted(1, "picture") == "1 picture"
    assert wording.counted(250, "picture") == "250 pictures"
    assert wording.counted(2, "class", "classes") == "2 classes"


def test_shares_and_intervals_keep_a_decimal_and_say_where_they_are_undefined() -> None:
    assert plain(wording.share(0.8)) == "80.0 %"
    assert plain(wording.interval(Figure(0.8, 0.711, 0.867))) == "71.1–86.7 %"
    assert wording.share(None) == "–"
    assert wording.interval(UNDEFINED) == ""


def test_scores_have_three_digits() -> None:
    assert [wording.score(v) for v in (1.28764, 1.4981, 53.731, 120.2, 2.7e-6, 0.0, None)] == [
        "1.29", "1.50", "53.7", "120", "2.7e-06", "0", "–",
    ]  # fmt: skip
    assert [wording.score(v) for v in (-0.27, -2e-5)] == ["−0.270", "−2.0e-05"]
    assert wording.score_interval(Figure(1.2, 1.02, 1.61)) == "1.02–1.61"
    assert wording.score_interval(UNDEFINED) == ""


def test_frozen_features() -> None:
    took = {"images": 690, "views": 1, "seconds": 130.0}
    said = ", after 2 min 10 s for the frozen features of 690 pictures"
    assert plain(wording.features(took)) == said
    assert plain(wording.features(took | {"views": 4})) == f"{said} in 4 views each"
    assert wording.features(took | {"seconds": None}) == wording.features({}) == ""


def test_phases_of_training() -> None:
    names = ("head", "last 1", "last 3", "tuned", "warm")
    assert [wording.phase(name) for name in names] == [
        "head alone", "last block", "last 3 blocks", "all that learns", "warm",
    ]  # fmt: skip


def test_sizes() -> None:
    assert wording.shape((64, 13, 13)) == "64 × 13 × 13"
    assert [plain(wording.data_size(v)) for v in (40, 256 * 1024, 8 * 1024**3)] == [
        "40 B", "256 KiB", "8 GiB",
    ]  # fmt: skip
    assert [plain(wording.large(v)) for v in (640, 19_632_062_464, 11_008_736, 389_336_515)] == [
        "640", "19.6 G", "11.0 M", "389 M",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.0, "100.0 %"),
        (0.9994, "99.9 %"),
        (0.9996, "99.96 %"),
        (0.99996, "99.996 %"),
        (0.0004, "0.04 %"),
        (0.0000001, "0.0 %"),
        (0.0, "0.0 %"),
    ],
)
def test_a_share_of_nearly_all_is_never_called_all(value: float, said: str) -> None:
    assert plain(wording.share(value)) == said


def test_a_percent_sign_stays_with_its_number() -> None:
    assert wording.unbroken("5 of 9 (95 % interval 1 % to 2 %)") == (
        "5 of 9 (95\N{NO-BREAK SPACE}% interval 1\N{NO-BREAK SPACE}% to 2\N{NO-BREAK SPACE}%)"
    )


def test_the_options_of_a_command_hold_together() -> None:
    line = "convoscope convolve 'a <b> c' '--filter=-1 0' --no-report -o x-y"
    said = wording.command(line)
    assert said == (
        'convoscope convolve &#39;a &lt;b&gt; c&#39; &#39;<span class="option">--filter</span>=-1 '
        '0&#39; <span class="option">--no-report</span> <span class="option">-o</span> x-y'
    )
    assert said.striptags() == line


def test_a_p_value_stays_on_one_line() -> None:
    said = wording.unbroken("B has 3 (p = 0.143, p < 0.001 corrected for 3 pairs); map = 3")
    assert said.replace("\N{NO-BREAK SPACE}", "_") == (
        "B has 3 (p_=_0.143, p_<_0.001 corrected for 3 pairs); map = 3"
    )
