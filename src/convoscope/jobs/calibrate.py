"""Choose how sure a trained run may say it is, on its validation split."""

from __future__ import annotations

from pathlib import Path

from convoscope.runs import Run, open_run
from convoscope.runs.calibration import RunCalibration, choose_calibration


def calibrate(run: Run | str | Path) -> RunCalibration | None:
    """Choose the run's temperatures from its saved validation predictions and keep them in it.

    Without labelled validation predictions nothing is chosen, and ``None`` comes back. No
    prediction changes, only how sure it claims to be.

    Raises:
        RunError: if the folder is no run.
    """
    opened = open_run(run)
    chosen = choose_calibration(opened)
    if chosen is not None:
        opened.write_calibration(chosen.to_json())
    return chosen
