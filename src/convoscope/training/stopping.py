"""Which epoch was best, and whether to go on: pure functions of the validation losses so far."""

from __future__ import annotations

from collections.abc import Sequence


def best_epoch(validation_losses: Sequence[float]) -> int:
    """The first epoch, counted from 1, with the smallest loss; 0 before the first has ended."""
    if not validation_losses:
        return 0
    return min(range(len(validation_losses)), key=validation_losses.__getitem__) + 1


def is_out_of_patience(validation_losses: Sequence[float], patience: int | None) -> bool:
    """Whether the last ``patience`` epochs brought no better loss; never, with ``None``."""
    waited = len(validation_losses) - best_epoch(validation_losses)
    return patience is not None and waited >= patience
