"""Networks that train in no time, as the YAML of their files; for pictures of 16 x 16 in colour."""

from __future__ import annotations

TINY = """\
name: tiny
input_shape: [3, 16, 16]
layers:
- {kind: conv2d, name: conv, filters: 4, kernel_size: 3, activation: relu}
heads:
  class:
    layers:
    - {kind: global_avg_pool, name: pool}
    - {kind: dense, name: dense, units: 3}
"""

TINY_WITH_DROPOUT = """\
name: tiny
input_shape: [3, 16, 16]
layers:
- {kind: conv2d, name: conv, filters: 4, kernel_size: 3, activation: relu}
- {kind: dropout, name: dropout, rate: 0.25}
heads:
  class:
    layers:
    - {kind: global_avg_pool, name: pool}
    - {kind: dense, name: dense, units: 3}
"""

TINY_OF_TWO = """\
name: tiny
input_shape: [3, 16, 16]
layers:
- {kind: conv2d, name: conv1, filters: 4, activation: relu}
- {kind: conv2d, name: conv2, filters: 6, activation: relu}
heads:
  class:
    layers:
    - {kind: global_avg_pool, name: pool}
    - {kind: dense, name: dense, units: 3}
"""
