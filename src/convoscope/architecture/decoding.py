"""Plain values to layers: every field checked against its annotation, every error placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from convoscope.architecture.branches import AnyLayer
from convoscope.errors import ArchitectureError, placed, unknown_name

LayerClass: TypeAlias = Any
KINDS: dict[str, LayerClass] = {
    str(next(f.default for f in fields(cls) if f.name == "kind")): cls for cls in get_args(AnyLayer)
}
CHAINS = ("body", "shortcut")
BRANCHES = "branches"

_DEEPEST = 16
_SAID = {"name", "kind"}  # which layer it is, and of what kind
_STEMS = {
    "conv2d": "conv",
    "separable_conv2d": "conv",
    "max_pool2d": "pool",
    "avg_pool2d": "pool",
    "global_max_pool": "global_pool",
    "global_avg_pool": "global_pool",
    "batch_norm": "norm",
}
_LAWS = {
    "padding": "an int >= 0, 'same' or 'valid'",
    "maps": "a list of ints such as [512, 7, 7]",
    "parameters": "an int >= 1",
}


@dataclass(slots=True)
class Names:
    """Names for layers that have none: their kind and the next free number."""

    taken: set[str]
    counts: dict[str, int] = field(default_factory=dict)

    def next(self, kind: str) -> str:
        """``conv1``, ``conv2``, ``pool1``, ...: a name that no layer of the file has."""
        stem = _STEMS.get(kind, kind)
        while True:
            self.counts[stem] = self.counts.get(stem, 0) + 1
            name = f"{stem}{self.counts[stem]}"
            if name not in self.taken:
                return name


def given_names(content: object) -> set[str]:
    """Every layer name that stands in plain values, at any depth."""
    if isinstance(content, Mapping):
        own = {content["name"]} if isinstance(content.get("name"), str) else set()
        return own.union(*map(given_names, content.values()))
    if isinstance(content, list):
        return set().union(*map(given_names, content))
    return set()


def decode_layers(
    content: object, *, where: str, names: Names, depth: int = 0
) -> tuple[AnyLayer, ...]:
    """The layers of a list, each a mapping with a ``kind``.

    Raises:
        ArchitectureError: if a layer or a field is not what it must be.
        UnknownNameError: if a kind or a key is unknown; names the nearest.
    """
    if not isinstance(content, list):
        raise ArchitectureError(f"{where}: there must be a list of layers, got {shown(content)}")
    if depth > _DEEPEST:
        raise ArchitectureError(
            f"{where}: branches must be nested at most {_DEEPEST} deep: write fewer levels"
        )
    return tuple(
        _decode_layer(layer, f"{where}[{i}]", names, depth) for i, layer in enumerate(content)
    )


def with_field(layer: AnyLayer, key: str, value: object) -> AnyLayer:
    """The layer with another value of one field, checked as one from a file is.

    Raises:
        UnknownNameError: if the layer has no such field; names the nearest.
        ArchitectureError: if the value is not what the field must be.
    """
    cls: LayerClass = type(layer)
    where = f"layer {layer.name!r}"
    values = {f.name: getattr(layer, f.name) for f in _fields(cls)}
    with placed(where):
        if key not in values.keys() - _SAID:
            raise unknown_name(f"field of a {layer.kind} layer", key, values.keys() - _SAID)
    names = Names(given_names(value))
    decoded = _decode_value(cls, key, value, where, names, 0)
    return _made(cls, {**values, key: decoded}, where)


def shown(value: object) -> str:
    """``value`` in an error message, cut where it becomes long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _decode_layer(content: object, where: str, names: Names, depth: int) -> AnyLayer:
    if not isinstance(content, Mapping):
        raise ArchitectureError(
            f"{where}: a layer must be a mapping such as {{kind: conv2d, filters: 8}}, "
            f"got {shown(content)}"
        )
    if isinstance(content.get("name"), str):
        where += f" {content['name']!r}"
    kind = content.get("kind")
    if not isinstance(kind, str):
        raise ArchitectureError(
            f"{where}: kind must be one of {', '.join(sorted(KINDS))}, got "
            f"{'none' if kind is None else shown(kind)}"
        )
    with placed(where):
        if kind not in KINDS:
            raise unknown_name("kind of layer", kind, KINDS)
        cls = KINDS[kind]
        _check_keys(kind, cls, content)
    values = {
        key: _decode_value(cls, key, value, where, names, depth) for key, value in content.items()
    }
    if "name" not in values:
        values["name"] = names.next(kind)
    return _made(cls, values, where)


def _check_keys(kind: str, cls: LayerClass, content: Mapping[str, object]) -> None:
    known = {f.name: f for f in _fields(cls)}
    for key in content:
        if key not in known:
            raise unknown_name(f"key of a {kind} layer", key, known)
    for key, known_field in known.items():
        if key not in content and key != "name" and known_field.default is MISSING:
            raise ArchitectureError(f"a {kind} layer must have {key}, it is missing: add it")


def _decode_value(
    cls: LayerClass, key: str, value: object, where: str, names: Names, depth: int
) -> object:
    if key in CHAINS:
        return decode_layers(value, where=f"{where}.{key}", names=names, depth=depth + 1)
    if key == BRANCHES:
        if not isinstance(value, list):
            raise ArchitectureError(
                f"{where}: branches must be a list of lists of layers, got {shown(value)}"
            )
        return tuple(
            decode_layers(branch, where=f"{where}.branches[{i}]", names=names, depth=depth + 1)
            for i, branch in enumerate(value)
        )
    if isinstance(value, list):
        value = tuple(value)
    try:
        return _adapter(cls, key).validate_python(value, strict=True)
    except ValidationError as error:
        law = _LAWS.get(key) or _law(_hints(cls)[key])
        raise ArchitectureError(f"{where}: {key} must be {law}, got {shown(value)}") from error


def _made(cls: LayerClass, values: Mapping[str, object], where: str) -> AnyLayer:
    try:
        layer: AnyLayer = cls(**values)
    except ArchitectureError as error:
        # The layer names itself; where it stands in the file says that and more.
        message = str(error).removeprefix(f"layer {values['name']!r}: ")
        raise ArchitectureError(f"{where}: {message}") from error
    return layer


def _law(hint: Any) -> str:
    """What values a field's annotation allows, in words."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if isinstance(hint, UnionType) or NoneType in get_args(hint):
        return " or ".join(_law(part) for part in get_args(hint))
    words = {int: "an int >= 1", float: "a number", bool: "true or false", str: "text"}
    return {**words, NoneType: "null"}[hint]


@cache
def _hints(cls: LayerClass) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _fields(cls: LayerClass) -> tuple[Field[Any], ...]:
    return fields(cls)


@cache
def _adapter(cls: LayerClass, key: str) -> TypeAdapter[Any]:
    return TypeAdapter(_hints(cls)[key])
