"""Through a whole network: chains of layers, branches, and blocks of images on all cores.

Most layers treat each image alone. Runs of such layers are computed block by block
(:mod:`.blocks`); dense layers, and batch norm and dropout while they learn, take the batch at
once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.graph import Architecture, branches
from convoscope.architecture.layers import BatchNorm, Dense, Dropout
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.numpy.blocks import each, image_blocks
from convoscope.engines.numpy.composition import Back, Gradients, Operation, activated, chained
from convoscope.engines.numpy.journey import Journey
from convoscope.engines.numpy.operations import Pass, image_operation, layer_operation


def trunk(
    architecture: Architecture,
    layers: Sequence[AnyLayer],
    preprocessing: Preprocessing,
    forward: Pass,
) -> Operation:
    """Images (N, C, H, W) through the preprocessing and the given layers of the trunk."""
    images = image_operation(preprocessing, forward.dtype)
    return chained(
        [_by_blocks(images, [architecture.input_shape], forward), chain(layers, forward)]
    )


def heads(architecture: Architecture, forward: Pass) -> Mapping[str, Operation]:
    """Per head the way from the trunk's output to its logits."""
    return {head.name: chain(head.layers, forward) for head in architecture.heads}


def chain(layers: Sequence[AnyLayer], forward: Pass) -> Operation:
    """Layers one after the other."""
    parts = []
    for run in _runs(layers, forward):
        if forward.is_block or not _is_imagewise(run[0], forward):
            part = chained([_operation(layer, forward) for layer in run])
        else:
            alone = replace(forward, is_block=True)
            shapes = [forward.places[layer.name].output_shape for layer in run]
            inside = chained([_operation(layer, alone) for layer in run])
            part = _by_blocks(inside, shapes, forward)
        name = run[-1].name
        parts.append(_remembering(part, name, forward) if name in forward.remembered else part)
    return chained(parts)


def back_through_all(
    branches: Sequence[tuple[Back, Array | None]], journey: Journey
) -> tuple[Array | None, Gradients]:
    """Back through branches that were given the same input: their gradients of it, added."""
    total: Array | None = None
    gradients: Gradients = {}
    for back, grad in branches:
        answer, more = back(grad, journey)
        gradients |= more
        if journey.is_over:
            return None, gradients
        if answer is not None:
            total = answer if total is None else total + answer
    return total, gradients


def channels_last(shape: Shape) -> Shape:
    """(C, H, W), as the architecture says it, to (H, W, C), as it is computed; (K,) stays."""
    return (*shape[1:], shape[0])


def to_inside(values: Array) -> Array:
    """(N, C, H, W) at the waist as a view (N, H, W, C); vectors stay."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values


def to_waist(values: Array) -> Array:
    """(N, H, W, C) inside as a new array (N, C, H, W); vectors are copied."""
    moved = values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
    return np.array(moved, order="C")


def _runs(layers: Sequence[AnyLayer], forward: Pass) -> list[list[AnyLayer]]:
    """The layers in groups that are computed together; a remembered layer ends its group."""
    runs: list[list[AnyLayer]] = []
    is_open = False
    for layer in layers:
        is_imagewise = _is_imagewise(layer, forward)
        if is_open and is_imagewise:
            runs[-1].append(layer)
        else:
            runs.append([layer])
        is_open = is_imagewise and layer.name not in forward.remembered
    return runs


def _is_imagewise(layer: AnyLayer, forward: Pass) -> bool:
    """Whether each image goes through the layer as if it were alone, from end to end."""
    match layer:
        case Dense():
            return False
        case BatchNorm():
            return not forward.learns(layer)
        case Dropout():
            return forward.drop is None
        case _:
            inner = [one for branch in branches(layer) for one in branch]
            return all(
                one.name not in forward.remembered and _is_imagewise(one, forward) for one in inner
            )


def _operation(layer: AnyLayer, forward: Pass) -> Operation:
    match layer:
        case Residual():
            body, shortcut = chain(layer.body, forward), chain(layer.shortcut, forward)
            return activated(_sum(body, shortcut), layer.activation)
        case Parallel():
            return _concatenation([chain(branch, forward) for branch in layer.branches])
        case _:
            return layer_operation(layer, forward)


def _by_blocks(operation: Operation, shapes: Sequence[Shape], forward: Pass) -> Operation:
    """The operation on blocks of images; ``shapes`` are those of the layers inside it."""
    biggest = max(map(math.prod, shapes)) * np.dtype(forward.dtype).itemsize

    def run(x: Array) -> tuple[Array, Back]:
        blocks = image_blocks(len(x), biggest)
        if len(blocks) < 2:
            return operation.run(x)
        y = np.empty((len(x), *channels_last(shapes[-1])), dtype=forward.dtype)
        backs: list[Back | None] = [None] * len(blocks)

        def there(i: int) -> None:
            y[blocks[i]], back = operation.run(x[blocks[i]])
            backs[i] = back if forward.returns else None

        each(there, range(len(blocks)))
        return y, _back_by_blocks([back for back in backs if back is not None], blocks, x.shape)

    return Operation(run, operation.learns)


def _back_by_blocks(backs: Sequence[Back], blocks: Sequence[slice], shape: Shape) -> Back:
    def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
        if grad is None:
            return None, {}
        grad_x = np.empty(shape, dtype=grad.dtype) if journey.inputs else None

        def home(i: int) -> Gradients:
            grad_block, gradients = backs[i](grad[blocks[i]], journey)
            if grad_x is not None:
                grad_x[blocks[i]] = grad_block
            return gradients

        return grad_x, _added(each(home, range(len(blocks))))

    return backward


def _remembering(operation: Operation, name: str, forward: Pass) -> Operation:
    """The operation as a place where a way back may begin and end."""

    def run(x: Array) -> tuple[Array, Back]:
        y, back = operation.run(x)
        forward.kept[name] = y

        def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
            grad = journey.at(name, grad)
            return (None, {}) if journey.is_over else back(grad, journey)

        return y, backward

    return Operation(run, operation.learns)


def _sum(body: Operation, shortcut: Operation) -> Operation:
    """``body(x) + shortcut(x)``: both summands hear the whole gradient, x hears both answers."""

    def run(x: Array) -> tuple[Array, Back]:
        (y, back_body), (z, back_shortcut) = body.run(x), shortcut.run(x)

        def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
            own = None if grad is None else grad.copy()
            return back_through_all([(back_body, own), (back_shortcut, grad)], journey)

        return y + z, backward

    return Operation(run, body.learns or shortcut.learns)


def _concatenation(parts: Sequence[Operation]) -> Operation:
    """The branches' maps side by side; each hears the gradient of its own channels."""

    def run(x: Array) -> tuple[Array, Back]:
        results = [part.run(x) for part in parts]
        ends = np.cumsum([y.shape[-1] for y, _ in results])[:-1]

        def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
            shares: Sequence[Array | None] = [None] * len(results)
            if grad is not None:
                shares = [np.array(share) for share in np.split(grad, ends, axis=-1)]
            backs = [back for _, back in results]
            return back_through_all(list(zip(backs, shares, strict=True)), journey)

        return np.concatenate([y for y, _ in results], axis=-1), backward

    return Operation(run, any(part.learns for part in parts))


def _added(parts: Sequence[Gradients]) -> Gradients:
    """The gradients of several blocks of images, added in the order of the blocks."""
    return {name: np.sum([np.asarray(part[name]) for part in parts], axis=0) for name in parts[0]}
