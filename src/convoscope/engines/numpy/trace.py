"""A remembered forward pass of the NumPy engine: what layers gave, and gradients of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, branches, unknown_layer
from convoscope.architecture.layers import Activation
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.numpy.composition import Back
from convoscope.engines.numpy.forward import back_through_all, chain, to_inside, to_waist, trunk
from convoscope.engines.numpy.journey import Journey
from convoscope.engines.numpy.operations import Pass
from convoscope.engines.targets import (
    check_wrt,
    no_logits,
    not_downstream,
    not_traced,
    seed,
    too_late,
)
from convoscope.network import ClassLogit, ReluRule, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a trace is to remember; see :meth:`convoscope.network.Network.trace`."""

    layers: tuple[str, ...] = ()
    upto: str | None = None
    wrt: tuple[str, ...] = ("images",)


def traced(
    architecture: Architecture,
    preprocessing: Preprocessing,
    forward: Pass,
    images: Array,
    asked: Asked,
) -> NumpyTrace:
    """The images' forward pass, to the end or up to a layer."""
    layers, in_head = _cut(architecture, asked.upto)
    maps, back_trunk = trunk(architecture, layers, preprocessing, forward).run(images)
    ways = {name: chain(own, forward).run(maps) for name, own in in_head.items()}
    for name in forward.remembered:
        if name not in forward.kept:
            raise too_late(name, str(asked.upto))
    return NumpyTrace(
        architecture=architecture,
        outputs={name: forward.kept[name] for name in sorted(forward.kept)},
        logits={name: y for name, (y, _) in ways.items()} if asked.upto is None else {},
        backs=(back_trunk, {name: back for name, (_, back) in ways.items()}) if asked.wrt else None,
        asked=asked,
        images=len(images),
    )


class NumpyTrace:
    """A :class:`~convoscope.network.Trace`; there is nothing to put back when it is left."""

    def __init__(
        self,
        *,
        architecture: Architecture,
        outputs: Mapping[str, Array],
        logits: Mapping[str, FloatArray],
        backs: tuple[Back, Mapping[str, Back]] | None,
        asked: Asked,
        images: int,
    ) -> None:
        self._architecture, self._images = architecture, images
        self._activations = {name: to_waist(maps) for name, maps in outputs.items()}
        self._logits = {name: values.copy() for name, values in logits.items()}
        self._backs = backs
        self._asked = asked

    @property
    def activations(self) -> Mapping[str, FloatArray]:
        """Per traced layer (N, C, h, w) or (N, K)."""
        return {layer: self._activations[layer] for layer in self._asked.layers}

    @property
    def logits(self) -> Mapping[str, FloatArray]:
        """Per head (N, K); empty if the pass stopped at a layer."""
        return self._logits

    @property
    def rectifies(self) -> bool:
        """Whether the way back can come through a ReLU, where the ReLU rules differ."""
        chains, in_head = _cut(self._architecture, self._asked.upto)
        return any(map(_rectifies, [*chains, *(one for own in in_head.values() for one in own)]))

    def gradient(
        self, targets: Sequence[Target], *, wrt: str = "images", relu_rule: ReluRule = "plain"
    ) -> FloatArray:
        """The derivative of each of T targets with respect to ``wrt``, (T, N, ...).

        Raises:
            UnknownNameError: if a layer or a head is not in the network.
            SettingsError: if a layer was not traced, or a target is not downstream of ``wrt``.
        """
        known = self._architecture.layer_names
        check_wrt(wrt, self._asked.wrt, traced=self._asked.layers, known=known)
        if not targets:
            is_image = wrt == "images"
            shape = (
                self._architecture.place(wrt).output_shape
                if not is_image
                else self._architecture.input_shape
            )
            return np.zeros((0, self._images, *shape), dtype=np.float32)
        return np.stack([self._derivative(target, wrt, relu_rule) for target in targets])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def _derivative(self, target: Target, wrt: str, relu_rule: ReluRule) -> FloatArray:
        start, seeds = self._seed(target)
        in_head = {start: seeds} if isinstance(target, ClassLogit) else {}
        journey = Journey(
            relu_rule=relu_rule,
            seeds={} if in_head else {start: to_inside(seeds)},
            until=None if wrt == "images" else wrt,
        )
        assert self._backs is not None, "a trace for no gradients has refused before"
        back_trunk, back_heads = self._backs
        ways = [(back, in_head.get(name)) for name, back in back_heads.items()]
        grad, _ = back_through_all(ways, journey)
        if not journey.is_over:
            grad, _ = back_trunk(grad, journey)
        found = journey.found[0] if journey.found else grad
        if found is None:
            raise not_downstream(target, wrt)
        return found if wrt == "images" else to_waist(found)

    def _seed(self, target: Target) -> tuple[str, FloatArray]:
        """Where the target's gradient starts, and with what."""
        if isinstance(target, ClassLogit):
            head = self._architecture.head(target.head)
            if self._asked.upto is not None:
                raise no_logits(target, self._asked.upto)
            logits = self._logits[head.name]
            dtype = str(logits.dtype)
            return head.name, seed(target, logits.shape, output=head.output, dtype=dtype)
        self._check_traced(target.layer)
        maps = self._activations[target.layer]
        return target.layer, seed(target, maps.shape, dtype=str(maps.dtype))

    def _check_traced(self, layer: str) -> None:
        if layer not in self._architecture.layer_names:
            raise unknown_layer(layer, self._architecture.layer_names)
        if layer not in self._activations:
            raise not_traced(layer, tuple(self._activations))


def _cut(
    architecture: Architecture, upto: str | None
) -> tuple[Sequence[AnyLayer], Mapping[str, Sequence[AnyLayer]]]:
    """The layers of the trunk, and of each head, that are computed to reach ``upto``."""
    chains = {head.name: head.layers for head in architecture.heads}
    if upto is None:
        return architecture.layers, chains
    for i, layer in enumerate(architecture.layers):
        if _holds(layer, upto):
            return architecture.layers[: i + 1], {}
    for name, layers in chains.items():
        for i, layer in enumerate(layers):
            if _holds(layer, upto):
                return architecture.layers, {name: layers[: i + 1]}
    raise unknown_layer(upto, architecture.layer_names)


def _holds(layer: AnyLayer, name: str) -> bool:
    inner = [one for branch in branches(layer) for one in branch]
    return layer.name == name or any(_holds(one, name) for one in inner)


def _rectifies(layer: AnyLayer) -> bool:
    function = layer.function if isinstance(layer, Activation) else None
    function = getattr(layer, "activation", function)
    inner = [one for branch in branches(layer) for one in branch]
    return function in ("relu", "relu6") or any(map(_rectifies, inner))
