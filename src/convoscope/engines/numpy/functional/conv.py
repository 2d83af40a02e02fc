"""Convolution: one matrix product of all windows with all filters, and so is its derivative.

What every framework calls convolution is cross-correlation: the kernel is not flipped. It *is*
flipped on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.architecture.windows import Size
from convoscope.arrays import Array
from convoscope.engines.numpy.functional.channels import add_per_channel, sum_per_channel
from convoscope.engines.numpy.functional.operation import PLAIN, Backward, Way
from convoscope.engines.numpy.functional.sliding import Sliding, offsets


def conv2d(
    maps: Array, kernel: Array, bias: Array | None, sliding: Sliding
) -> tuple[Array, Backward]:
    """Maps (N, H, W, C) and a kernel (k, k, C, F) to maps (N, H', W', F)::

        y[n, i, j, f] = bias[f] + sum over a, b, c of
                        x[n, i s + a d - p, j s + b d - p, c] * kernel[a, b, c, f]

    The derivatives are read off that sum. A kernel value meets the pixel ``x[.., i s + a d - p,
    ..]`` in every window, so its gradient is the correlation of the input with the output's
    gradient. A pixel meets ``kernel[a, b]`` in the window that lies ``a, b`` before it, so its
    gradient is a convolution of the output's gradient with the kernel *flipped*, filters and
    channels exchanged.
    """
    framed = sliding.frame(maps)
    y = _correlate(framed, kernel, sliding)
    if bias is not None:
        add_per_channel(y, bias)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Array | None, Array | None]:
        grad = np.ascontiguousarray(grad)
        size = (maps.shape[1], maps.shape[2])
        return (
            _input_gradient(grad, kernel, sliding, size) if way.inputs else None,
            _kernel_gradient(framed, grad, sliding) if way.parameters else None,
            sum_per_channel(grad) if way.parameters and bias is not None else None,
        )

    return y, backward


def grouped_conv2d(
    maps: Array, kernel: Array, bias: Array | None, sliding: Sliding, groups: int
) -> tuple[Array, Backward]:
    """``groups`` convolutions side by side, each on its own share of the channels: maps
    (N, H, W, C) and a kernel (k, k, C / groups, F) to maps (N, H', W', F).
    """
    shares, kernels = np.split(maps, groups, axis=3), np.split(kernel, groups, axis=3)
    biases = [None] * groups if bias is None else np.split(bias, groups)
    results = [
        conv2d(share, np.ascontiguousarray(own_kernel), own_bias, sliding)
        for share, own_kernel, own_bias in zip(shares, kernels, biases, strict=True)
    ]

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Array | None, Array | None]:
        parts = np.split(grad, groups, axis=3)
        answers = [back(part, way) for (_, back), part in zip(results, parts, strict=True)]
        grads, grad_kernels, grad_biases = zip(*answers, strict=True)
        return _joined(grads), _joined(grad_kernels), _joined(grad_biases)

    return np.concatenate([y for y, _ in results], axis=3), backward


def depthwise_conv2d(
    maps: Array, kernel: Array, bias: Array | None, sliding: Sliding
) -> tuple[Array, Backward]:
    """One filter or more for each channel alone: maps (N, H, W, C) and a kernel (k, k, 1, C m) to
    maps (N, H', W', C m), where output ``c m + q`` is channel c under its q-th filter.

    With nothing to sum over the channels there is no matrix product; each of the k k offsets of
    all windows is multiplied by its own kernel value and added up.
    """
    framed, channels = sliding.frame(maps), maps.shape[3]
    by_channel = kernel.reshape(*kernel.shape[:2], channels, -1)  # (k, k, C, m)
    y = np.zeros((len(maps), *sliding.count, *by_channel.shape[2:]), dtype=maps.dtype)
    for a, b in offsets(sliding.kernel_size):
        y += _at(framed, sliding, a, b)[..., None] * by_channel[a, b]
    flat = y.reshape(*y.shape[:3], kernel.shape[3])
    if bias is not None:
        add_per_channel(flat, bias)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Array | None, Array | None]:
        by_filter = grad.reshape(y.shape)
        grad_framed, grad_kernel = np.zeros_like(framed), np.empty_like(by_channel)
        for a, b in offsets(sliding.kernel_size):
            if way.parameters:
                pixels = _at(framed, sliding, a, b)
                grad_kernel[a, b] = np.einsum("nijcq,nijc->cq", by_filter, pixels)
            if way.inputs:
                met = _at(grad_framed, sliding, a, b)
                met += np.einsum("nijcq,cq->nijc", by_filter, by_channel[a, b])
        size = (maps.shape[1], maps.shape[2])
        return (
            sliding.unframe(grad_framed, size) if way.inputs else None,
            grad_kernel.reshape(kernel.shape) if way.parameters else None,
            sum_per_channel(grad) if way.parameters and bias is not None else None,
        )

    return flat, backward


def _correlate(framed: Array, kernel: Array, sliding: Sliding) -> Array:
    matrix = kernel.reshape(-1, kernel.shape[3])  # (k k C, F)
    y = np.empty((len(framed), *sliding.count, kernel.shape[3]), dtype=framed.dtype)
    for strip, columns in sliding.strips(framed):
        part = y[strip]
        np.matmul(columns, matrix, out=part.reshape(len(columns), -1))
    return y


def _kernel_gradient(framed: Array, grad: Array, sliding: Sliding) -> Array:
    k, channels, filters = sliding.kernel_size, framed.shape[3], grad.shape[3]
    matrix = np.zeros((k * k * channels, filters), dtype=grad.dtype)
    for strip, columns in sliding.strips(framed):
        matrix += columns.T @ grad[strip].reshape(len(columns), filters)
    return matrix.reshape(k, k, channels, filters)


def _input_gradient(grad: Array, kernel: Array, sliding: Sliding, size: Size) -> Array:
    flipped = np.ascontiguousarray(kernel[::-1, ::-1].transpose(0, 1, 3, 2))  # (k, k, F, C)
    back = Sliding(kernel_size=sliding.kernel_size, dilation=sliding.dilation, count=size)
    return _correlate(_spread(grad, sliding, size), flipped, back)


def _spread(grad: Array, sliding: Sliding, size: Size) -> Array:
    """The output's gradient with each value at the pixel where its window begins, zeros between,
    in a frame from which windows of the flipped kernel reach every input pixel.
    """
    rim = sliding.dilation * (sliding.kernel_size - 1)
    if rim == 0 and sliding.stride == 1 and sliding.before == (0, 0) and sliding.count == size:
        return grad
    framed = np.zeros((len(grad), size[0] + rim, size[1] + rim, grad.shape[3]), dtype=grad.dtype)
    source, target = [slice(None)], [slice(None)]
    for axis in (0, 1):
        shift, s = rim - sliding.before[axis], sliding.stride
        first = max(0, -(shift // s))  # windows that end before the first pixel are left out
        end = min(sliding.count[axis], -(-(size[axis] + rim - shift) // s))
        source.append(slice(first, end))
        target.append(slice(first * s + shift, (end - 1) * s + shift + 1, s))
    framed[tuple(target)] = grad[tuple(source)]
    return framed


def _at(framed: Array, sliding: Sliding, a: int, b: int) -> Array:
    pixels: Array = framed[:, sliding.offset(a, 0), sliding.offset(b, 1)]
    return pixels


def _joined(parts: Sequence[Array | None]) -> Array | None:
    """The groups' arrays side by side, or ``None`` where they were not asked for."""
    arrays = [part for part in parts if part is not None]
    return np.concatenate(arrays, axis=-1) if arrays else None
