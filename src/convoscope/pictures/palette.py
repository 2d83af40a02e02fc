"""The colours of every picture, for light and dark, and the style sheet that uses them.

Blue and orange stay apart for every kind of colour blindness (after Okabe and Ito 2008,
https://jfly.uni-koeln.de/color/). Text has at least 4.5 : 1 contrast on what it stands on, in
both themes; a test computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from markupsafe import Markup

Theme: TypeAlias = Literal["light", "dark"]

COLOURS: Mapping[Theme, Mapping[str, str]] = {
    "light": {
        "paper": "#fdfdfb",
        "surface": "#f3f3ee",
        "ink": "#1c2126",
        "muted": "#59626b",
        "rule": "#d9d9d1",
        "accent": "#0b63a5",
        "blue": "#0b63a5",
        "orange": "#b54a06",
        "green": "#1c7337",
        "purple": "#7a3d9e",
        "red": "#b3261e",
        "right": "#6aaedb",
        "wrong": "#f19c63",
        "note": "#fdf3dc",
        "note-edge": "#b07708",
    },
    "dark": {
        "paper": "#15181b",
        "surface": "#1f2428",
        "ink": "#e9e7e2",
        "muted": "#a3abb3",
        "rule": "#363d44",
        "accent": "#7cc0f0",
        "blue": "#7cc0f0",
        "orange": "#f4a06b",
        "green": "#86cf9b",
        "purple": "#cda6ee",
        "red": "#ff8f86",
        "right": "#1f6595",
        "wrong": "#a04a12",
        "note": "#2e2716",
        "note-edge": "#c99a3c",
    },
}

CHART_STYLE = """
.chart text { font: 13px system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
  fill: var(--ink); font-variant-numeric: tabular-nums; }
.chart .small { font-size: 12px; }
.chart .quiet { fill: var(--muted); }
.chart .strong { font-weight: 650; }
.chart .end { text-anchor: end; }
.chart .middle { text-anchor: middle; }
.chart .grid { stroke: var(--rule); stroke-width: 1; fill: none; shape-rendering: crispEdges; }
.chart .axis { stroke: var(--muted); stroke-width: 1; shape-rendering: crispEdges; }
.chart .dashed { stroke: var(--muted); stroke-width: 1.25; stroke-dasharray: 3 3; }
.chart .curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.chart .blue { stroke: var(--blue); }
.chart .orange { stroke: var(--orange); }
.chart .green { stroke: var(--green); }
.chart .purple { stroke: var(--purple); }
.chart .dashes { stroke-dasharray: 6 4; }
.chart .thin { stroke-width: 1; stroke-opacity: .5; }
.chart text.blue { fill: var(--blue); stroke: none; }
.chart text.orange { fill: var(--orange); stroke: none; }
.chart text.green { fill: var(--green); stroke: none; }
.chart text.purple { fill: var(--purple); stroke: none; }
.chart .dot { stroke: var(--paper); stroke-width: 1.5; fill: var(--blue); }
.chart .dot.orange { fill: var(--orange); }
.chart .dot.green { fill: var(--green); }
.chart .dot.purple { fill: var(--purple); }
.chart .dot.quiet { fill: var(--muted); }
.chart .shade { stroke: none; opacity: .14; fill: var(--blue); }
.chart .shade.orange { fill: var(--orange); }
.chart .shade.green { fill: var(--green); }
.chart .shade.purple { fill: var(--purple); }
.chart .band { fill: var(--right); }
.chart .band.quiet { fill: var(--rule); }
.chart .track { fill: var(--rule); }
.chart .right { fill: var(--right); }
.chart .wrong { fill: var(--wrong); }
.chart .block { fill: var(--surface); stroke: var(--muted); stroke-width: 1; }
.chart .block.learns { fill: var(--right); stroke: var(--blue); }
""".strip()


def variables(theme: Theme) -> str:
    """The theme's colours as CSS custom properties, ``--ink: #1c2126; ...``."""
    return " ".join(f"--{name}: {colour};" for name, colour in COLOURS[theme].items())


def theme_style() -> str:
    """CSS that follows the system's theme unless ``data-theme`` on the root says otherwise.

    Paper is light, whatever the screen is.
    """
    return "\n".join(
        [
            f":root {{ color-scheme: light; {variables('light')} }}",
            "@media screen and (prefers-color-scheme: dark) {",
            f"  :root {{ color-scheme: dark; {variables('dark')} }}",
            "}",
            f":root[data-theme=light] {{ color-scheme: light; {variables('light')} }}",
            "@media screen {",
            f"  :root[data-theme=dark] {{ color-scheme: dark; {variables('dark')} }}",
            "}",
        ]
    )


def standalone(svg: Markup, theme: Theme = "light") -> str:
    """A picture as a file of its own: the style goes inside, its variables become colours."""
    style = CHART_STYLE
    for name, colour in COLOURS[theme].items():
        style = style.replace(f"var(--{name})", colour)
    opening, _, rest = svg.partition(">")
    return f"{opening}><style>{style}</style>{rest}\n"
