"""Experiments that come along: variations as YAML files, and rows of published figures to compare
with. :mod:`convoscope.experiments.catalogue` lists them.
"""
