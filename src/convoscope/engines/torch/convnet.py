"""An architecture as one PyTorch module: images in, logits per head out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.protocol import Shape
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.torch.adopted.trunk import Trunk
from convoscope.engines.torch.device import arithmetic, prefers_channels_last
from convoscope.engines.torch.modules import in_turn, make_module
from convoscope.network import Precision


@final
class ConvNet(nn.Module):
    """Layers as modules, by name, on one device.

    ``tensors`` are ``{"layer.parameter": tensor}`` and are held, not copied (4-D weights are,
    where channels go innermost); ``trunks`` are the modules of adopted layers.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        architecture: Architecture,
        preprocessing: Preprocessing,
        tensors: Mapping[str, Tensor],
        *,
        device: torch.device,
        precision: Precision,
        trunks: Mapping[str, Trunk] | None = None,
    ) -> None:
        super().__init__()
        self.architecture, self.preprocessing = architecture, preprocessing
        self.device, self.precision = device, precision
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self.trunks: dict[str, Trunk] = dict(trunks or {})
        self.named: dict[str, nn.Module] = dict(self.trunks)
        for place in walk(architecture):
            prefix = f"{place.layer.name}."
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            self.named[place.layer.name] = make_module(place, own, self.named)
        self.every_layer = nn.ModuleList(self.named.values())
        for name, values in (("mean", preprocessing.mean), ("sd", preprocessing.sd)):
            column = torch.tensor(values, dtype=self.dtype).reshape(1, -1, 1, 1)
            self.register_buffer(name, column, persistent=False)
        self.eval().to(device=device, dtype=self.dtype)
        if prefers_channels_last(device):
            self._put_channels_innermost()

    def _put_channels_innermost(self) -> None:
        """Lay out 4-D weights alone; ``Module.to`` would refuse an adopted 3-D convolution's."""
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.ndim == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W), values in [0, 1], to logits (N, K) per head."""
        with arithmetic(self.device, self.precision):
            trunk = self._in_turn(self.architecture.layers, self.prepared(pixels))
            logits = {h.name: self._in_turn(h.layers, trunk) for h in self.architecture.heads}
        return {name: values.to(self.dtype) for name, values in logits.items()}

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """``"layer.parameter"`` and its tensor, for every parameter and buffer."""
        for place in walk(self.architecture):
            name = place.layer.name
            module = self.named[name]
            own = module.tensors() if isinstance(module, Trunk) else _own_tensors(module)
            yield from ((f"{name}.{parameter}", tensor) for parameter, tensor in own)

    def traceable(self) -> dict[str, nn.Module]:
        """Every module whose output can be asked for: the layers, and those inside trunks."""
        layers: dict[str, nn.Module] = {}
        for name in self.architecture.layer_names:
            layers |= self.trunks[name].traceable() if name in self.trunks else {}
            layers[name] = self.named[name]
        return layers

    def shapes(self) -> dict[str, Shape]:
        """Per traceable module the shape of what it gives for one image, (C, h, w) or (K,)."""
        shapes: dict[str, Shape] = {}
        for place in walk(self.architecture):
            trunk = self.trunks.get(place.layer.name)
            inner = trunk.paths.items() if trunk else ()
            shapes |= {path: given.shape for path, given in inner if path}
            shapes[place.layer.name] = place.output_shape
        return shapes

    def as_maps(self, layer: str, output: Tensor, images: int) -> Tensor:
        """A layer's output as maps: whatever lies otherwise inside a trunk becomes (N, C, h, w)."""
        for trunk in self.trunks.values():
            if layer in trunk.paths:
                return trunk.as_maps(layer, output, images)
        return output

    def prepared(self, pixels: Tensor) -> Tensor:
        """What the first layer sees: channels in the network's order, ``(v - mean) / sd``."""
        if self.preprocessing.order == "bgr":
            pixels = pixels.flip(1)
        if any(self.preprocessing.mean):
            pixels = pixels - self.mean
        return pixels / self.sd if any(v != 1 for v in self.preprocessing.sd) else pixels

    def _in_turn(self, layers: Sequence[AnyLayer], x: Tensor) -> Tensor:
        return in_turn([self.named[layer.name] for layer in layers], x)


def _own_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
