from __future__ import annotations

import itertools
import re

import pytest

from convoscope.pictures.palette import CHART_STYLE, COLOURS, Theme, standalone, theme_style
from convoscope.pictures.svg import picture, text

THEMES: tuple[Theme, ...] = ("light", "dark")


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1, https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def mixed(over: str, under: str, share: float) -> str:
    pairs = [(int(over[k : k + 2], 16), int(under[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_on_what_it_stands_on(theme: Theme) -> None:
    colours = COLOURS[theme]
    inks = ("ink", "muted", "accent", "blue", "orange", "green", "purple")
    for ink, ground in itertools.product(inks, ("paper", "surface")):
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["ink"], colours["note"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("share", [0.16, 0.4, 0.7, 1.0])
def test_counts_can_be_read_on_every_shade_of_a_cell(theme: Theme, share: float) -> None:
    colours = COLOURS[theme]
    for cell in ("right", "wrong"):
        shade = mixed(colours[cell], colours["paper"], share)
        assert contrast(colours["ink"], shade) >= 4.5, cell


def test_both_themes_name_the_same_colours_and_the_style_uses_no_other() -> None:
    assert set(COLOURS["light"]) == set(COLOURS["dark"])
    used = set(re.findall(r"var\(--([a-z-]+)\)", CHART_STYLE))
    assert used <= set(COLOURS["light"])


def test_a_chosen_theme_overrides_the_systems() -> None:
    style = theme_style()
    media = style.index("prefers-color-scheme: dark")
    assert style.index("data-theme=light") > media
    assert style.index("data-theme=dark") > media


def test_a_picture_of_its_own_carries_colours_instead_of_variables() -> None:
    svg = standalone(picture(10, 10, text(0, 0, "a > b"), label="x > y"), "dark")
    assert "var(" not in svg
    assert COLOURS["dark"]["ink"] in svg
    assert "a &gt; b" in svg
