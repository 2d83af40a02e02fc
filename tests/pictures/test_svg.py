from __future__ import annotations

import pytest
from markupsafe import Markup

from convoscope.pictures.svg import (
    element,
    number,
    picture,
    shortened,
    shortened_inside,
    text,
    text_width,
)


def test_text_and_attributes_are_escaped_and_markup_is_not() -> None:
    inner = element("tspan", "a")
    made = element("text", "<b>&", inner, data_name='"x"<y>')
    assert made == ('<text data-name="&#34;x&#34;&lt;y&gt;">&lt;b&gt;&amp;<tspan>a</tspan></text>')
    assert isinstance(made, Markup)


def test_an_attribute_of_none_is_left_out_and_numbers_are_short() -> None:
    assert element("rect", x=1 / 3, width=20.0, fill=None, class_="a") == (
        '<rect x="0.33" width="20" class="a"/>'
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (-0.001, "0"), (12.5, "12.5"), (100, "100"), (-3.14159, "-3.14")],
)
def test_numbers(value: float, written: str) -> None:
    assert number(value) == written


def test_a_picture_says_its_size_and_what_it_shows() -> None:
    svg = picture(10, 20, text(1, 2, "hi"), label="a greeting")
    assert 'viewBox="0 0 10 20"' in svg
    assert 'role="img" aria-label="a greeting"' in svg


def test_wide_signs_count_twice_and_long_words_are_cut() -> None:
    assert text_width("日本") == 2 * text_width("ab")
    assert shortened("short", 100) == "short"
    cut = shortened("a very long class name indeed", 80)
    assert cut.endswith("…")
    assert text_width(cut) <= 80


def test_the_middle_of_a_long_name_is_left_out() -> None:
    assert shortened_inside("short", 100) == "short"
    names = [shortened_inside(f"photographs-of-birds-small-{n}", 130) for n in (1, 12)]
    for name, end in zip(names, ("-1", "12"), strict=True):
        assert text_width(name) <= 130
        assert name.startswith("photogr")
        assert name.endswith(end)
        assert "…" in name
    assert names[0] != names[1]
