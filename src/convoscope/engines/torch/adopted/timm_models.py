"""timm's networks: what it says of them, and modules of them without their weights.

A source names one for good: ``"timm/resnet18.a1_in1k"``, architecture and the tag of its weights.
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.protocol import Shape
from convoscope.arrays import FloatArray
from convoscope.engines.published import Blueprint, Published
from convoscope.engines.torch.adopted.layout import Inside
from convoscope.engines.torch.adopted.survey import survey
from convoscope.engines.torch.adopted.torchvision_import import import_timm
from convoscope.engines.torch.hooks import watching
from convoscope.errors import SettingsError, UnknownNameError

PREFIX: Final = "timm/"
TRUNK: Final = "trunk"


def published(name: str) -> Published:
    """What timm says of its network ``name``, with or without a tag; nothing is downloaded.

    Raises:
        UnknownNameError: if timm has no such network, or none with that tag.
        MissingDependencyError: if timm is not installed.
    """
    config = _config(name)
    source = PREFIX + ".".join(filter(None, (config.architecture, config.tag)))
    with torch.device("meta"):
        module = make_module(source)
    return Published(
        source=source,
        input_shape=tuple(config.input_size),
        mean=tuple(config.mean),
        sd=tuple(config.std),
        classes=config.num_classes,
        features=_features(module, tuple(config.input_size)),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        licence=config.license or "",
        hub=config.hf_hub_id or "",
        url=config.url or "",
    )


def make_module(source: str, input_shape: Shape | None = None) -> nn.Module:
    """The module of a source, in evaluation mode, with whatever weights PyTorch draws for it.

    One that is made for images of one size (a vision transformer's position embedding) is made
    for those of ``input_shape``.

    Raises:
        UnknownNameError: if timm has no such network.
        SettingsError: if it takes no images of that shape.
        MissingDependencyError: if timm is not installed.
    """
    name = source.removeprefix(PREFIX)
    config = _config(name)
    options: dict[str, Any] = {}
    if input_shape is not None and input_shape[1:] != tuple(config.input_size)[1:]:
        options = {"img_size": input_shape[1:]} if config.fixed_input_size else {}
    try:
        module: nn.Module = import_timm().create_model(name, pretrained=False, **options)
    except (TypeError, AssertionError, ValueError) as error:
        raise SettingsError(
            f"{source}: images must be of {config.input_size[1]}x{config.input_size[2]} pixels, "
            f"which it is made for, and timm refuses {input_shape} ({error}): leave the size out"
        ) from error
    return module.eval()


def drawn(source: str, input_shape: Shape) -> Callable[[], nn.Module]:
    """What makes the module of a source on the CPU, with the same values every time."""

    def draw() -> nn.Module:
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return make_module(source, input_shape)

    return draw


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a source is for images of one shape, up to a cut: as an adopted layer, and what of its
    module is traced and kept, with shapes (see
    :class:`~convoscope.engines.torch.adopted.trunk.Trunk`).
    """

    layer: Adopted
    paths: Mapping[str, Inside]
    shapes: Mapping[str, Shape]


@functools.cache
def surveyed(source: str, input_shape: Shape, cut: str) -> Surveyed:
    """A source looked at on a module without values, where a pass computes nothing; once.

    Raises:
        UnknownNameError: if timm has no such network, or it has no module at ``cut``.
        SettingsError: if it takes no images of that shape.
        ShapeError: if it refuses them while computing.
    """
    with torch.device("meta"):
        module = make_module(source, input_shape)
    trunk, layer = survey(
        module, input_shape, name=TRUNK, cut=cut, source=source, drawn=drawn(source, input_shape)
    )
    shapes = {path: tuple(tensor.shape) for path, tensor in trunk.tensors()}
    return Surveyed(layer, trunk.paths, shapes)


def blueprint(source: str, input_shape: Shape, *, cut: str) -> Blueprint:
    """The architecture of a source for images of ``input_shape``, adopted up to ``cut``
    (``""``: all of it, its logits a head ``class``), without a single weight.

    Raises:
        UnknownNameError: if timm has no such network, or it has no module at ``cut``.
        SettingsError: if it takes no images of that shape.
        ShapeError: if it refuses them while computing.
    """
    found = surveyed(source, input_shape, cut)
    architecture = Architecture(
        name=source.removeprefix(PREFIX),
        input_shape=input_shape,
        layers=(found.layer,),
        heads=(Head(layers=()),) if not cut else (),
    )
    return Blueprint(architecture, {f"{TRUNK}.{path}": s for path, s in found.shapes.items()})


def renamed(source: str, arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """A publisher's own names and layouts (DINOv2's, Facebook's ViTs) turned into timm's, where
    timm knows how; else the same arrays.
    """
    module = make_module(source)
    rename = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if rename is None:
        return dict(arrays)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    try:
        found = rename(tensors, module)
    except (KeyError, RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return dict(arrays)  # another network's; whoever compares the names says so
    return {name: tensor.numpy() for name, tensor in found.items() if isinstance(tensor, Tensor)}


def _config(name: str) -> Any:
    """What timm itself says of a network and of its weights."""
    models = import_timm().models
    architecture = name.partition(".")[0]
    if not models.is_model(architecture):
        raise _unknown(name, models.list_models())
    try:
        return models.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        tags = models.list_pretrained(f"{architecture}.*")
        raise _unknown(name, tags or [architecture]) from error


def _unknown(name: str, known: list[str]) -> UnknownNameError:
    """There are far too many to list them all."""
    near = difflib.get_close_matches(name, known, n=3) or known[:3]
    return UnknownNameError(
        f"there is no timm network {name!r}: did you mean {' or '.join(map(repr, near))}?"
    )


def _features(module: nn.Module, input_shape: Shape) -> str:
    """The path of the module whose output is what timm calls the features; several may pass it
    on unchanged, and then the one that timm's own list of stages ends with is meant.
    """
    outputs: dict[str, Any] = {}
    first = next(module.parameters())
    inner = {path: part for path, part in module.named_modules() if path}
    with torch.no_grad(), watching(inner, lambda path, output: outputs.update({path: output})):
        features: Tensor = module.forward_features(  # type: ignore[operator]
            torch.zeros(1, *input_shape, device=first.device)
        )
    paths = [path for path, output in outputs.items() if output is features]
    stages = [stage["module"] for stage in getattr(module, "feature_info", ())]
    if not paths:
        return stages[-1] if stages else ""
    return stages[-1] if stages and stages[-1] in paths else paths[-1]
