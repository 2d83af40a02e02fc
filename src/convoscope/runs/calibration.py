"""The temperature of each head of a run: chosen on validation, kept beside the weights.

It is applied where a probability is shown as a confidence; every figure of a report is computed
from the predictions as they are, unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, TypeAdapter, ValidationError

from convoscope.errors import RunError
from convoscope.metrics.confidence import Temperature, choose_temperature, with_temperature
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.runs.store import Run

SCHEMA_VERSION = 1
CHOSEN_ON = "validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCalibration:
    """The temperature of each head that has one, and the split it was chosen on."""

    temperatures: Mapping[str, Temperature]
    split: str = CHOSEN_ON

    def to_json(self) -> dict[str, Any]:
        """The object that ``calibration.json`` holds."""
        heads = {head: asdict(found) for head, found in self.temperatures.items()}
        return {"schema_version": SCHEMA_VERSION, "split": self.split, "heads": heads}

    def head(self, name: str, said: HeadPredictions) -> HeadPredictions:
        """A head's predictions with its temperature; a head without one stays as it is."""
        found = self.temperatures.get(name)
        return said if found is None else with_temperature(said, found.value)

    def predictions(self, said: Predictions) -> Predictions:
        """All heads' predictions with their temperatures."""
        return replace(
            said, heads={name: self.head(name, head) for name, head in said.heads.items()}
        )


def calibration_of(run: Run) -> RunCalibration | None:
    """The run's calibration: the one kept, else chosen now; ``None`` without validation labels.

    Raises:
        RunError: if the kept one is not whole, or of a newer version.
    """
    kept = run.calibration()
    return choose_calibration(run) if kept is None else _decoded(run, kept)


def choose_calibration(run: Run) -> RunCalibration | None:
    """Choose each head's temperature on the saved validation predictions, if there are any."""
    if CHOSEN_ON not in run.splits():
        return None
    found = {
        name: choose_temperature(said)
        for name, said in run.predictions(CHOSEN_ON).heads.items()
        if (said.labels >= 0).any() and np.isfinite(said.logits).all()
    }
    return RunCalibration(temperatures=found) if found else None


def _decoded(run: Run, content: object) -> RunCalibration:
    file = run.path / "model" / "calibration.json"
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RunError(
            f"{file}: has schema_version {version}, this convoscope reads up to {SCHEMA_VERSION}: "
            "update convoscope"
        )
    try:
        kept = _KEPT.validate_python(content)
    except ValidationError as error:
        raise RunError(
            f"{file}: must hold a temperature above 0 for each head, this one does not: delete the "
            "file, it is then chosen anew"
        ) from error
    return RunCalibration(temperatures=kept.heads, split=kept.split)


def _above_zero(found: Temperature) -> Temperature:
    if not found.value > 0:
        raise ValueError(found.value)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    split: str
    heads: dict[str, Annotated[Temperature, AfterValidator(_above_zero)]]


_KEPT = TypeAdapter(_Kept)
