"""A network computed by PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from convoscope.architecture.graph import Architecture, unknown_layer
from convoscope.architecture.protocol import Shape
from convoscope.architecture.receptive_field import Box, check_cell, patch
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.initialise import initial_parameters
from convoscope.engines.inputs import check_images, check_preprocessing, default_preprocessing
from convoscope.engines.torch.adopted.attention import AttentionSeen
from convoscope.engines.torch.adopted.reach import reach
from convoscope.engines.torch.adopted.rebuilt import trunks_of
from convoscope.engines.torch.adopted.trunk import Trunk
from convoscope.engines.torch.convnet import ConvNet
from convoscope.engines.torch.device import choose_device, parameter_dtype, prefers_channels_last
from convoscope.engines.torch.tracing import TorchTrace
from convoscope.engines.weights import check_shapes, parameter_shapes
from convoscope.network import Engine, Precision


def build(
    architecture: Architecture,
    *,
    preprocessing: Preprocessing | None,
    seed: int,
    parameters: Mapping[str, FloatArray] | None,
    device: str,
    precision: Precision,
) -> TorchNetwork:
    """See :func:`convoscope.engines.build`.

    Freshly drawn parameters become the network's without a copy; given ones are copied. An
    adopted layer of timm's is made again; nothing is downloaded for it.

    Raises:
        SettingsError: if the device or the precision is not to be had here, the preprocessing
            does not fit, or a layer is adopted whose module only ``adopt`` knows.
        WeightsError: if ``parameters`` are not this architecture's, or timm's network is not the
            one that was adopted.
        MissingDependencyError: if a layer is timm's, which is not installed.
    """
    chosen = choose_device(device)
    dtype = parameter_dtype(precision, chosen)
    preprocessing = preprocessing or default_preprocessing(architecture.input_shape)
    check_preprocessing(preprocessing, architecture.input_shape)
    trunks = trunks_of(architecture, seed=seed, dtype=dtype)
    if parameters is None:
        tensors = as_tensors(initial_parameters(architecture, seed, _name(dtype)))
    else:
        inside = _inside(trunks)
        check_shapes(parameter_shapes(architecture) | _shapes(inside), parameters)
        overwrite(inside, {name: parameters[name] for name in inside})
        own = {name: array for name, array in parameters.items() if name not in inside}
        tensors = as_tensors({n: np.array(a, dtype=_name(dtype)) for n, a in own.items()})
    module = ConvNet(
        architecture, preprocessing, tensors, device=chosen, precision=precision, trunks=trunks
    )
    return TorchNetwork(module)


@final
class TorchNetwork:
    """See :class:`convoscope.network.Network`. One thread at a time may use it."""

    engine: Final[Engine] = "torch"

    def __init__(self, module: ConvNet) -> None:
        self.module = module

    @property
    def device(self) -> str:
        """See :attr:`convoscope.network.Network.device`."""
        return str(self.module.device)

    @property
    def precision(self) -> Precision:
        """See :attr:`convoscope.network.Network.precision`."""
        return self.module.precision

    @property
    def architecture(self) -> Architecture:
        """What the network is."""
        return self.module.architecture

    @property
    def preprocessing(self) -> Preprocessing:
        """What happens to an image before the first layer."""
        return self.module.preprocessing

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Every layer that can be traced, in computing order."""
        return tuple(self.module.traceable())

    def logits(self, images: Array) -> Mapping[str, FloatArray]:
        """See :meth:`convoscope.network.Network.logits`."""
        with torch.no_grad():
            logits = self.module(self._pixels(images))
        return {head: values.cpu().numpy() for head, values in logits.items()}

    @property
    def layer_shapes(self) -> Mapping[str, Shape]:
        """Per layer the shape of its output for one image, (C, h, w) or (K,)."""
        return self.module.shapes()

    def trace(
        self,
        images: Array,
        *,
        layers: Collection[str] = (),
        upto: str | None = None,
        wrt: Collection[str] = ("images",),
    ) -> TorchTrace:
        """See :meth:`convoscope.network.Network.trace`."""
        return TorchTrace(self.module, self._pixels(images), layers=layers, upto=upto, wrt=wrt)

    def attention(self, images: Array) -> tuple[FloatArray, ...]:
        """See :meth:`convoscope.network.Network.attention`."""
        with torch.no_grad(), AttentionSeen() as seen:
            self.module(self._pixels(images))
        return tuple(w.to(device="cpu", dtype=self.module.dtype).numpy() for w in seen.weights)

    def patch(self, layer: str, row: int, column: int) -> Box:
        """See :meth:`convoscope.network.Network.patch`."""
        if not self.module.trunks:
            return patch(self.architecture, layer, row, column)
        shapes = self.layer_shapes
        if layer not in shapes:
            raise unknown_layer(layer, tuple(shapes))
        check_cell(layer, row, column, shapes[layer])
        return reach(self.module, layer, row, column)

    def parameters(self) -> Mapping[str, FloatArray]:
        """Copies of all parameters and running statistics, C-contiguous."""
        return {name: as_array(tensor) for name, tensor in self.module.tensors()}

    def with_parameters(self, parameters: Mapping[str, FloatArray]) -> TorchNetwork:
        """See :meth:`convoscope.network.Network.with_parameters`."""
        check_shapes(self.parameter_shapes(), parameters, some=True)
        module = copy.deepcopy(self.module)
        overwrite(dict(module.tensors()), parameters)
        return TorchNetwork(module)

    def parameter_shapes(self) -> dict[str, Shape]:
        """``{"layer.parameter": shape}`` of all parameters and running statistics."""
        return _shapes(dict(self.module.tensors()))

    def _pixels(self, images: Array) -> Tensor:
        check_images(images, self.architecture.input_shape)
        return as_pixels(images, self.module.device, self.module.dtype)


def as_pixels(images: Array, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Images (N, C, H, W) of any strides as floats in [0, 1] on the device.

    Bytes travel as bytes and are converted there. A view of (N, H, W, C) needs no reordering.
    """
    tensor = as_tensor(images).to(device)
    is_bytes = tensor.dtype == torch.uint8
    pixels = tensor.to(dtype, copy=True)  # never the caller's memory: a module may overwrite it
    pixels = pixels.div_(255) if is_bytes else pixels
    if prefers_channels_last(device):
        return pixels.contiguous(memory_format=torch.channels_last)
    return pixels


def as_tensors(arrays: Mapping[str, FloatArray]) -> dict[str, Tensor]:
    """Tensors on the same memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def as_array(tensor: Tensor) -> Array:
    """A NumPy copy, C-contiguous."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


@torch.no_grad()
def overwrite(tensors: Mapping[str, Tensor], arrays: Mapping[str, Array]) -> None:
    """Write each array into the tensor of its name, in place."""
    for name, array in arrays.items():
        tensors[name].copy_(as_tensor(array))


def as_tensor(array: Array) -> Tensor:
    """A tensor on the array's memory, or on a copy of what PyTorch does not take as it is."""
    if not array.flags.writeable or min(array.strides, default=0) < 0:
        array = array.copy(order="K")
    return torch.from_numpy(array)


def _inside(trunks: Mapping[str, Trunk]) -> dict[str, Tensor]:
    """``"layer.path.parameter"`` and its tensor, of every adopted layer."""
    return {
        f"{layer}.{name}": tensor
        for layer, trunk in trunks.items()
        for name, tensor in trunk.tensors()
    }


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
