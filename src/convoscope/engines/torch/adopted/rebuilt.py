"""Adopted layers made again from an architecture alone, as when a run is opened."""

from __future__ import annotations

import torch

from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.protocol import Shape, shape_text
from convoscope.engines.torch.adopted.remainder import front_of, given_by, remainder, rest_of
from convoscope.engines.torch.adopted.timm_models import PREFIX, Surveyed, make_module, surveyed
from convoscope.engines.torch.adopted.trunk import Trunk
from convoscope.errors import SettingsError, WeightsError


def trunks_of(architecture: Architecture, *, seed: int, dtype: torch.dtype) -> dict[str, Trunk]:
    """Per adopted layer its module, on the CPU, with values drawn from ``seed``.

    Raises:
        SettingsError: if a layer's source is not one that modules can be made from.
        UnknownNameError: if timm no longer has that network.
        WeightsError: if timm's network is not the one that was adopted.
        MissingDependencyError: if timm is not installed.
    """
    return {
        place.layer.name: _trunk(place.layer, place.input_shape, seed).to(dtype=dtype)
        for place in walk(architecture)
        if isinstance(place.layer, Adopted)
    }


def _trunk(layer: Adopted, input_shape: Shape, seed: int) -> Trunk:
    if not layer.source.startswith(PREFIX):
        raise SettingsError(
            f"layer {layer.name!r}: an adopted network ({layer.source}) comes with "
            "a module, and build has only the architecture: use convoscope.adopt"
        )
    known = _known(layer, input_shape)
    found = known.layer
    if (found.maps, found.parameters) != (layer.maps, layer.parameters):
        raise WeightsError(
            f"layer {layer.name!r}: {layer.source} must give {shape_text(layer.maps)} with "
            f"{layer.parameters:,} parameters, and this version of timm's gives "
            f"{shape_text(found.maps)} with {found.parameters:,}: install the version of timm that "
            "run.json names"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inner = make_module(layer.source, layer.image or input_shape).requires_grad_()
    if layer.after:
        given = given_by(layer.source, layer.image, layer.after)
        rest = remainder(inner, given, layer.after, layer.cut)
        return Trunk(rest, cut="", paths=known.paths, kept=known.shapes)
    return Trunk(inner, cut=layer.cut, paths=known.paths, kept=known.shapes)


def _known(layer: Adopted, input_shape: Shape) -> Surveyed:
    """What the layer's part of the module is."""
    if layer.after:
        return rest_of(layer.source, layer.image, layer.after, layer.cut)
    if layer.is_raw:
        return front_of(layer.source, input_shape, layer.cut)
    return surveyed(layer.source, input_shape, layer.cut)
