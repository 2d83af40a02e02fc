"""How far NumPy and PyTorch are apart on one network, as plain values, and what that means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from convoscope.architecture.protocol import Shape
from convoscope.arrays import FloatArray
from convoscope.jobs.cell import CellArithmetic
from convoscope.network import Precision

TOLERANCES: Mapping[str, float] = {"float32": 1e-4, "float64": 1e-9}
"""The largest relative difference that rounding explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Between two arrays: the largest absolute one, and that relative to PyTorch's largest value
    of the quantity that the array is a part of.

    Not a number where one of the arrays holds such.
    """

    absolute: float
    relative: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTwin:
    """A layer on both engines; ``gradient`` is that of a class with respect to its output. The
    first row is the image, which has a gradient only.
    """

    name: str
    kind: str
    depth: int
    output_shape: Shape
    activation: Difference | None
    gradient: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterTwin:
    """A parameter's gradient, or a running statistic after the step, on both engines."""

    name: str
    shape: Shape
    gradient: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTwin:
    """A cell's arithmetic and what each engine has there; their distance from it is relative to
    the size of the numbers added.
    """

    arithmetic: CellArithmetic
    engines: Mapping[str, float]
    relative: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """Both engines on one network; ``picture`` says what they were shown.

    ``in_float64`` is the largest relative difference of gradients that were asked for again in
    float64, because in float32 they differed by more than rounding does: where two values under
    a maximum tie to the last digit, or one lies at a ReLU's bend, rounding decides which way a
    gradient goes, and both ways are right.
    """

    name: str
    input_shape: Shape
    precision: Precision
    picture: str
    targets: Mapping[str, int]
    layers: tuple[LayerTwin, ...]
    parameters: tuple[ParameterTwin, ...]
    cell: CellTwin | None
    in_float64: float | None = None

    @property
    def tolerance(self) -> float:
        """The largest relative difference that rounding explains."""
        return TOLERANCES[self.precision]

    @property
    def forward(self) -> dict[str, float]:
        """The relative differences of outputs and of the cell, by what they are of."""
        found = {
            f"output of {layer.name}": layer.activation.relative
            for layer in self.layers
            if layer.activation is not None
        }
        if self.cell is not None:
            for engine, relative in self.cell.relative.items():
                found[f"{engine}'s cell {self.cell.arithmetic.cell}"] = relative
        return found

    @property
    def backward(self) -> dict[str, float]:
        """The relative differences of gradients, by what they are of."""
        found = {
            f"gradient at {layer.name}": layer.gradient.relative
            for layer in self.layers
            if layer.gradient is not None
        }
        return found | {
            f"gradient of {parameter.name}": parameter.gradient.relative
            for parameter in self.parameters
        }

    @property
    def agrees(self) -> bool:
        """Whether every difference is one of rounding."""
        return self._is_small(self.forward) and (
            self._is_small(self.backward)
            or (self.in_float64 is not None and self.in_float64 <= TOLERANCES["float64"])
        )

    @property
    def has_split_gradients(self) -> bool:
        """Whether gradients differ by more than the rounding of sums does, but outputs do not."""
        return self._is_small(self.forward) and not self._is_small(self.backward)

    @property
    def verdict(self) -> str:
        """One sentence."""
        layers = sum(layer.activation is not None for layer in self.layers)
        counted = f"{layers} layers" + (
            f" and {len(self.parameters)} parameters" if self.parameters else ""
        )
        if self.agrees and self.has_split_gradients:
            return (
                f"NumPy and PyTorch agree: over {counted} the {_worst(self.forward)}, within "
                f"{self.tolerance:.0e} for {self.precision}; where values tie to the last digit "
                f"rounding decides which one gets a gradient, so there the {_worst(self.backward)}"
                f", but in float64 {self.in_float64:.1e}"
            )
        worst = _worst(self.forward | self.backward)
        if self.agrees:
            return (
                f"NumPy and PyTorch agree: over {counted} the {worst}, within "
                f"{self.tolerance:.0e} for {self.precision}"
            )
        is_open = self.precision == "float32" and self.in_float64 is None
        advice = "--precision float64 tells rounding from a mistake" if is_open else "one is wrong"
        return (
            f"NumPy and PyTorch differ: over {counted} the {worst}, more than "
            f"{self.tolerance:.0e} for {self.precision}: {advice}"
        )

    def _is_small(self, differences: Mapping[str, float]) -> bool:
        return all(relative <= self.tolerance for relative in differences.values())

    def to_json(self) -> dict[str, Any]:
        """The object of ``twin --json``."""
        cell = None
        if self.cell is not None:
            distances = {"engines": dict(self.cell.engines), "relative": dict(self.cell.relative)}
            cell = self.cell.arithmetic.to_json() | distances
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "precision": self.precision,
            "picture": self.picture,
            "targets": dict(self.targets),
            "tolerance": self.tolerance,
            "agrees": self.agrees,
            "in_float64": self.in_float64,
            "verdict": self.verdict,
            "layers": [asdict(layer) for layer in self.layers],
            "parameters": [asdict(parameter) for parameter in self.parameters],
            "cell": cell,
        }


def _worst(differences: Mapping[str, float]) -> str:
    """The largest difference and what it is of; not a number counts as larger than any."""
    name, size = max(differences.items(), key=lambda item: (item[1] != item[1], item[1]))
    return f"largest relative difference is {size:.1e} ({name})"


def parameter_twins(
    ours: Mapping[str, FloatArray], theirs: Mapping[str, FloatArray]
) -> tuple[ParameterTwin, ...]:
    """Each parameter's gradient, and each running statistic, on both engines.

    What is large, a layer says as a whole. A bias whose maps are centred next changes nothing:
    its gradient is a sum that cancels, and what is left of it on either engine is rounding, just
    as what is left of the mean of centred maps. So a layer's gradients are measured by the
    largest of them, and a running mean by the spread around it if that is larger.
    """
    return tuple(
        ParameterTwin(
            name=name,
            shape=values.shape,
            gradient=difference(values, theirs[name], scale=_scale(name, theirs)),
        )
        for name, values in ours.items()
    )


def is_statistic(name: str) -> bool:
    """Whether it is a running mean or variance, which have no gradient."""
    return name.endswith((_MEAN, _VARIANCE))


_MEAN, _VARIANCE = ".running_mean", ".running_var"


def _scale(name: str, theirs: Mapping[str, FloatArray]) -> float:
    layer = name.rpartition(".")[0]
    if name.endswith(_VARIANCE):
        return 0.0
    if name.endswith(_MEAN):
        return math.sqrt(_largest(theirs[f"{layer}{_VARIANCE}"]))
    own = (other for other in theirs if other.rpartition(".")[0] == layer)
    return max(_largest(theirs[other]) for other in own if not is_statistic(other))


def difference(ours: FloatArray, theirs: FloatArray, *, scale: float = 0.0) -> Difference:
    """Between two arrays of one shape; what is large, ``theirs`` says, and ``scale`` if larger."""
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return Difference(absolute=math.nan, relative=math.nan)
    absolute = float(np.abs(ours - theirs).max(initial=0.0))
    return Difference(absolute=absolute, relative=ratio(absolute, max(scale, _largest(theirs))))


def _largest(values: FloatArray) -> float:
    return float(np.abs(values).max(initial=0.0))


def ratio(distance: float, size: float) -> float:
    """``distance / size``, where 0 / 0 is no difference at all."""
    if distance == 0:
        return 0.0
    return distance / size if size else math.inf
