"""What an operation gives back: a backward function, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from convoscope.network import ReluRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to go back, and for whom: what nobody will read is not computed, and is ``None``.

    ``relu_rule`` says how a gradient passes a ReLU. ``inputs`` is False in the first layer of a
    network that learns, for nobody wants to know how to change the photograph; ``parameters`` is
    False where a network is explained, for its weights stay as they are.
    """

    relu_rule: ReluRule = "plain"
    inputs: bool = True
    parameters: bool = True


PLAIN = Way()


class Backward(Protocol):
    """From the gradient of an operation's output to those of its arguments, in their order."""

    def __call__(self, grad: Any, way: Way = PLAIN) -> tuple[Any, ...]:
        """``grad`` has the output's shape, each answer the shape of its argument."""
        ...
