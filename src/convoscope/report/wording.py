"""Numbers as people read them. Every number that a page prints is written here.

A number and its unit are held together by a no-break space.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from convoscope.metrics.intervals import Figure

UNKNOWN = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
_P_VALUE = re.compile(r"\bp ([=<]) (?=\d)")


def count(value: int) -> str:
    """``62,805``."""
    return f"{value:,}"


def counted(value: int, one: str, many: str | None = None) -> str:
    """``1 picture``, ``250 pictures``."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def share(value: float | None) -> str:
    """``80.0 %``, or a dash where undefined; ``99.97 %`` where one decimal would claim all."""
    return UNKNOWN if value is None else f"{_percent(value)}{_SPACE}%"


def interval(figure: Figure) -> str:
    """``71.1–86.7 %``, or nothing where undefined."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{_percent(figure.low)}–{_percent(figure.high)}{_SPACE}%"


def _percent(value: float) -> str:
    """One decimal, or as many as it takes not to call a few none, or nearly all of them all."""
    for decimals in (1, 2, 3):
        said = f"{100 * value:.{decimals}f}"
        if not (0 < value < 1 and float(said) in (0.0, 100.0)):
            return said
    return f"{100 * value:.1f}"


def unbroken(sentence: str) -> str:
    """A sentence written for a terminal, of which no line may end between ``95`` and ``%``, nor
    within ``p = 0.143``.
    """
    held = sentence.replace(" %", f"{_SPACE}%")
    return _P_VALUE.sub(rf"p{_SPACE}\1{_SPACE}", held)


def score(value: float | None) -> str:
    """A loss or another unbounded figure: three significant digits."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    size = abs(value)
    digits = f"{size:.1e}" if size < 0.001 else f"{size:#.3g}".rstrip(".")
    return f"\N{MINUS SIGN}{digits}" if value < 0 else digits


def score_interval(figure: Figure) -> str:
    """``1.02–1.61``, or nothing where undefined."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{score(figure.low)}–{score(figure.high)}"


def duration(seconds: float) -> str:
    """``0.8 s``, ``42 s``, ``2 min 10 s``, ``3 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_SPACE}s"
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60:02d}{_SPACE}s"
    return f"{whole // 3600}{_SPACE}h {whole % 3600 // 60:02d}{_SPACE}min"


def shape(sizes: Sequence[int]) -> str:
    """``64 × 13 × 13``."""
    return " × ".join(count(size) for size in sizes)


def data_size(size: int) -> str:
    """``1.2 MiB``."""
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_BINARY_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f}{_SPACE}B" if unit == 0 else f"{value:.3g}{_SPACE}{_BINARY_UNITS[unit]}"


def large(value: int) -> str:
    """``19.6 G`` for 19,632,062,464; small numbers whole."""
    for power, unit in ((9, "G"), (6, "M")):
        if value >= 10**power:
            digits = f"{value / 10**power:#.3g}".rstrip(".")
            return f"{digits}{_SPACE}{unit}"
    return count(value)


def features(said: Mapping[str, Any]) -> str:
    """How long the features of a frozen part took, as a run's record says it, to stand after how
    long the training took: ``, after 9.1 s for the features of 690 pictures``.
    """
    if said.get("seconds") is None:
        return ""
    views = int(said.get("views", 1))
    seen = f" in {counted(views, 'view')} each" if views > 1 else ""
    pictures = counted(int(said.get("images", 0)), "picture")
    return f", after {duration(said['seconds'])} for the frozen features of {pictures}{seen}"


def phase(name: str) -> str:
    """A phase of training in words: ``last 2`` of ``history.jsonl`` is ``last 2 blocks``."""
    head, _, blocks = name.partition(" ")
    if head == "last" and blocks.isdecimal():
        return "last block" if blocks == "1" else f"last {blocks} blocks"
    return {"head": "head alone", "tuned": "all that learns"}.get(name, name)


def command(line: str) -> Markup:
    """A command line in which no line ends between ``--`` and ``epochs``."""
    return Markup(_OPTION.sub(r'<span class="option">\g<0></span>', str(escape(line))))


def together(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
