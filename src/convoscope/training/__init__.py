"""Teaching a network: settings, schedules, stopping, events, and the loop that joins them."""

from convoscope.training.checkpoint import Checkpoint, EpochRecord, checkpoint_from
from convoscope.training.loop import fit
from convoscope.training.outcome import Divergence, FitResult
from convoscope.training.settings import Schedule, TrainingSettings

__all__ = [
    "Checkpoint",
    "Divergence",
    "EpochRecord",
    "FitResult",
    "Schedule",
    "TrainingSettings",
    "checkpoint_from",
    "fit",
]
