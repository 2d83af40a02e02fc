"""From settings as a person gives them (keywords, a YAML file, a run's record) to a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from convoscope.architecture.zoo import is_file
from convoscope.data.catalogue.choice import is_named
from convoscope.errors import RunError, SettingsError, placed
from convoscope.jobs.choice import no_network
from convoscope.jobs.request import TrainRequest, check_names, defaults, flag, image_shape
from convoscope.network import Optimiser
from convoscope.training.settings import Schedule, TrainingSettings
from convoscope.transfer.heads import find_head
from convoscope.transfer.strategies import tuned_defaults, tuning

MOST_PROBED = 48
"""A page cannot show more images in every epoch."""

_ADAPTER = TypeAdapter(TrainRequest)
_OUT = "out"
_SPELT = {"from": "from_run"}
"""Options whose setting has another name, for ``from`` is a word of Python's own."""
_BESIDE = ("folds", "seeds")


def request(settings: Mapping[str, Any]) -> TrainRequest:
    """The request that these settings make, each of its own kind.

    Raises:
        UnknownNameError: if there is no such setting; names the nearest.
        SettingsError: if a value is not of the setting's kind, or out of its range.
    """
    check_names(settings)
    if not settings.get("data"):
        raise SettingsError(
            "data must be given, got none: name a folder with one folder of images per class"
        )
    tune = settings.get("tune")
    suited = tuned_defaults(
        None if tune is None else str(tune), is_from_run=settings.get("from_run") is not None
    )
    asked = _typed({**suited, **settings})
    training_settings(asked)
    if not 0 <= asked.probe <= MOST_PROBED:
        raise SettingsError(
            f"--probe must be 0 to {MOST_PROBED} images, got {asked.probe}: 12 is usual, 0 is none"
        )
    _check_network(asked)
    if asked.image_shape is not None:
        image_shape(asked.image_shape)
    return asked


def gathered(
    data: str | Path | None,
    model: str | Path | None,
    settings_file: str | Path | None,
    settings: Mapping[str, Any],
) -> TrainRequest:
    """The request of a call: its settings override those in the file.

    Raises:
        ConvoscopeError: if a setting is unknown, missing or out of its range; if no network is
            named, the sentence recommends one for that data.
    """
    called = {**settings, **{k: str(v) for k, v in (("data", data), ("model", model)) if v}}
    filed = read_settings(Path(settings_file)) if settings_file else {}
    if {"model", "backbone"} & called.keys():
        filed = {k: v for k, v in filed.items() if k not in ("model", "backbone")}
    asked = request({**filed, **called})
    if not asked.network:
        raise no_network(asked)
    return asked


def read_settings(file: Path) -> dict[str, Any]:
    """The settings of a training in a YAML or JSON file; its ``out`` is :func:`asked_out`'s.

    Raises:
        SettingsError: if the file is missing, is not ``name: value`` lines, or a value is not of
            its setting's kind.
        UnknownNameError: if there is no such setting; names the nearest.
    """
    settings = _filed(file)
    settings.pop(_OUT, None)
    with placed(str(file)):
        for name in settings.keys() & set(_BESIDE):
            raise SettingsError(
                f"{name}: a settings file says how one network is trained, got {name}: "
                f"{settings[name]}: leave it out and write --{name} {settings[name]} beside "
                "--settings"
            )
        check_names(settings)
        _typed({**settings, "data": settings.get("data") or ""})  # it may be named elsewhere
    return settings


def asked_out(out: str | Path | None, settings_file: str | Path | None) -> str | Path | None:
    """The folder that a call names for its run, else its settings file; ``None`` if neither does.

    Raises:
        SettingsError: if the file is missing, or is not ``name: value`` lines.
    """
    if out is not None or settings_file is None:
        return out
    filed = _filed(Path(settings_file)).get(_OUT)
    return None if filed is None else str(filed)


def _filed(file: Path) -> dict[str, Any]:
    """All that a settings file says, under the names of settings."""
    if not file.is_file():
        raise SettingsError(f"{file}: there is no such settings file: name one that exists")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{file}: must be YAML, reading it gave: {reason}: mend it") from error
    if not isinstance(content, dict):
        raise SettingsError(
            f"{file}: must hold lines such as  epochs: 20 , got {type(content).__name__}: mend it"
        )
    names = [str(key).replace("-", "_") for key in content]
    return dict(zip((_SPELT.get(name, name) for name in names), content.values(), strict=True))


def asked_request(run: Path, settings: Mapping[str, Any]) -> TrainRequest:
    """The request that a run's record holds.

    Raises:
        RunError: if the record does not hold a whole one.
    """
    try:
        asked = request(settings)
        if not asked.network:
            raise SettingsError("model or backbone must be given, got neither")
        return asked
    except (LookupError, ValueError) as error:
        raise RunError(
            f"{run}: run.json must hold the settings of a training run, got: {error}: "
            "train again with --out elsewhere"
        ) from error


def absolute(asked: TrainRequest) -> TrainRequest:
    """The same request with every file and folder named from the root of the disk, so that it can
    be asked again from anywhere.
    """
    names = ["data", "model", "split", "from_run", "image_root"]
    if is_named(asked.data):
        names.remove("data")
    if asked.model is None or not is_file(asked.model):
        names.remove("model")
    files: dict[str, Any] = {
        name: str(Path(value).expanduser().absolute())
        for name in names
        if (value := getattr(asked, name)) is not None
    }
    return replace(asked, **files)


def training_settings(asked: TrainRequest) -> TrainingSettings:
    """The part of the request that the training loop needs.

    Raises:
        SettingsError: if a number is out of its range.
    """
    return TrainingSettings(
        epochs=asked.epochs,
        batch_size=asked.batch,
        optimiser=Optimiser(
            kind=asked.optimiser,
            learning_rate=asked.learning_rate,
            momentum=asked.momentum,
            nesterov=asked.nesterov,
            weight_decay=asked.weight_decay,
        ),
        schedule=Schedule(
            kind=asked.schedule,
            every=asked.schedule_every,
            factor=asked.schedule_factor,
            warmup=asked.warmup,
        ),
        augment=asked.augment,
        patience=asked.patience or None,
        class_weights=asked.class_weights,
        label_smoothing=asked.label_smoothing,
        head_weights=tuple(asked.head_weight.items()),
        rates=tuple(asked.rate.items()),
        seed=asked.seed,
    )


def _typed(settings: Mapping[str, Any]) -> TrainRequest:
    """The settings, each of its own kind; a number where a text is meant is read as one."""
    values = dict(settings)
    values |= {name: str(values[name]) for name in _TEXTS if values.get(name) is not None}
    values |= {name: [values[name]] for name in _LISTS if isinstance(values.get(name), str)}
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        law = first["msg"].replace("Input should be", "must be").partition(", unable to parse")[0]
        raise SettingsError(f"{name}: {law}, got {first['input']!r}: correct it") from error


def _check_network(asked: TrainRequest) -> None:
    """Refuse what belongs to another kind of network than the one asked for."""
    if asked.model is not None and asked.backbone is not None:
        raise SettingsError(
            f"a network is either trained from scratch or pretrained, got --model {asked.model} "
            f"and --backbone {asked.backbone}: leave one of them out"
        )
    if asked.head is not None:
        find_head(asked.head)
    if asked.views < 1:
        raise SettingsError(f"views must be at least 1, got {asked.views}")
    _check_tuning(asked)
    if asked.backbone is not None:
        _refuse(asked, _FROM_SCRATCH, f"a pretrained network (--backbone {asked.backbone})")
    if asked.model is not None:
        _refuse(asked, _PRETRAINED, f"a network trained from scratch (--model {asked.model})")
    if asked.is_tuned_run:
        _refuse(asked, ("set", "input"), f"the network of another run (--from {asked.from_run})")


def _check_tuning(asked: TrainRequest) -> None:
    """Refuse a strategy that is none, that has nothing to start from, or that cannot be meant."""
    for name in ("head_epochs", "unfreeze_every"):
        if (epochs := getattr(asked, name)) < 0:
            raise SettingsError(f"{flag(name)} must be at least 0 epochs, got {epochs}: 0 is none")
    for name in ("pretrained_rate", "tune_rate"):
        if not 0 < (rate := getattr(asked, name)) < float("inf"):
            raise SettingsError(
                f"{flag(name)} must be above 0 and finite, got {rate}: 0.1 is usual, and --tune "
                "last keeps pretrained layers as they are"
            )
    if asked.tune is None:
        return
    strategy = tuning(asked.tune).strategy
    if asked.model is not None or (asked.backbone is None and asked.from_run is None):
        found = f"--model {asked.model}" if asked.model else "neither"
        raise SettingsError(
            f"--tune {asked.tune}: a network that has learnt before is tuned, named by --backbone "
            f"or by --from alone, got {found}: add --backbone NAME or --from RUN"
            + (" and leave --model out" if asked.model else "")
        )
    if strategy.learns == "solved head" and asked.augment != "none":
        raise SettingsError(
            f"--tune svm: the machine is solved once, from each image as it is, got --augment "
            f"{asked.augment}: leave --augment out, or write --tune last"
        )


def _refuse(asked: TrainRequest, settings: Sequence[str], network: str) -> None:
    for name in settings:
        if (value := getattr(asked, name)) != defaults()[name]:
            raise SettingsError(
                f"{flag(name)}: {network} has no such choice, got {value!r}: leave it out, or "
                "choose another network"
            )


_TEXTS = ("data", "model", "backbone", "image_root", "tune", "from_run", "input")
_LISTS = ("label_column", "watch")
_FROM_SCRATCH = ("set", "input", "from_run")
_PRETRAINED = (
    "head",
    "views",
    "pretrained_rate",
    "head_epochs",
    "tune_rate",
    "unfreeze_every",
    "norms",
)
