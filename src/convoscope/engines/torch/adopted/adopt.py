"""Any PyTorch module as a network: traced, explained and trained like one of our own.

The module is copied, so the caller's never changes. Its inner modules are traced under their
paths (``layer4.1.conv2``), its parameters bear the adopted layer's name before theirs
(``trunk.layer4.1.conv2.weight``).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

import torch
from torch import nn

from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.protocol import Shape
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.initialise import initial_parameters
from convoscope.engines.inputs import check_preprocessing, default_preprocessing
from convoscope.engines.torch.adopted.survey import survey
from convoscope.engines.torch.convnet import ConvNet
from convoscope.engines.torch.device import choose_device, parameter_dtype
from convoscope.engines.torch.network import TorchNetwork, as_tensors
from convoscope.errors import SettingsError
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
    trunk, layer = survey(inner, input_shape, name=name, cut=cut, source=source)
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


def _check_open(module: nn.Module) -> None:
    if any(isinstance(inner, torch.jit.ScriptModule) for inner in module.modules()):
        raise SettingsError(
            "a module must be plain PyTorch to be adopted, got TorchScript, inside which guided "
            "backpropagation cannot reach the ReLUs: adopt the module it was made from"
        )


def _check_paths(paths: Collection[str], architecture: Architecture) -> None:
    taken = [path for path in paths if path in architecture.layer_names]
    if taken:
        raise SettingsError(
            f"layer names and the adopted module's paths must differ, both have {taken[0]!r}: "
            "rename the layer"
        )
