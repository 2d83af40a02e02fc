"""The cases of the battery, drawn from the vocabulary, and how two engines are compared.

A new layer is met here without an edit: its fields say how it may vary.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from convoscope.architecture.branches import Adopted, AnyLayer, Parallel, Residual
from convoscope.architecture.graph import Architecture, Head, walk
from convoscope.architecture.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
)
from convoscope.architecture.protocol import Shape
from convoscope.architecture.zoo import ZOO, make
from convoscope.arrays import FloatArray, generator
from convoscope.errors import ConvoscopeError, ShapeError

INPUT_SHAPE: Shape = (4, 9, 8)
IMAGES = 5
LARGEST = 10_000_000


def same(found: FloatArray, expected: FloatArray, *, relative: float = 1e-9) -> None:
    """Assert that two arrays agree to ``relative`` of the largest expected value."""
    assert found.shape == expected.shape
    scale = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(found - expected).max(initial=0.0))
    assert difference <= relative * scale + 1e-13, f"{difference} apart, at a scale of {scale}"


def layer_cases() -> Iterator[tuple[str, Architecture]]:
    """Each layer of the vocabulary as it is by default, and with each field varied alone."""
    for kind in get_args(AnyLayer):
        if kind is not Adopted:
            yield from _cases_of(kind)


def zoo_cases() -> Iterator[tuple[str, Architecture]]:
    """Each network of the zoo on the smallest input that it takes, with a small head if its own
    has millions of weights.
    """
    for name, entry in ZOO.items():
        architecture = _smallest(name, entry.input_shape[0])
        if parameter_count(architecture) > LARGEST:
            head = Head(layers=(GlobalAvgPool("pool"), Dense("logits", 5)))
            architecture = dataclasses.replace(architecture, heads=(head,))
        yield name, architecture


def parameter_count(architecture: Architecture) -> int:
    """The number of trainable values."""
    return sum(place.layer.parameter_count(place.input_shape) for place in walk(architecture))


def images_for(architecture: Architecture, count: int = IMAGES) -> FloatArray:
    """Random images in [0, 1] in float64."""
    rng = generator(1, "conformance", architecture.name)
    return rng.random((count, *architecture.input_shape))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for one of these runs once for each; those that learn leave out networks
    with very many weights.
    """
    cases: Mapping[str, Callable[[], Iterator[tuple[str, Architecture]]]] = {
        "layer_case": layer_cases,
        "zoo_case": zoo_cases,
        "learning_zoo_case": lambda: (
            (label, case) for label, case in zoo_cases() if parameter_count(case) <= LARGEST
        ),
    }
    for name, drawn in cases.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, [pytest.param(case, id=label) for label, case in drawn()])


def _cases_of(kind: type[Any]) -> Iterator[tuple[str, Architecture]]:
    fields, hints = dataclasses.fields(kind), get_type_hints(kind)
    required = {
        field.name: _required(field.name, hints[field.name])
        for field in fields
        if field.default is dataclasses.MISSING
    }
    yield kind.__name__, _around(kind(**required))
    for field in fields:
        if field.name in ("name", "kind"):
            continue
        for value in _variants(field.name, hints[field.name]):
            try:
                yield (
                    f"{kind.__name__}-{field.name}-{_label(value)}",
                    _around(kind(**{**required, field.name: value})),
                )
            except ConvoscopeError:
                continue  # this value does not go with the other fields


def _required(name: str, hint: object) -> Any:
    known: Mapping[str, object] = {"name": "tested", "body": _BODY, "branches": (_BODY, ())}
    return known.get(name, 4 if hint is int else 0.5)


def _variants(name: str, hint: object) -> list[Any]:
    """Values to try for a field, from its type."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    found = list(itertools.chain.from_iterable(_variants(name, arm) for arm in get_args(hint)))
    special: Mapping[str, list[object]] = {
        "shortcut": [(Conv2d("short", 4, kernel_size=1),)],
        "body": [(Conv2d("deep", 4, padding=1), Residual("inner", (Activation("act"),)))],
        "branches": [(_BODY, (Parallel("inner", ((Activation("act", "elu"),), ())),))],
    }
    if name in special:
        return special[name]
    if hint is int:
        return [1, 2, 3, 4, 5]
    if hint is float:
        return [0.25]
    return [True, False] if hint is bool else found


_BODY: tuple[AnyLayer, ...] = (Conv2d("inside", 4, padding=1, activation="relu"),)


def _around(layer: AnyLayer) -> Architecture:
    """A network whose middle is the layer: on maps where it takes maps, else on a vector."""
    stem = Conv2d("stem", 4, kernel_size=2, padding="same", activation="relu")
    top = Dense("logits", 3)
    try:
        return Architecture(
            name="around",
            input_shape=INPUT_SHAPE,
            layers=(stem, layer),
            heads=(Head(layers=(Flatten("flat"), top)),),
        )
    except ShapeError:
        return Architecture(
            name="around",
            input_shape=INPUT_SHAPE,
            layers=(stem,),
            heads=(Head(layers=(Flatten("flat"), layer, top)),),
        )


def _smallest(name: str, channels: int) -> Architecture:
    for side in (28, 32, 40, 64, 96, 128, 160):
        try:
            architecture = make(name, input_shape=(channels, side, side))
        except ShapeError:
            continue
        if not _norms_single_cells(architecture):
            return architecture
    return make(name)


def _norms_single_cells(architecture: Architecture) -> bool:
    """Whether a batch norm reads maps of one cell: of a few images, a channel's values are then
    often all equal, and rounding alone decides whether the ReLU behind it passes them.
    """
    return any(
        isinstance(place.layer, BatchNorm) and place.output_shape[1:] == (1, 1)
        for place in walk(architecture)
    )


def _label(value: object) -> str:
    return str(value) if isinstance(value, str | int | float | None) else "nested"
