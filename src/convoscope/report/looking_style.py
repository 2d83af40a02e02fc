"""The colour bars beside explained pictures, as CSS gradients of the pictures' own colours."""

from __future__ import annotations

from markupsafe import Markup

from convoscope.pictures.heat import glow_style, overlay_style
from convoscope.pictures.maps import NEGATIVE, POSITIVE, ZERO


def legend_style() -> Markup:
    """A rule for the colour bar of each legend."""
    below, zero, above = (f"rgb({r} {g} {b})" for r, g, b in (NEGATIVE, ZERO, POSITIVE))
    bars = {
        "heat": overlay_style(),
        "glow": glow_style(),
        "light": "linear-gradient(to right, #000, #fff)",
        "gray": "linear-gradient(to right, #000, #808080, #fff)",
        "signed": f"linear-gradient(to right, {below}, {zero}, {above})",
    }
    rules = (f".legend.{name} i {{ background-image: {bar}; }}" for name, bar in bars.items())
    return Markup("\n".join(rules))
