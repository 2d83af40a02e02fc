"""Networks that train in no time, as the YAML of their files; for pictures of 16 x 16 in colour."""

from __future__ import annotations


def _tiny(*layers: str) -> str:
    trunk = "".join(f"- {{{layer}}}\n" for layer in layers)
    return f"""\
name: tiny
input_shape: [3, 16, 16]
layers:
{trunk}heads:
  class:
    layers:
    - {{kind: global_avg_pool, name: pool}}
    - {{kind: dense, name: dense, units: 3}}
"""


_CONV = "kind: conv2d, name: conv, filters: 4, kernel_size: 3, activation: relu"

TINY = _tiny(_CONV)
TINY_WITH_DROPOUT = _tiny(_CONV, "kind: dropout, name: dropout, rate: 0.25")
TINY_OF_TWO = _tiny(
    "kind: conv2d, name: conv1, filters: 4, activation: relu",
    "kind: conv2d, name: conv2, filters: 6, activation: relu",
)
