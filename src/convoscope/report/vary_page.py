"""Variations of one training beside one another, as one self-contained page."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from convoscope import disk
from convoscope.errors import ReconciliationError
from convoscope.pictures.curves import Colour, Curve, learning_curves
from convoscope.pictures.effects import EffectRow, effect_chart
from convoscope.pictures.svg import shortened_inside
from convoscope.report import wording
from convoscope.report.accuracy import figure_bar
from convoscope.report.costs import cost_charts
from convoscope.report.shell import fill
from convoscope.runs.store import Run
from convoscope.runs.variations import Contrast, Trained, Variations

_COLOURS: tuple[Colour, ...] = ("blue", "orange", "green", "purple")
_LABEL_ROOM = 84.0
_MOST_CURVES = 2 * len(_COLOURS)
_COSTS = (
    ("multiply-accumulates per picture", "macs"),
    ("parameters", "parameters"),
    ("seconds of training", "seconds"),
)
_CURVES = (
    ("train_loss", "training loss", "nats", False),
    ("validation_loss", "validation loss", "nats", False),
    ("validation_accuracy", "validation accuracy", "", True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSection:
    """One thing that was varied: sentences, a chart of differences, learning curves."""

    name: str
    contrasts: tuple[Contrast, ...]
    differences: Markup | None
    curves: tuple[tuple[str, Markup], ...]
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A further section of the page, written by whoever knows more than variations say.

    ``body`` is HTML that is safe as it stands.
    """

    id: str
    title: str
    body: Markup


def write(
    run: Run,
    found: Variations,
    extras: Sequence[Extra] = (),
    title: str = "",
    file: Path | None = None,
) -> Path:
    """Write the run's ``report.html``, all of it or nothing.

    Raises:
        ReconciliationError: if two figures disagree.
        StorageError: if the disk is full or not writable.
    """
    page = file or run.report_file
    disk.write_text(page, render(run, found, extras, title))
    return page


def render(run: Run, found: Variations, extras: Sequence[Extra] = (), title: str = "") -> str:
    """The page as text."""
    _reconcile(found)
    record = run.record()
    return fill(
        "vary.html",
        styles=("compare.css", "vary.css"),
        run={"name": run.name},
        title=title,
        record=record,
        found=found,
        chosen=found.numbered(found.chosen),
        headline=headline(found),
        bars={one.number: figure_bar(one.validation) for one in found.trained},
        costs=cost_charts(found.trained, _COSTS, main=found.chosen),
        factors=tuple(_factor(found, name) for name in found.factors),
        extras=extras,
        command=shlex.join(record.command),
    )


def headline(found: Variations) -> tuple[str, ...]:
    """Which variant is best on validation images, which it is not told apart from, and its test."""
    chosen = found.numbered(found.chosen)
    said = [
        f"{found.name_of(chosen.variant)}: the best of {len(found.trained)} variants, "
        f"{wording.share(chosen.validation.value)} of "
        f"{wording.counted(found.images, 'validation picture')} named right"
    ]
    others = [found.numbered(number) for number in found.level_with_chosen]
    if len(others) == len(found.trained) - 1 and others:
        said.append("None of the others can be told apart from it by these pictures and seeds.")
    elif others:
        names = wording.together([_numbered(found, one) for one in others])
        said.append(f"Not to be told apart from it: {names}.")
    for tested in found.tested:
        if tested.number == found.chosen:
            said.append(
                f"On {wording.counted(tested.images, 'test picture')}, which chose nothing, it "
                f"names {wording.share(tested.accuracy.value)} right, interval "
                f"{wording.interval(tested.accuracy)}."
            )
    return tuple(said)


def _numbered(found: Variations, one: Trained) -> str:
    return f"{one.number} ({found.name_of(one.variant)})"


def _factor(found: Variations, name: str) -> FactorSection:
    contrasts = tuple(contrast for contrast in found.contrasts if contrast.factor == name)
    shown = _one_per_level(found, name)
    return FactorSection(
        name=name,
        contrasts=contrasts,
        differences=_differences(contrasts) if contrasts else None,
        curves=_charts(shown[:_MOST_CURVES], name),
        hidden=max(0, len(shown) - _MOST_CURVES),
    )


def _one_per_level(found: Variations, name: str) -> list[Trained]:
    """For each level the variant whose other levels are the first ones, as far as it was trained.

    Those of a grid that are missing leave another that shares as many of them.
    """
    shown = []
    for level in found.factors[name]:
        with_level = [one for one in found.trained if one.variant.levels[name] == level]
        shown += sorted(with_level, key=lambda one: _changes_besides(found, one, name))[:1]
    return shown


def _changes_besides(found: Variations, one: Trained, name: str) -> int:
    return sum(
        level != found.factors[factor][0]
        for factor, level in one.variant.levels.items()
        if factor != name
    )


def _differences(contrasts: Sequence[Contrast]) -> Markup:
    return effect_chart(
        [
            EffectRow(
                name=contrast.level,
                value=contrast.accuracy.value,
                low=contrast.accuracy.interval.low,
                high=contrast.accuracy.interval.high,
                is_more_than_noise=contrast.is_more_than_noise,
            )
            for contrast in contrasts
        ]
    )


def _charts(shown: Sequence[Trained], name: str) -> tuple[tuple[str, Markup], ...]:
    charts = []
    for key, score, unit, is_share in _CURVES:
        measured = [one for one in shown if any(map(math.isfinite, one.curves[key]))]
        last = max((len(one.curves[key]) for one in measured), default=0)
        if last:
            curves = [
                Curve(
                    name=shortened_inside(one.variant.levels[name], _LABEL_ROOM),
                    values=[*one.curves[key], *[math.nan] * (last - len(one.curves[key]))],
                    colour=_COLOURS[place % len(_COLOURS)],
                    is_dashed=place >= len(_COLOURS),
                )
                for place, one in enumerate(measured)
            ]
            chart = learning_curves(
                list(range(1, last + 1)), curves, score=score, unit=unit, is_share=is_share
            )
            charts.append((key, chart))
    return tuple(charts)


def _reconcile(found: Variations) -> None:
    """Each contrast of one pair is the difference of two rows of the table."""
    rows = {tuple(sorted(o.variant.levels.items())): o for o in found.trained}
    for contrast in found.contrasts:
        for levels, one in rows.items():
            said = dict(levels)
            other = rows.get(tuple(sorted({**said, contrast.factor: contrast.against}.items())))
            is_pair = contrast.pairs == 1 and said[contrast.factor] == contrast.level
            if not is_pair or other is None or len(one.runs) != len(other.runs):
                continue
            gap = (one.validation.value or 0.0) - (other.validation.value or 0.0)
            if abs(gap - contrast.accuracy.value) > 1e-9:
                raise ReconciliationError(
                    f"{contrast.factor} {contrast.level}: the difference of two variants must be "
                    f"that of their rows, got {contrast.accuracy.value:.4f} and {gap:.4f}: compare "
                    "again"
                )
