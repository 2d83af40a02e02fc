"""How gradients pass a ReLU, decided on the way back.

While :class:`RectifierRule` is active, every ReLU and ReLU6 that the network computes, in
whatever spelling - a module, ``inplace``, one module used twice, ``functional.relu``,
``x.relu_()``, ``x.clamp(min=0)`` - is computed by :class:`_Rectify`, whose way back asks the
rule which of three ways holds now. The rule sits at the function itself and not at a module: a
module's backward hook never sees a functional ReLU, and misses a ReLU that works in place.

ReLUs compiled into something that is no Python call any more (TorchScript, torch.compile) are
out of reach; see ``adopt``, which refuses them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from convoscope.network import ReluRule


@dataclass(slots=True)
class Way:
    """The rule that holds; whoever goes back sets it, the remembered forward pass reads it.

    ``calls`` counts the ReLUs that the way back may come through.
    """

    rule: ReluRule = "plain"
    calls: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that rectifies: ``min(max(x, 0), top)``.

    PyTorch lets no gradient pass where a ReLU's input is 0, but lets it pass where a clamp's is;
    ``edges`` says that it does.
    """

    x: Tensor
    in_place: bool = False
    top: float | None = None
    edges: bool = False


@final
class RectifierRule(TorchFunctionMode):
    """A context in which every ReLU remembers what ``way`` will need on the way back."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        read = RECTIFIERS.get(func)
        call = read(*args, **(kwargs or {})) if read else None
        if call is None or not (call.x.requires_grad and torch.is_grad_enabled()):
            return func(*args, **(kwargs or {}))
        self._way.calls += 1
        return _Rectify.apply(call, self._way, call.x)  # type: ignore[no-untyped-call]


class _Rectify(torch.autograd.Function):
    """``min(max(x, 0), top)``, whose derivative follows the rule that holds on the way back."""

    @staticmethod
    def forward(ctx: Any, call: _Call, way: Way, x: Tensor) -> Tensor:
        ctx.way, ctx.top = way, math.inf if call.top is None else call.top
        passes = (x >= 0) & (x <= ctx.top) if call.edges else None
        if call.in_place:
            ctx.mark_dirty(x)
            y = torch.relu_(x) if call.top is None else torch.clamp_(x, 0, call.top)
        else:
            y = torch.relu(x) if call.top is None else torch.clamp(x, 0, call.top)
        ctx.save_for_backward(y, passes)  # not what x was, which may be overwritten
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        (grad,), (y, passes) = grads, ctx.saved_tensors
        return None, None, rectified_gradient(grad, y, ctx.top, ctx.way.rule, passes)


def rectified_gradient(
    grad: Tensor,
    y: Tensor,
    top: float,
    rule: ReluRule,
    passes: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The gradient of the input of a ReLU that gave ``y``, at most ``top``, by a rule.

    The input lay inside where ``0 < y < top``, or where ``passes`` says so. It is written to
    ``out``, if that is given, and to a new tensor else.
    """
    if rule == "deconvnet":
        return torch.clamp(grad, min=0, out=out)
    masked = _masked(grad, y, top, passes, torch.empty_like(grad) if out is None else out)
    return masked.clamp_(min=0) if rule == "guided" else masked


def _masked(grad: Tensor, y: Tensor, top: float, passes: Tensor | None, out: Tensor) -> Tensor:
    """By operations that are vectorised, as masked_fill is not."""
    if passes is not None:
        return torch.where(passes, grad, grad.new_zeros(()), out=out)
    if top < math.inf:
        torch.ops.aten.hardtanh_backward.grad_input(grad, y, 0, top, grad_input=out)
    else:
        torch.ops.aten.threshold_backward.grad_input(grad, y, 0, grad_input=out)
    return out


def _relu(input: Tensor, inplace: bool = False) -> _Call:  # noqa: A002
    return _Call(input, inplace)


def _relu_in_place(input: Tensor) -> _Call:  # noqa: A002
    return _Call(input, True)


def _relu6(input: Tensor, inplace: bool = False) -> _Call:  # noqa: A002
    return _Call(input, inplace, top=6)


def _hardtanh(
    input: Tensor,  # noqa: A002
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
) -> _Call | None:
    return _Call(input, inplace, top=6) if (min_val, max_val) == (0, 6) else None


def _hardtanh_in_place(
    input: Tensor,  # noqa: A002
    min_val: float = -1.0,
    max_val: float = 1.0,
) -> _Call | None:
    return _hardtanh(input, min_val, max_val, inplace=True)


def _threshold(
    input: Tensor,  # noqa: A002
    threshold: float,
    value: float,
    inplace: bool = False,
) -> _Call | None:
    return _Call(input, inplace) if threshold == value == 0 else None


def _clamp(input: Tensor, min: Any = None, max: Any = None) -> _Call | None:  # noqa: A002
    return _Call(input, top=max, edges=True) if _is_rectifying(min, max) else None


def _clamp_in_place(input: Tensor, min: Any = None, max: Any = None) -> _Call | None:  # noqa: A002
    return _Call(input, True, top=max, edges=True) if _is_rectifying(min, max) else None


def _is_rectifying(low: Any, top: Any) -> bool:
    """A clamp from 0 upwards is a ReLU, one from 0 to 6 a ReLU6, any other something else."""
    is_zero = isinstance(low, (int, float)) and low == 0
    return is_zero and (top is None or (isinstance(top, (int, float)) and top == 6))


RECTIFIERS: dict[Callable[..., Any], Callable[..., _Call | None]] = {
    functional.relu: _relu,
    torch.relu: _relu,
    torch.Tensor.relu: _relu,
    torch.ops.aten.relu: _relu,
    torch.ops.aten.relu.default: _relu,
    torch.relu_: _relu_in_place,
    torch.Tensor.relu_: _relu_in_place,
    functional.relu6: _relu6,
    torch._C._nn.relu6: _relu6,
    functional.hardtanh: _hardtanh,
    torch._C._nn.hardtanh_: _hardtanh_in_place,
    functional.threshold: _threshold,
    torch.clamp: _clamp,
    torch.clip: _clamp,
    torch.Tensor.clamp: _clamp,
    torch.Tensor.clip: _clamp,
    torch.clamp_min: _clamp,
    torch.Tensor.clamp_min: _clamp,
    torch.Tensor.clamp_: _clamp_in_place,
    torch.Tensor.clip_: _clamp_in_place,
    torch.Tensor.clamp_min_: _clamp_in_place,
}
