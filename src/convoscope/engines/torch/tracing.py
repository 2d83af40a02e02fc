"""One remembered forward pass, from which activations and gradients are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from types import TracebackType
from typing import Any, Self, final, get_args

import numpy as np
import torch
from torch import Tensor, nn

from convoscope.architecture.graph import unknown_layer
from convoscope.arrays import FloatArray
from convoscope.engines.targets import (
    check_wrt,
    no_logits,
    not_downstream,
    not_traced,
    seed,
    too_late,
)
from convoscope.engines.torch.convnet import ConvNet
from convoscope.engines.torch.device import arithmetic
from convoscope.engines.torch.hooks import watching
from convoscope.engines.torch.relu_rule import RectifierRule, Way
from convoscope.engines.torch.way_back.cropping import Cropping
from convoscope.engines.torch.way_back.maxima import Maxima
from convoscope.engines.torch.way_back.neuron_crops import chain_gradients, links_between
from convoscope.errors import SettingsError, unknown_name
from convoscope.network import ClassLogit, Neuron, ReluRule, Target


@final
class TorchTrace:
    """The forward pass of ``pixels`` (N, C, H, W), done when it is made; see ``network.Trace``.

    Hooks exist only during that pass, and gradients are asked of autograd for ``wrt`` alone:
    nothing is written to a module or a parameter. What is kept here is the graph of the pass
    above ``wrt``, until the ``with`` block ends.
    """

    def __init__(
        self,
        module: ConvNet,
        pixels: Tensor,
        *,
        layers: Collection[str],
        upto: str | None,
        wrt: Collection[str],
    ) -> None:
        self._module, self._upto = module, upto
        self._layers, self._wrt = tuple(dict.fromkeys(layers)), tuple(dict.fromkeys(wrt))
        self._way = Way()
        self._pixels = pixels.detach().requires_grad_("images" in self._wrt)
        self._outputs: dict[str, Tensor] = {}
        self._chain: dict[str, tuple[nn.Module, Tensor]] = {}
        self._chain_names = _chain_names(module)
        self._maxima = Maxima()
        self._logits: dict[str, Tensor] = {}
        self._is_open = True
        self._arrays: dict[str, FloatArray] = {}
        self._run()

    @property
    def activations(self) -> Mapping[str, FloatArray]:
        """Per asked layer its output, (N, C, h, w) or (N, K), after the layer's own activation."""
        self._check_open()
        for layer in self._layers:
            if layer not in self._arrays:
                self._arrays[layer] = self._array(self._as_maps(layer, self._outputs[layer]))
        return dict(self._arrays)

    @property
    def logits(self) -> Mapping[str, FloatArray]:
        """Per head (N, K); empty if the pass stopped before the heads."""
        self._check_open()
        return {head: self._array(values) for head, values in self._logits.items()}

    @property
    def rectifies(self) -> bool:
        """Whether the way back can come through a ReLU, where the ReLU rules differ."""
        return self._way.calls > 0

    def gradient(
        self, targets: Sequence[Target], *, wrt: str = "images", relu_rule: ReluRule = "plain"
    ) -> FloatArray:
        """See :meth:`convoscope.network.Trace.gradient`."""
        self._check_open()
        if relu_rule not in get_args(ReluRule):
            raise unknown_name("ReLU rule", relu_rule, get_args(ReluRule))
        known = tuple(self._module.traceable())
        check_wrt(wrt, self._wrt, traced=self._layers, known=known)
        below = self._pixels if wrt == "images" else self._outputs[wrt]
        self._way.rule = relu_rule
        starts = zip(targets, self._starts(targets, wrt), strict=True)
        pulls = [self._pull(target, *start, wrt, below) for target, start in starts]
        shape = self._as_maps(wrt, below).shape
        return np.stack(pulls) if pulls else np.zeros((0, *shape), dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        self._maxima = Maxima()
        self._outputs, self._chain, self._logits, self._arrays = {}, {}, {}, {}

    def _run(self) -> None:
        traceable = self._module.traceable()
        below = tuple(layer for layer in self._wrt if layer != "images")
        names = (*self._layers, *below, *(() if self._upto is None else (self._upto,)))
        for layer in names:
            if layer not in traceable:
                raise unknown_layer(layer, tuple(traceable))
        watched = {layer: traceable[layer] for layer in (*names, *self._chain_names)}
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            _constant(self._module),
            RectifierRule(self._way),
            Cropping(),
            watching(watched, self._remember, last=self._upto),
        ):
            if self._chain_names and self._pixels.requires_grad:
                self._chain["images"] = (self._module, self._module.prepared(self._pixels))
            # a copy, for a module may overwrite its input, and a leaf must not be overwritten
            self._logits = self._module(self._pixels.clone())
        for layer in (*self._layers, *below):
            if layer not in self._outputs:
                raise too_late(layer, str(self._upto))

    def _remember(self, layer: str, output: Any) -> Any:
        """Keep the output, and pass a copy on, which the next module may overwrite.

        A module that computes several times is remembered as it last did.
        """
        if not isinstance(output, Tensor):
            return None
        if layer in self._wrt and not output.requires_grad:
            output = output.detach().requires_grad_()  # from here on, the graph is kept
        if layer in self._layers or layer in self._wrt:
            self._outputs[layer] = output
        if layer in self._chain_names and output.requires_grad:
            self._chain[layer] = (self._module.named[layer], output)
        # modules of ours overwrite only what nobody else holds
        return output.clone() if self._module.trunks else output

    def _output(self, layer: str) -> Tensor:
        if layer not in self._outputs:
            traceable = self._module.traceable()
            if layer not in traceable:
                raise unknown_layer(layer, tuple(traceable))
            raise not_traced(layer, self._layers)
        return self._outputs[layer]

    def _starts(self, targets: Sequence[Target], wrt: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Per target a tensor that autograd can go on from, and a gradient of it."""
        for layer, alike in groupby(targets, key=_neurons_layer):
            sources = []
            for target in alike:
                source, seeds = self._source(target)
                if not source.requires_grad:
                    raise not_downstream(target, wrt)
                sources.append((source, seeds.to(source)))
            links = links_between(self._chain, layer, wrt) if layer and source.ndim == 4 else []
            if not links:
                yield from sources
                continue
            given, starts = links[-1].given, [seeds for _, seeds in sources]
            for grad in chain_gradients(links, starts, self._way.rule, self._maxima):
                yield given, grad

    def _pull(
        self, target: Target, source: Tensor, seeds: Tensor, wrt: str, below: Tensor
    ) -> FloatArray:
        """The derivative of a target, (N, ...) with the shape of ``wrt``, from where it starts."""
        with arithmetic(self._module.device, "float32"):
            (grad,) = torch.autograd.grad(
                source, below, seeds, retain_graph=True, allow_unused=True
            )
        if grad is None:
            raise not_downstream(target, wrt)
        return self._array(self._as_maps(wrt, grad))

    def _source(self, target: Target) -> tuple[Tensor, Tensor]:
        """The tensor that a target is a weighted sum of, and the weights."""
        if isinstance(target, ClassLogit):
            head = self._module.architecture.head(target.head)
            if head.name not in self._logits:
                raise no_logits(target, str(self._upto))
            source, output = self._logits[head.name], head.output
        else:
            layer = target.layer
            source, output = self._as_maps(layer, self._output(layer)), "softmax"
        seeds = seed(target, tuple(source.shape), output=output, dtype=self._dtype())
        return source, torch.from_numpy(seeds)

    def _as_maps(self, layer: str, output: Tensor) -> Tensor:
        return self._module.as_maps(layer, output, len(self._pixels))

    def _array(self, tensor: Tensor) -> FloatArray:
        """A NumPy copy, C-contiguous, of the network's parameter type."""
        own = tensor.detach().to(device="cpu", dtype=self._module.dtype)
        return np.array(own.numpy(), order="C")

    def _dtype(self) -> str:
        return str(self._module.dtype).removeprefix("torch.")

    def _check_open(self) -> None:
        if not self._is_open:
            raise SettingsError(
                "a trace can be read inside its with block only, and this one has ended: "
                "take activations and gradients before the block ends"
            )


def _neurons_layer(target: Target) -> str | None:
    return target.layer if isinstance(target, Neuron) else None


def _chain_names(module: ConvNet) -> tuple[str, ...]:
    """The layers along which a neuron's gradient may be computed on crops.

    Crops save arithmetic, which is what a CPU lacks; a GPU would wait for their many small steps.
    """
    if module.trunks or module.device.type != "cpu" or module.precision == "bfloat16":
        return ()
    return tuple(layer.name for layer in module.architecture.layers)


@contextmanager
def _constant(module: nn.Module) -> Iterator[None]:
    """While the block runs, parameters are constants: no graph grows from them."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_()
