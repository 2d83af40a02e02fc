"""Whether learning again did a network good: what is to be said when it did not."""

from __future__ import annotations

from collections.abc import Iterator

from convoscope.jobs.adapted import HEAD
from convoscope.jobs.outcome import guessing_loss
from convoscope.jobs.prepare import Prepared
from convoscope.metrics.summary import summarise
from convoscope.runs import Run
from convoscope.training.outcome import FitResult, lower_rate

EXPLODED = 4.0
"""A first epoch with so many times the loss of guessing evenly has taught nothing but harm."""


def tuning_notes(run: Run, result: FitResult, prepared: Prepared) -> Iterator[str]:
    """Sentences on what fine-tuning did that it should not have done, and what to do."""
    if prepared.adapted is None or not result.history:
        return
    yield from _exploded(result, prepared)
    yield from _in_vain(result)
    yield from _worse_than_frozen(run, result, prepared)


def _exploded(result: FitResult, prepared: Prepared) -> Iterator[str]:
    """Whether the first epoch in which pretrained layers learnt threw the network off."""
    assert prepared.adapted is not None
    stage = prepared.adapted.last
    first = next((r for r in result.history if r.phase == stage.name), None)
    if first is None or not prepared.adapted.teaches_pretrained:
        return
    loss, guess = first.scores["train_loss"], guessing_loss(prepared)
    if loss > EXPLODED * guess:
        optimiser = prepared.settings.optimiser
        lower = lower_rate(optimiser.kind, optimiser.learning_rate * stage.rate)
        yield (
            f"the loss exploded in epoch {first.epoch}, the first in which pretrained layers "
            f"learnt: {loss:.3g}, where guessing evenly gives {guess:.3g}: what they knew is "
            f"probably lost, train again with {lower}, or a longer --warmup"
        )


def _in_vain(result: FitResult) -> Iterator[str]:
    """Whether the head alone was better than all that came after it."""
    best = next((r for r in result.history if r.epoch == result.best_epoch), None)
    after = [r for r in result.history if r.phase != HEAD]
    if best is None or best.phase != HEAD or not after or "validation_loss" not in best.scores:
        return
    lowest = min(record.scores["validation_loss"] for record in after)
    yield (
        f"learning on after the head brought nothing: the validation loss was "
        f"{best.scores['validation_loss']:.3g} with the head alone (epoch {best.epoch}, which is "
        f"kept) and {lowest:.3g} at best after it: the head alone (--tune last) is enough, or try "
        "a smaller --tune-rate"
    )


def _worse_than_frozen(run: Run, result: FitResult, prepared: Prepared) -> Iterator[str]:
    """Whether the frozen features alone say more than the network that learnt."""
    assert prepared.adapted is not None
    kept = next((r for r in result.history if r.epoch == result.best_epoch), None)
    if kept is None or kept.phase == HEAD or "validation" not in run.splits():
        return
    if not prepared.adapted.teaches_pretrained:
        return
    frozen, learnt = run.baseline("validation"), run.predictions("validation")
    before, after = (summarise(said).whole.accuracy for said in (frozen, learnt))
    if before.value is None or before.low is None or after.value is None or after.high is None:
        return
    if after.high < before.value and after.value < before.low:
        optimiser = prepared.settings.optimiser
        yield (
            f"learning did the pretrained layers harm: on validation the network is right on "
            f"{after.value:.1%} (at most {after.high:.1%}), the nearest neighbours in the features "
            f"that it began with on {before.value:.1%}: train again with "
            f"{lower_rate(optimiser.kind, optimiser.learning_rate)}, or with --tune last"
        )
