"""Any PyTorch module as a network: traced, explained and trained like one of our own.

The module is copied, so the caller's never changes. Its inner modules are traced under their
paths (``layer4.1.conv2``), its parameters bear the adopted layer's name before theirs
(``trunk.layer4.1.conv2.weight``).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.protocol import Shape
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.initialise import initial_parameters
from convoscope.engines.inputs import check_preprocessing, default_preprocessing
from convoscope.engines.torch.convnet import ConvNet
from convoscope.engines.torch.device import choose_device, parameter_dtype
from convoscope.engines.torch.hooks import watching
from convoscope.engines.torch.network import TorchNetwork, as_tensors
from convoscope.engines.torch.trunk import TokenGrid, Trunk
from convoscope.errors import SettingsError, ShapeError, unknown_name
from convoscope.network import Precision


def adopt(
    module: nn.Module,
    *,
    input_shape: Shape,
    source: str = "torch",
    name: str = "trunk",
    cut: str = "",
    heads: Sequence[Head] | None = None,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "float32",
) -> TorchNetwork:
    """A network whose trunk is ``module`` up to its inner module at path ``cut`` (``""``: all).

    ``heads`` stand on what comes out there, and are freshly initialised from ``seed``; by
    default a vector that comes out is itself the logits of a head ``class``. ``module`` takes
    (N, C, H, W) of ``input_shape``, preprocessed as ``preprocessing`` says.

    Raises:
        UnknownNameError: if there is no module at ``cut``.
        SettingsError: if the module is TorchScript, whose ReLUs are out of reach, does not
            compute ``cut``, gives no tensor there, or a path is also a head's layer name.
        ShapeError: if the module refuses images of ``input_shape``.
    """
    chosen = choose_device(device)
    dtype = parameter_dtype(precision, chosen)
    preprocessing = preprocessing or default_preprocessing(input_shape)
    check_preprocessing(preprocessing, input_shape)
    _check_open(module)
    inner = copy.deepcopy(module).eval().requires_grad_().to(device=chosen, dtype=dtype)
    if cut and cut not in dict(inner.named_modules()):
        raise unknown_name("module", cut, [path for path, _ in inner.named_modules() if path])
    trunk, layer = _survey(inner, input_shape, name=name, cut=cut, source=source)
    if heads is None:
        heads = (Head(layers=()),) if len(layer.maps) == 1 else ()
    architecture = Architecture(
        name=source, input_shape=input_shape, layers=(layer,), heads=tuple(heads)
    )
    _check_paths(trunk.paths, architecture)
    return TorchNetwork(
        ConvNet(
            architecture,
            preprocessing,
            as_tensors(initial_parameters(architecture, seed, str(dtype).removeprefix("torch."))),
            device=chosen,
            precision=precision,
            trunks={name: trunk},
        )
    )


@dataclass(slots=True)
class _Seen:
    """What one forward pass on zeros shows: the modules that computed, and those giving tensors."""

    computed: set[str]
    tensors: dict[str, None]

    def watch(self, path: str, output: Any) -> None:
        self.computed.add(path)
        if isinstance(output, Tensor) and path:
            self.tensors[path] = None


def _survey(
    inner: nn.Module, input_shape: Shape, *, name: str, cut: str, source: str
) -> tuple[Trunk, Adopted]:
    """The trunk and its layer, as one pass on an image of zeros, forth and back, shows them."""
    seen = _Seen(computed=set(), tensors={})
    output, macs = _try(inner, input_shape, cut, seen)
    used = _used_parameters(inner, output)
    owners = seen.computed | {path for path, _ in inner.named_modules() if _holds(path, cut)}
    buffers = [key for key, _ in inner.named_buffers() if key.rpartition(".")[0] in owners]
    trunk = Trunk(
        inner, cut=cut, paths=tuple(seen.tensors), kept=[*used, *buffers], grid=_grid(inner)
    )
    layer = Adopted(
        name,
        source=source,
        cut=cut,
        maps=tuple(trunk.as_maps(output).shape[1:]),
        parameters=sum(parameter.numel() for parameter in used.values()),
        multiply_accumulates=macs,
    )
    return trunk, layer


def _try(inner: nn.Module, input_shape: Shape, cut: str, seen: _Seen) -> tuple[Tensor, int]:
    """What comes out at the cut for one image of zeros, and the multiply-accumulates."""
    first = next(inner.parameters(), torch.zeros(()))
    zeros = torch.zeros(1, *input_shape, device=first.device, dtype=first.dtype)
    outputs: list[Any] = []
    modules = dict(inner.named_modules())

    def watch(path: str, output: Any) -> None:
        seen.watch(path, output)
        if path == cut:
            outputs.append(output)

    counter = FlopCounterMode(display=False)
    try:
        with torch.enable_grad(), counter, watching(modules, watch, last=cut):
            inner(zeros)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ShapeError(
            f"the adopted module must take images of shape (N, {', '.join(map(str, input_shape))})"
            f", and it stopped with {str(error).partition(chr(10))[0]!r}: give its own input_shape"
        ) from error
    if not outputs or not isinstance(outputs[-1], Tensor):
        found = type(outputs[-1]).__name__ if outputs else "nothing, for it is not computed"
        raise SettingsError(
            f"cut={cut!r}: a module must give one tensor where it is cut, got {found}: "
            "cut at another module"
        )
    return outputs[-1], counter.get_total_flops() // 2


def _used_parameters(inner: nn.Module, output: Tensor) -> dict[str, nn.Parameter]:
    """The parameters that the output depends on; all, where the module hides which (no_grad)."""
    named = dict(inner.named_parameters())
    if not output.requires_grad:
        return named
    grads = torch.autograd.grad(output.sum(), list(named.values()), allow_unused=True)
    return {
        key: parameter
        for (key, parameter), grad in zip(named.items(), grads, strict=True)
        if grad is not None
    }


def _holds(path: str, cut: str) -> bool:
    """Whether the module at ``path`` contains the cut, and so never comes to its end."""
    return not path or cut.startswith(f"{path}.")


def _grid(inner: nn.Module) -> TokenGrid | None:
    """How a vision transformer of timm's kind says its tokens lie."""
    size = getattr(getattr(inner, "patch_embed", None), "grid_size", None)
    if size is None:
        return None
    return TokenGrid(int(size[0]), int(size[1]), int(getattr(inner, "num_prefix_tokens", 0)))


def _check_open(module: nn.Module) -> None:
    if any(isinstance(inner, torch.jit.ScriptModule) for inner in module.modules()):
        raise SettingsError(
            "a module must be plain PyTorch to be adopted, got TorchScript, inside which guided "
            "backpropagation cannot reach the ReLUs: adopt the module it was made from"
        )


def _check_paths(paths: Sequence[str], architecture: Architecture) -> None:
    taken = [path for path in paths if path in architecture.layer_names]
    if taken:
        raise SettingsError(
            f"layer names and the adopted module's paths must differ, both have {taken[0]!r}: "
            "rename the layer"
        )
