"""Operations that know the names of their parameters, and chains of them.

A function of :mod:`.functional` answers with a gradient for each argument; an
:class:`Operation` with the gradient of its input and ``{"layer.parameter": gradient}``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from convoscope.architecture.protocol import ActivationName
from convoscope.arrays import Array
from convoscope.engines.numpy import functional
from convoscope.engines.numpy.functional import Backward, Outer, Way
from convoscope.engines.numpy.journey import Journey

Gradient: TypeAlias = Array | Outer
Gradients: TypeAlias = dict[str, Gradient]


class Back(Protocol):
    """The way back through an operation; a gradient of ``None`` means that none has come."""

    def __call__(self, grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
        """The gradient of what the operation was given, and those of its parameters."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """What a layer, or a chain of them, computes; ``learns`` if some parameter of it does."""

    run: Callable[[Array], tuple[Array, Back]]
    learns: bool = False


def chained(operations: Sequence[Operation]) -> Operation:
    """The operations one after the other. The way back ends where nobody asks for more."""
    learns_before = [any(one.learns for one in operations[:i]) for i in range(len(operations))]

    def run(x: Array) -> tuple[Array, Back]:
        backs = []
        for operation in operations:
            x, back = operation.run(x)
            backs.append(back)

        def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
            gradients: Gradients = {}
            for i in reversed(range(len(backs))):
                inputs = journey.inputs or learns_before[i]
                if not inputs and not operations[i].learns:
                    return None, gradients
                grad, more = backs[i](grad, journey.asking(inputs=inputs))
                gradients |= more
                if journey.is_over:
                    return None, gradients
            return grad, gradients

        return x, backward

    return Operation(run, any(operation.learns for operation in operations))


def activated(operation: Operation, activation: ActivationName | None) -> Operation:
    """The operation and then the activation, which writes over the operation's output."""
    if activation is None:
        return operation
    activate = functional.ACTIVATIONS[activation]

    def run(x: Array) -> tuple[Array, Back]:
        y, back = operation.run(x)
        y, back_activation = activate(y, out=y)

        def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
            if grad is not None:
                (grad,) = back_activation(grad, Way(relu_rule=journey.relu_rule))
            return back(grad, journey)

        return y, backward

    return Operation(run, operation.learns)


def named(
    function: Callable[[Array], tuple[Array, Backward]],
    names: Sequence[str],
    learning: Collection[str],
) -> Operation:
    """A function whose gradients, after that of its input, are those of the named parameters; only
    those of the ``learning`` ones are given back.
    """
    is_learning = [name in learning for name in names]

    def run(x: Array) -> tuple[Array, Back]:
        y, back = function(x)

        def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
            if grad is None:
                return None, {}
            way = Way(
                relu_rule=journey.relu_rule, inputs=journey.inputs, parameters=any(is_learning)
            )
            grad_input, *grads = back(grad, way)
            asked = zip(names, grads, is_learning, strict=False)
            return grad_input, {
                name: _to_waist(value)
                for name, value, is_asked in asked
                if is_asked and value is not None
            }

        return y, backward

    return Operation(run, any(is_learning))


def plain(function: Callable[[Array], tuple[Array, Backward]]) -> Operation:
    """A function without parameters."""

    def run(x: Array) -> tuple[Array, Back]:
        y, back = function(x)

        def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
            if grad is None or not journey.inputs:
                return None, {}
            return back(grad, Way(relu_rule=journey.relu_rule, parameters=False))[0], {}

        return y, backward

    return Operation(run)


def _to_waist(gradient: Gradient) -> Gradient:
    """A kernel's gradient (k, k, C, F) as (F, C, k, k); others as they are."""
    if isinstance(gradient, Outer) or gradient.ndim != 4:
        return gradient
    return gradient.transpose(3, 2, 0, 1)
