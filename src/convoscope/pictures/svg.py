"""SVG and HTML as text that is safe by construction.

An element's plain ``str`` children and attributes are escaped, :class:`~markupsafe.Markup` is
not; what comes out is Markup again, so that a template does not escape it twice. Sizes are in
CSS pixels. Colours are classes of the style sheet in :mod:`convoscope.pictures.palette`.
"""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

FONT_SIZE = 13.0
_MEAN_WIDTH = 0.56
_ELLIPSIS = "…"


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """``<name attribute="...">children</name>``.

    ``_`` in an attribute's name becomes ``-`` and one at its end is dropped (``class_``);
    ``None`` leaves the attribute out. Numbers have at most two decimals.
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            words.append(f'{key.rstrip("_").replace("_", "-")}="{_value(value)}"')
    inside = "".join(escape(child) for child in children)
    opening = " ".join(words)
    return Markup(f"<{opening}>{inside}</{name}>" if inside else f"<{opening}/>")


def picture(
    width: float,
    height: float,
    *children: str,
    label: str,
    class_: str = "chart",
    **attributes: str | float | None,
) -> Markup:
    """A whole ``<svg>`` of that size; ``label`` is what it says to somebody who cannot see it."""
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        class_=class_,
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        **attributes,
    )


def text(x: float, y: float, words: str, **attributes: str | float | None) -> Markup:
    """``words`` with their baseline at ``y``; ``anchor`` is start, middle or end."""
    return element("text", words, x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def number(value: float) -> str:
    """A coordinate with at most two decimals."""
    written = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written


def text_width(words: str, size: float = FONT_SIZE) -> float:
    """About how wide ``words`` are drawn, in pixels: wide signs and emoji count twice."""
    units = sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in words)
    return units * size * _MEAN_WIDTH


def shortened(words: str, room: float, size: float = FONT_SIZE) -> str:
    """``words``, cut with an ellipsis if they are wider than ``room`` pixels."""
    if text_width(words, size) <= room:
        return words
    while words and text_width(words + _ELLIPSIS, size) > room:
        words = words[:-1]
    return words.rstrip() + _ELLIPSIS


def shortened_inside(words: str, room: float, size: float = FONT_SIZE) -> str:
    """``words``, their middle left out if they are wider than ``room`` pixels: names of runs
    differ at their ends.
    """
    for kept in range(len(words), 0, -1):
        if text_width(words, size) <= room:
            break
        first = (kept + 1) // 2
        cut = words[:first].rstrip() + _ELLIPSIS + words[len(words) - kept + first :].lstrip()
        if text_width(cut, size) <= room:
            return cut
    return words


def _value(value: str | float) -> Markup:
    return escape(value if isinstance(value, str) else number(value))
