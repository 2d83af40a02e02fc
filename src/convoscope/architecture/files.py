"""YAML and JSON files that describe a network, in and out.

::

    name: lenet
    input_shape: [1, 28, 28]
    layers:
      - {kind: conv2d, filters: 6, kernel_size: 5, padding: 2, activation: tanh}
      - {kind: avg_pool2d}
      - {kind: flatten}
      - {kind: dense, name: logits, units: 10}

A layer's keys are the fields of its class, told apart by ``kind``. A layer without a name is named
after its kind and a number: conv1, pool1. ``heads`` maps a name to ``{output, layers}``; without
it, the layers from the first flatten or global pooling on are the head "class". Every error says
the file, the layer and the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast, get_args

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.decoding import (
    BRANCHES,
    CHAINS,
    Names,
    decode_layers,
    given_names,
    shown,
)
from convoscope.architecture.documents import check_size, dump_yaml, parse_json, parse_yaml
from convoscope.architecture.graph import Architecture, Head, Output
from convoscope.errors import ArchitectureError, placed, unknown_name

_KEYS = ("name", "input_shape", "layers", "heads")
_HEAD_KEYS = ("output", "threshold", "layers")
_HEAD_STARTS = ("flatten", "global_avg_pool", "global_max_pool")


def read(path: Path) -> Architecture:
    """The network that a YAML file, or a JSON file (``.json``), describes.

    Raises:
        ArchitectureError: if there is no such file, or it does not describe a network.
        UnknownNameError: if a kind, a key or an output is unknown; names the nearest.
        ShapeError: if a layer does not fit what it is given.
    """
    try:
        with placed(str(path)):
            check_size(path.stat().st_size)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ArchitectureError(
            f"{path}: a network's description must be a readable file, the system said "
            f"{error.strerror!r}: check the path, or give the name of a network"
        ) from error
    except UnicodeDecodeError as error:
        raise ArchitectureError(
            f"{path}: a network's description must be UTF-8 text, byte {error.start} is not: "
            "this is some other file"
        ) from error
    return _from_text(text, str(path), is_json=path.suffix.lower() == ".json")


def from_yaml(text: str, *, where: str) -> Architecture:
    """The network that a YAML text describes; ``where`` it stands begins every error.

    Raises:
        ArchitectureError: if it does not describe a network.
        UnknownNameError: if a kind, a key or an output is unknown; names the nearest.
        ShapeError: if a layer does not fit what it is given.
    """
    return _from_text(text, where, is_json=False)


def to_yaml(architecture: Architecture) -> str:
    """YAML from which :func:`from_yaml` makes an equal network; default values are left out."""
    content = {
        "name": architecture.name,
        "input_shape": list(architecture.input_shape),
        "layers": [_plain(layer) for layer in architecture.layers],
        "heads": {
            head.name: {
                "output": head.output,
                **({"threshold": head.threshold} if head.threshold != 0.5 else {}),
                "layers": [_plain(layer) for layer in head.layers],
            }
            for head in architecture.heads
        },
    }
    return dump_yaml(content)


def _from_text(text: str, where: str, *, is_json: bool) -> Architecture:
    with placed(where):
        content = parse_json(text) if is_json else parse_yaml(text)
        if not isinstance(content, Mapping):
            raise ArchitectureError(
                "a network's description must be a mapping with input_shape and layers, got "
                f"{shown(content)}"
            )
        _check_keys("key of a network's description", content, _KEYS)
        for key in ("input_shape", "layers"):
            if key not in content:
                raise ArchitectureError(f"{key} is required, it is missing: add it")
        names = Names(given_names([content["layers"], content.get("heads")]))
        layers = decode_layers(content["layers"], where="layers", names=names)
        if "heads" in content:
            heads = _heads(content["heads"], names)
        else:
            layers, heads = _split(layers)
        return Architecture(
            name=_name(content, where),
            input_shape=_input_shape(content["input_shape"]),
            layers=layers,
            heads=heads,
        )


def _name(content: Mapping[str, object], where: str) -> str:
    name = content.get("name", Path(where).stem)
    if not isinstance(name, str):
        raise ArchitectureError(f"name must be text, got {shown(name)}: put it in quotes")
    return name


def _input_shape(content: object) -> tuple[int, ...]:
    if not isinstance(content, list) or not all(type(n) is int for n in content):
        raise ArchitectureError(
            "input_shape must be a list [channels, height, width] of ints >= 1, got "
            f"{shown(content)}"
        )
    return tuple(content)


def _heads(content: object, names: Names) -> tuple[Head, ...]:
    if not isinstance(content, Mapping):
        raise ArchitectureError(
            f"heads must map each head's name to its output and layers, got {shown(content)}"
        )
    return tuple(_head(name, head, names) for name, head in content.items())


def _head(name: str, content: object, names: Names) -> Head:
    where = f"heads.{name}"
    if not isinstance(content, Mapping) or "layers" not in content:
        raise ArchitectureError(
            f"{where}: a head must be a mapping with layers, got {shown(content)}"
        )
    output = content.get("output", "softmax")
    with placed(where):
        _check_keys("key of a head", content, _HEAD_KEYS)
        if output not in get_args(Output):
            raise ArchitectureError(f"output must be softmax or sigmoid, got {shown(output)}")
        threshold = content.get("threshold", 0.5)
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise ArchitectureError(f"threshold must be a number, got {shown(threshold)}")
    layers = decode_layers(content["layers"], where=f"{where}.layers", names=names)
    return Head(name=name, layers=layers, output=cast(Output, output), threshold=float(threshold))


def _split(layers: tuple[AnyLayer, ...]) -> tuple[tuple[AnyLayer, ...], tuple[Head, ...]]:
    """The trunk, and the head that begins where maps become a vector."""
    for i, layer in enumerate(layers):
        if layer.kind in _HEAD_STARTS:
            return layers[:i], (Head(layers=layers[i:]),)
    return layers, ()


def _check_keys(what: str, content: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            raise unknown_name(what, key, known)


def _plain(layer: AnyLayer) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": layer.kind, "name": layer.name}
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.name in values or value == field.default:
            continue
        if field.name in CHAINS:
            value = [_plain(inner) for inner in value]
        elif field.name == BRANCHES:
            value = [[_plain(inner) for inner in branch] for branch in value]
        values[field.name] = list(value) if isinstance(value, tuple) else value
    return values
