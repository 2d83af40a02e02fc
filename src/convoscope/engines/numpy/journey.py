"""One way back through a network: where gradients enter, and where the journey ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from convoscope.arrays import Array
from convoscope.network import ReluRule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Journey:
    """``seeds`` join the gradient at the output of the layer they are for. At the output of layer
    ``until`` the gradient is put into ``found`` and nothing further down is computed.

    ``inputs``: whether the gradient of what an operation was given is asked for.
    """

    relu_rule: ReluRule = "plain"
    inputs: bool = True
    seeds: Mapping[str, Array] = field(default_factory=dict)
    until: str | None = None
    found: list[Array | None] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the gradient that was asked for has been found."""
        return bool(self.found)

    def asking(self, *, inputs: bool) -> Journey:
        """The same journey for an operation whose input's gradient is wanted, or is not."""
        return self if inputs == self.inputs else replace(self, inputs=inputs)

    def at(self, layer: str, grad: Array | None) -> Array | None:
        """The gradient at the output of a layer, its seed added; the journey may end here."""
        seed = self.seeds.get(layer)
        if seed is not None:
            grad = seed.copy() if grad is None else grad + seed
        if layer == self.until:
            self.found.append(grad)
        return grad
