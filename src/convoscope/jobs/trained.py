"""A run's trained network, opened for use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from convoscope import engines
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import RunError
from convoscope.network import Engine, Network
from convoscope.runs import Run
from convoscope.runs.convolution import CONVOLVE

_PREPROCESSING = TypeAdapter(Preprocessing)


def trained_network(run: Run, *, engine: Engine | None = None, device: str = "auto") -> Network:
    """The network with the run's kept parameters, on the engine it was trained with, or another.

    Raises:
        RunError: if the run has no whole model.
        WeightsError: if the parameters are not those of the architecture beside them.
    """
    check_has_network(run)
    model = run.model()
    parameters = run.parameters()
    return engines.build(
        run.architecture(),
        preprocessing=preprocessing(run, model),
        engine=engine or model.get("engine", "torch"),
        parameters=parameters,
        device=device,
    )


def check_has_network(run: Run) -> None:
    """Refuse a run of a kind that has no network of its own.

    Raises:
        RunError: if it is made of several runs, or never trained a network.
    """
    record = run.record()
    if record.parts:
        raise RunError(
            f"{run.path}: a run with several networks has none of its own: name one of them, such "
            f"as {run.path / record.parts[0]}"
        )
    if record.kind == CONVOLVE:
        raise RunError(
            f"{run.path}: this needs a run of  convoscope train , got one of  convoscope convolve"
            " , which trained no network: name another"
        )


def class_names(run: Run) -> dict[str, tuple[str, ...]]:
    """Per head the classes that the run's network tells apart."""
    return {head: tuple(names) for head, names in _entry(run, run.model(), "class_names").items()}


def preprocessing(run: Run, model: Mapping[str, Any]) -> Preprocessing:
    """How the run's network sees an image.

    Raises:
        RunError: if ``model.json`` does not say it whole.
    """
    values = _entry(run, model, "preprocessing")
    try:
        return _PREPROCESSING.validate_python(values)
    except ValidationError as error:
        raise _not_whole(run, "preprocessing") from error


def _entry(run: Run, model: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = model.get(key)
    if not isinstance(value, dict):
        raise _not_whole(run, key)
    return value


def _not_whole(run: Run, key: str) -> RunError:
    return RunError(
        f"{run.path / 'model' / 'model.json'}: {key} must be there and whole: "
        f"go on with  convoscope train --resume {run.path}  or train again"
    )
