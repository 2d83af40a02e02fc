"""The colour bars beside explained pictures, as CSS gradients of the pictures' own colours."""

from __future__ import annotations

from convoscope.pictures.heat import glow_style, overlay_style
from convoscope.pictures.maps import NEGATIVE, POSITIVE, ZERO


def legend_style() -> str:
    """A rule for the colour bar of each legend."""
    bars = {
        "heat": overlay_style(),
        "glow": glow_style(),
        "light": "linear-gradient(to right, #000, #fff)",
        "signed": "linear-gradient(to right, {}, {}, {})".format(
            *(f"rgb({red} {green} {blue})" for red, green, blue in (NEGATIVE, ZERO, POSITIVE))
        ),
    }
    return "\n".join(
        f".legend.{name} i {{ background-image: {bar}; }}" for name, bar in bars.items()
    )
