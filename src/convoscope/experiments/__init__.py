"""Experiments that come along: variations as YAML files, and rows of published figures to compare
with.
"""

from convoscope.experiments.shipped import SHIPPED, variations_file

__all__ = ["SHIPPED", "variations_file"]
