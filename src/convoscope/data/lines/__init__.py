"""The lines set: straight lines on black, 96 classes that differ in four countable properties.

Length (7 or 15 pixels), width (1 or 3), angle (0 to 165 degrees in steps of 15) and colour (red or
blue): 2 x 2 x 12 x 2 classes. Images of one class differ only in where the line lies. Because every
label is exact, what a network confuses can be told property by property.
"""

from convoscope.data.lines.generate import VERSIONS, LineSet, Version, make_lines
from convoscope.data.lines.named import read_lines
from convoscope.data.lines.raster import CLASSES, FACTORS, LineClass, placements, raster

__all__ = [
    "CLASSES",
    "FACTORS",
    "VERSIONS",
    "LineClass",
    "LineSet",
    "Version",
    "make_lines",
    "placements",
    "raster",
    "read_lines",
]
