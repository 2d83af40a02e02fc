"""The learning rate's multiplier at every step, as a pure function of where training stands.

Nothing is remembered between calls, so a resumed run meets the same rates as one never stopped.
Epochs and steps count from 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from convoscope.training.settings import Schedule


def rate(
    schedule: Schedule,
    *,
    epochs: int,
    epoch: int,
    step: int,
    steps: int,
    validation_losses: Sequence[float] = (),
) -> float:
    """What the optimiser's learning rate is multiplied by in step ``step`` of ``steps``.

    ``validation_losses`` are those of the epochs before this one. During the warm-up the rate rises
    with every step and reaches its full height at the warm-up's last one; the cosine begins there.
    """
    before = epoch - 1 + (step - 1) / steps
    if epoch <= schedule.warmup:
        return (before + 1 / steps) / schedule.warmup
    match schedule.kind:
        case "none":
            return 1.0
        case "step":
            return float(schedule.factor ** ((epoch - 1 - schedule.warmup) // schedule.every))
        case "cosine":
            share = (before - schedule.warmup) / (epochs - schedule.warmup)
            return (1 + math.cos(math.pi * share)) / 2
        case "plateau":
            after_warmup = validation_losses[schedule.warmup :]
            return float(schedule.factor ** plateaus(after_warmup, schedule.every))


def plateaus(losses: Sequence[float], every: int) -> int:
    """How many times ``every`` epochs in a row brought no loss below the best before them."""
    best, waited, count = math.inf, 0, 0
    for loss in losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited == every:
            waited, count = 0, count + 1
    return count
