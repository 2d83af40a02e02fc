from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from convoscope.pictures.histograms import two_histograms

SVG = "{http://www.w3.org/2000/svg}"


def drawn(
    edges: list[float], first: list[int], second: list[int], names: tuple[str, str] = ("cat", "dog")
) -> ElementTree.Element:
    svg = two_histograms(
        edges, first, second, names=names, trait="width", written=lambda v: f"{v:g} px"
    )
    return ElementTree.fromstring(svg)


def bars(svg: ElementTree.Element, tone: str) -> list[dict[str, float]]:
    return [
        {key: float(bar.attrib[key]) for key in ("x", "y", "width", "height")}
        for bar in svg.iter(f"{SVG}rect")
        if bar.attrib["class"] == tone
    ]


def words(svg: ElementTree.Element) -> list[str]:
    return ["".join(node.itertext()) for node in svg.iter(f"{SVG}text")]


def test_the_first_group_stands_on_the_line_and_the_second_hangs_below_it() -> None:
    svg = drawn([0, 10, 20, 30, 40], [4, 2, 0, 0], [0, 0, 1, 10])
    up, down = bars(svg, "right"), bars(svg, "wrong")
    (base,) = {round(bar["y"] + bar["height"], 2) for bar in up}
    assert {round(bar["y"], 2) for bar in down} == {base}
    assert up[0]["height"] == pytest.approx(2 * up[1]["height"])
    assert down[1]["height"] == pytest.approx(10 * down[0]["height"])
    assert up[0]["height"] == pytest.approx(down[1]["height"])


def test_every_bar_says_its_share_and_its_bin() -> None:
    svg = drawn([0, 10, 20, 30, 40], [3, 1, 0, 0], [0, 0, 0, 8])
    titles = [node.text for node in svg.iter(f"{SVG}title")]
    assert titles == [
        "75.0 % of cat: 0 px to 10 px",
        "25.0 % of cat: 10 px to 20 px",
        "100.0 % of dog: 30 px to 40 px",
    ]


def test_both_groups_are_named_with_their_sizes_and_the_axis_has_round_ticks() -> None:
    said = words(drawn([0, 100, 200, 300, 400], [1200, 0, 0, 0], [0, 0, 0, 7]))
    assert {"cat (1,200)", "dog (7)", "width", "0 px", "100 px", "400 px"} <= set(said)


def test_two_bins_are_two_words() -> None:
    svg = drawn([0, 0.5, 1], [0, 5], [9, 1])
    assert {"0 px", "1 px"} <= set(words(svg))
    assert [node.text for node in svg.iter(f"{SVG}title")] == [
        "100.0 % of cat: 1 px",
        "90.0 % of dog: 0 px",
        "10.0 % of dog: 1 px",
    ]


def test_a_small_share_is_still_seen_and_nothing_is_drawn_for_none() -> None:
    svg = drawn([0, 1, 2, 3], [1, 0, 100_000], [5, 0, 0])
    assert [bar["height"] >= 1.5 for bar in bars(svg, "right")] == [True, True]


def test_names_are_escaped_and_cut() -> None:
    svg = drawn([0, 1, 2, 3], [1, 1, 1], [1, 1, 1], names=("<b>" * 60, "&"))
    assert "& (3)" in words(svg)
    assert any(re.fullmatch(r"(<b>)+.*…", word) for word in words(svg))
