"""A network by numbers: blocks, filters, kernel size and the rest are options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import get_args

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
)
from convoscope.architecture.protocol import ActivationName, Initialisation, Shape
from convoscope.errors import SettingsError, unknown_name

ORGANISATIONS = (0.5, 1.0, 2.0)
_RANGES = {
    "blocks": (1, 16),  # no image can be halved more often
    "filters": (1, 65536),
    "kernel_size": (1, 1024),
    "dense_layers": (0, 64),
    "dense_width": (1, 1_048_576),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flexible:
    """``blocks`` times convolution - activation - batch norm - 2x2 max pooling, then dense layers.

    The first block has ``filters`` filters of ``kernel_size``, each further one ``organisation``
    times as many as the one before, cut to a whole number and at least 1. Convolutions are padded
    to keep their size. ``dropout`` follows each dense layer.

    Raises:
        SettingsError: if an option is out of its range.
    """

    blocks: int = 5
    filters: int = 32
    kernel_size: int = 3
    organisation: float = 1.0
    activation: ActivationName = "relu"
    batch_norm: bool = False
    dropout: float = 0.0
    dense_layers: int = 1
    dense_width: int = 64

    def __post_init__(self) -> None:
        for option, (least, most) in _RANGES.items():
            _check_int(option, getattr(self, option), least, most)
        if self.organisation not in ORGANISATIONS or isinstance(self.organisation, bool):
            raise SettingsError(
                f"organisation must be 0.5, 1 or 2 times the filters, got {self.organisation!r}"
            )
        if self.activation not in get_args(ActivationName):
            raise unknown_name("activation", str(self.activation), get_args(ActivationName))
        if not isinstance(self.batch_norm, bool):
            raise SettingsError(f"batch_norm must be true or false, got {self.batch_norm!r}")
        if isinstance(self.dropout, str | bool) or not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout must be at least 0 and below 1, got {self.dropout!r}")

    @property
    def block_filters(self) -> tuple[int, ...]:
        """The number of filters of each block."""
        return tuple(max(1, int(self.filters * self.organisation**i)) for i in range(self.blocks))


def flexible(input_shape: Shape, **options: object) -> Architecture:
    """The network that the options of :class:`Flexible` describe.

    Raises:
        UnknownNameError: if there is no such option; names the nearest.
        SettingsError: if an option is out of its range.
        ShapeError: if the image is too small for so many poolings.
    """
    choice = flexible_options(options)
    layers: list[AnyLayer] = []
    for i, filters in enumerate(choice.block_filters, 1):
        layers += _block(choice, i, filters)
    top: list[AnyLayer] = [Flatten("flatten")]
    for i in range(1, choice.dense_layers + 1):
        dense = Dense(
            f"dense{i}",
            choice.dense_width,
            activation=choice.activation,
            initialisation=_initialisation(choice),
        )
        dropout = [Dropout(f"dropout{i}", choice.dropout)] if choice.dropout else []
        top += [dense, *dropout]
    top.append(Dense("output", 10, initialisation="xavier"))
    return Architecture(
        name="flexible",
        input_shape=input_shape,
        layers=tuple(layers),
        heads=(Head(layers=tuple(top)),),
    )


def flexible_options(options: Mapping[str, object]) -> Flexible:
    """The options by name, checked.

    Raises:
        UnknownNameError: if there is no such option; names the nearest.
        SettingsError: if an option is out of its range.
    """
    known = [field.name for field in fields(Flexible)]
    for option in options:
        if option not in known:
            raise unknown_name("option of flexible", option, known)
    return Flexible(**options)  # type: ignore[arg-type]  # each value is checked when it is made


def _block(choice: Flexible, number: int, filters: int) -> list[AnyLayer]:
    conv = Conv2d(
        f"conv{number}",
        filters,
        kernel_size=choice.kernel_size,
        padding="same",
        initialisation=_initialisation(choice),
    )
    norm = [BatchNorm(f"norm{number}")] if choice.batch_norm else []
    activation = Activation(f"{choice.activation}{number}", choice.activation)
    return [conv, activation, *norm, MaxPool2d(f"pool{number}")]


def _initialisation(choice: Flexible) -> Initialisation:
    """SELU keeps mean and variance only from weights of variance 1/n (Klambauer et al. 2017,
    https://arxiv.org/abs/1706.02515); saturating functions want Glorot's; the others Kaiming's.
    """
    match choice.activation:
        case "selu":
            return "fan_in"
        case "tanh" | "sigmoid":
            return "xavier"
        case _:
            return "kaiming"


def _check_int(option: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise SettingsError(f"{option} must be an int from {least} to {most}, got {value!r}")
