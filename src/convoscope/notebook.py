"""Small HTML tables, with which values show themselves in a notebook.

Whatever is put in is text: nothing in it is read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; numbers stand on the right, and whole ones have their thousands parted."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def sentences(said: Iterable[str]) -> str:
    """A paragraph per sentence."""
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in said)


def figure(value: float | None, low: float | None, high: float | None) -> str:
    """A figure with its interval, or a dash where it is undefined."""
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.4f}"
    return f"{value:.4f} ({low:.4f} to {high:.4f})"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f'<td style="text-align:right">{value:,}</td>'
    return f'<td style="text-align:left">{escape(str(value))}</td>'
