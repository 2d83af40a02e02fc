"""Everything that a training run can be asked, as one flat value of plain words and numbers.

The same names are keyword arguments in Python, options on the command line (with ``-`` for ``_``),
keys of a settings file and keys of ``settings`` in ``run.json``. This file imports nothing heavy,
so that ``--help`` can say the defaults.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from convoscope.errors import SettingsError, unknown_name
from convoscope.transfer.strategies import tuned_defaults

OptionValue: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What to train on what, and how.

    ``data`` is a folder of images or the name of an embedded set. The network is either trained
    from scratch, ``model`` (a zoo network or a YAML file, ``set`` that zoo network's own options),
    or it is pretrained, ``backbone``, with a new ``head`` (see :mod:`convoscope.transfer.heads`;
    without one the usual) that learns from ``views`` versions of each image. ``tune`` says how
    much of a network that has learnt before, a backbone or that of ``from_run``, learns again (see
    :mod:`convoscope.transfer.strategies`; its settings are the defaults then): its layers at
    ``pretrained_rate`` times the learning rate, after ``head_epochs`` of the head alone at
    ``tune_rate`` times that, one more block every ``unfreeze_every`` epochs (0: all at once);
    ``norms`` says whether pretrained batch norms move. ``input`` is
    ``"3x64x64"``, ``"64x96"`` (height x width) or ``"64"``; without it the data or the network
    decides. The names from
    ``image_column`` to ``image_layout`` say what a table or an ``.npz`` file does not say itself,
    see :class:`~convoscope.data.reading.Reading`; ``image_shape`` is ``"32x32x3"`` (height x width
    x channels) or ``"28x28"``. ``split`` is a
    ``split.csv`` to use again, ``group_by`` what must stay in one split together, as in
    :mod:`convoscope.data.groups`, ``from_run`` a run whose parameters to start from. ``patience``
    0 never stops early. ``watch`` names splits besides validation whose curves are recorded while
    nothing is decided by them; ``probe`` is how many images are looked at after every epoch (see
    :mod:`convoscope.jobs.probe`); ``head_weight`` multiplies the losses of heads, ``threshold`` is
    the probability above which a head of one sigmoid answers with its second class, ``rate`` the
    learning rates of parameters whose name begins so. The remaining names are those of
    :class:`~convoscope.training.settings.TrainingSettings`,
    :class:`~convoscope.network.Optimiser` and :func:`convoscope.engines.build`.
    """

    data: str
    model: str | None = None
    backbone: str | None = None
    head: str | None = None
    views: int = 1
    tune: str | None = None
    pretrained_rate: float = 1.0
    head_epochs: int = 0
    tune_rate: float = 1.0
    unfreeze_every: int = 0
    norms: Literal["layer", "still", "adapt"] = "layer"
    set: Mapping[str, Any] = field(default_factory=dict)
    input: str | None = None
    from_run: str | None = None

    image_column: str | None = None
    label_column: tuple[str, ...] = ()
    label_pattern: str | None = None
    combine_labels: bool = False
    split_column: str | None = None
    image_root: str | None = None
    image_shape: str | None = None
    image_layout: Literal["hwc", "chw"] | None = None

    resize: Literal["squash", "crop", "pad"] = "squash"
    validation: float = 0.1
    test: float = 0.2
    split: str | None = None
    group_by: str | None = None
    skip_unreadable: bool = False
    allow_leak: bool = False

    epochs: int = 50
    batch: int = 32
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: Literal["none", "step", "cosine", "plateau"] = "none"
    schedule_every: int = 10
    schedule_factor: float = 0.1
    warmup: int = 0
    augment: str = "none"
    patience: int = 10
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    head_weight: Mapping[str, float] = field(default_factory=dict)
    threshold: Mapping[str, float] = field(default_factory=dict)
    rate: Mapping[str, float] = field(default_factory=dict)
    watch: tuple[Literal["train", "test"], ...] = ()
    probe: int = 0

    seed: int = 0
    engine: Literal["torch", "numpy"] = "torch"
    device: str = "auto"
    precision: Literal["float32", "float64", "bfloat16"] = "float32"

    def to_json(self) -> dict[str, Any]:
        """The object that ``run.json`` holds as ``settings``."""
        return asdict(self)

    def command(self) -> tuple[str, ...]:
        """The words of the command that asks for this; settings at their default are left out."""
        return ("convoscope", "train", self.data, *self.words(defaults()))

    @property
    def network(self) -> str:
        """The name of the network that is asked for, trained from scratch or pretrained."""
        if self.is_tuned_run and self.from_run is not None:
            return Path(self.from_run).name
        return self.model or self.backbone or ""

    @property
    def is_tuned_run(self) -> bool:
        """Whether the network is another run's, to be tuned."""
        return self.tune is not None and self.from_run is not None

    def words(self, settings: Iterable[str]) -> tuple[str, ...]:
        """The options that say those settings, where they are not at their default."""
        asked, words = frozenset(settings), []
        for name, value in self._changed():
            if name not in asked:
                continue
            if isinstance(value, Mapping):
                for key, option in value.items():
                    words += [flag(name), f"{key}={option_text(option)}"]
            elif isinstance(value, tuple):
                for one in value:
                    words += [flag(name), one]
            elif value is True:
                words.append(flag(name))
            else:
                words += [flag(name), str(value)]
        return tuple(words)

    def _changed(self) -> Iterator[tuple[str, Any]]:
        suited = tuned_defaults(self.tune, is_from_run=self.from_run is not None)
        for name, default in {**defaults(), **suited}.items():
            if (value := getattr(self, name)) != default:
                yield name, value


def defaults() -> dict[str, Any]:
    """The settings that have a default, in order, with it."""
    return {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(TrainRequest)
        if f.name != "data"
    }


def check_names(settings: Mapping[str, object]) -> None:
    """Refuse a setting that :class:`TrainRequest` does not have.

    Raises:
        UnknownNameError: names the nearest setting.
    """
    known = {f.name for f in fields(TrainRequest)}
    for name in settings:
        if name not in known:
            raise unknown_name("setting", name, known)


def flag(setting: str) -> str:
    """The option that says a setting on the command line."""
    return "--from" if setting == "from_run" else "--" + setting.replace("_", "-")


def option_text(value: OptionValue) -> str:
    """A value as one writes it after ``--set name=``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def option_value(text: str) -> OptionValue:
    """What one means by that text: yes or no, a number (``x0.5`` is one too), or a word."""
    if text.lower() in ("true", "yes", "on", "false", "no", "off"):
        return text.lower() in ("true", "yes", "on")
    for kind in (int, float):
        try:
            return kind(text.removeprefix("x"))
        except ValueError:
            continue
    return text


def input_shape(text: str, channels: int) -> tuple[int, int, int]:
    """``"3x64x64"``, ``"64x96"`` (height x width) or ``"64"`` as ``(C, H, W)``.

    ``channels`` are those of the network, where the text does not say them.

    Raises:
        SettingsError: if it is none of the three, or a number is below 1.
    """
    try:
        numbers = [int(number) for number in text.lower().split("x")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or min(numbers) < 1 or (len(numbers) == 3 and numbers[0] == 2):
        raise SettingsError(
            f"input must be CHANNELSxHEIGHTxWIDTH, HEIGHTxWIDTH or one size, such as 3x64x64, "
            f"64x96 or 64, got {text!r}: write it like that"
        )
    if len(numbers) == 1:
        numbers = numbers * 2
    c, h, w = numbers if len(numbers) == 3 else [channels, *numbers]
    return c, h, w


def image_shape(text: str) -> tuple[int, int] | tuple[int, int, int]:
    """``"28x28"`` (height x width) or ``"32x32x3"`` (height x width x channels), as arrays have it.

    Raises:
        SettingsError: if it is neither.
    """
    parts = text.lower().split("x")
    numbers = [int(part) for part in parts if part.isascii() and part.isdecimal()]
    if len(numbers) != len(parts) or len(numbers) not in (2, 3) or min(numbers) < 1:
        raise SettingsError(
            f"image_shape must be HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS, such as 28x28 or 32x32x3, "
            f"got {text!r}: write it like that"
        )
    height, width, *channels = numbers
    return (height, width, channels[0]) if channels else (height, width)


def quoted(command: tuple[str, ...]) -> str:
    """A command as one types it into a shell."""
    return shlex.join(command)
