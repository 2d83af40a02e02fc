"""A run says what computed it, as plain values that JSON can hold."""

from __future__ import annotations

import json

import numpy as np

from convoscope import __version__
from convoscope.jobs import environment


def test_versions_are_those_in_use() -> None:
    found = environment.versions()
    assert (found["convoscope"], found["numpy"]) == (__version__, np.__version__)


def test_the_machine_fits_in_json() -> None:
    found = json.loads(json.dumps(environment.machine()))
    assert found["cores"] >= 1
    assert found["processor"]
    assert found["memory_bytes"] is None or found["memory_bytes"] > 10**8
