"""The way back through a convolution as a convolution itself, with weights packed once for many.

The gradient of a convolution's input is the convolution of its output's gradient with the same
filters, transposed and flipped (Dumoulin and Visin 2016, https://arxiv.org/abs/1603.07285, section
4). PyTorch lays the weights out anew for oneDNN at every call; for many small gradients through
the same layer that is a good part of the time, and oneDNN's forward operator is the faster one.
The operators are those that PyTorch's own compiler uses; where they are not to be had, everything
is as PyTorch does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal, final

import torch
from torch import Tensor

from convoscope.engines.torch.cropping import Slide, input_gradient


@final
class PackedWeights:
    """Gradients of the inputs of convolutions that are asked for again and again.

    It keeps a copy of each weight that it was given, for as long as it lives itself.
    """

    def __init__(self) -> None:
        self._packed: dict[int, tuple[Tensor, Tensor]] = {}

    def input_gradient(
        self,
        grad: Tensor,
        weight: Tensor,
        shape: Sequence[int],
        slide: Slide,
        then: Literal["none", "relu"] = "none",
    ) -> Tensor:
        """See :func:`~convoscope.engines.torch.cropping.input_gradient`.

        ``then`` is what is done to it at once, which costs no pass of its own.
        """
        extent = [dilation * (side - 1) for dilation, side in _sides(weight, slide)]
        padding = [reach - own for reach, own in zip(extent, slide.padding, strict=True)]
        if not _is_plain(grad, weight, slide) or min(padding) < 0:
            found = input_gradient(grad, weight, shape, slide)
            return found.clamp_(min=0) if then == "relu" else found
        if id(weight) not in self._packed:
            self._packed[id(weight)] = weight, _pack(weight, grad, padding, slide)
        _, packed = self._packed[id(weight)]
        packed_found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            grad, packed, None, padding, (1, 1), slide.dilation, 1, then, [], ""
        )
        return packed_found


def _sides(weight: Tensor, slide: Slide) -> list[tuple[int, int]]:
    return list(zip(slide.dilation, weight.shape[2:], strict=True))


def _pack(weight: Tensor, grad: Tensor, padding: Sequence[int], slide: Slide) -> Tensor:
    turned = weight.detach().flip(2, 3).transpose(0, 1).contiguous()
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        turned, padding, (1, 1), slide.dilation, 1, tuple(grad.shape)
    )
    return packed


def _is_plain(grad: Tensor, weight: Tensor, slide: Slide) -> bool:
    """Whether oneDNN computes it: on a CPU, in float32, every place in one group."""
    floats = grad.dtype == weight.dtype == torch.float32 and grad.device.type == "cpu"
    return floats and slide.stride == (1, 1) and slide.groups == 1 and _has_operators()


@cache
def _has_operators() -> bool:
    return torch.backends.mkldnn.is_available() and all(  # type: ignore[no-untyped-call]
        hasattr(torch.ops.mkldnn, name)
        for name in ("_convolution_pointwise", "_reorder_convolution_weight")
    )
