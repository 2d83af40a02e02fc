"""From settings as a person gives them (keywords, a YAML file, a run's record) to a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from convoscope.architecture.zoo import is_file
from convoscope.data.sources import embedded_name
from convoscope.errors import RunError, SettingsError, placed
from convoscope.jobs.request import TrainRequest, check_names, image_shape
from convoscope.network import Optimiser
from convoscope.training.settings import Schedule, TrainingSettings

_ADAPTER = TypeAdapter(TrainRequest)


def request(settings: Mapping[str, Any]) -> TrainRequest:
    """The request that these settings make, each of its own kind.

    Raises:
        UnknownNameError: if there is no such setting; names the nearest.
        SettingsError: if a value is not of the setting's kind, or out of its range.
    """
    check_names(settings)
    for name in ("data", "model"):
        if not settings.get(name):
            raise SettingsError(f"{name} must be given, got none: {_ADVICE[name]}")
    values = {**settings, "data": str(settings["data"]), "model": str(settings["model"])}
    values |= {name: [values[name]] for name in _LISTS if isinstance(values.get(name), str)}
    if values.get("image_root") is not None:
        values["image_root"] = str(values["image_root"])
    try:
        asked = _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        law = first["msg"][0].lower() + first["msg"][1:]
        raise SettingsError(f"{name}: {law}, got {first['input']!r}: correct it") from error
    training_settings(asked)
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
        ConvoscopeError: if a setting is unknown, missing or out of its range.
    """
    asked = {**(read_settings(Path(settings_file)) if settings_file else {}), **settings}
    asked |= {key: str(value) for key, value in (("data", data), ("model", model)) if value}
    return request(asked)


def read_settings(file: Path) -> dict[str, Any]:
    """The settings in a YAML or JSON file.

    Raises:
        SettingsError: if the file is missing or is not ``name: value`` lines.
        UnknownNameError: if there is no such setting; names the nearest.
    """
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
    settings = {str(key).replace("-", "_"): value for key, value in content.items()}
    with placed(str(file)):
        check_names(settings)
    return settings


def asked_request(run: Path, settings: Mapping[str, Any]) -> TrainRequest:
    """The request that a run's record holds.

    Raises:
        RunError: if the record does not hold a whole one.
    """
    try:
        return request(settings)
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
    if embedded_name(asked.data) is not None:
        names.remove("data")
    if not is_file(asked.model):
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


_LISTS = ("label_column", "watch")
_ADVICE = {
    "data": "name a folder with one folder of images per class",
    "model": "name a network with --model, 'small' is a good start for photographs, or a YAML file",
}
