"""Arrays and records to pictures: nothing is computed here, and nothing is written.

Each chart is a function from numbers to an SVG that takes its colours from the page around it, in
light and in dark: ``curves``, ``bars``, ``confusion``, ``reliability``, ``diagram``.
``palette.standalone`` makes a file of one. ``thumbnails`` makes photographs small.
"""
