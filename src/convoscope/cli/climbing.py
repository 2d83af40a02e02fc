"""What ``convoscope ladder`` does: the job with live progress, its page, the summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from convoscope.cli import tables
from convoscope.cli.failures import INTERRUPTED
from convoscope.cli.following import Following, following, say_interrupted
from convoscope.cli.progress import duration
from convoscope.errors import SettingsError
from convoscope.jobs import fractions, fractions_compare, ladder, ladder_compare, ladder_plan
from convoscope.jobs.fractions_draw import fractions_of
from convoscope.jobs.ladder_trainings import Watching
from convoscope.jobs.side_by_side import Moved, News
from convoscope.report import fractions_page, ladder_page
from convoscope.runs import Run, open_run
from convoscope.runs.ladder import Ladder, Rung
from convoscope.runs.learning_curve import LEARNING_CURVE, LearningCurves


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How much the command says, and whether it writes a page."""

    is_quiet: bool
    with_report: bool
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the command line says of the ladder."""

    backbone: str | None
    from_run: tuple[str, ...]
    strategies: str | None
    seeds: int
    budget: str | None
    climbs_all: bool
    fractions: str | None
    model: str | None

    def asked(self) -> ladder_plan.Asked:
        """The ladder that is meant."""
        usual = fractions.USUAL if self.fractions is not None else ladder_plan.USUAL
        return ladder_plan.Asked(
            backbones=_names(self.backbone),
            runs=self.from_run,
            strategies=_names(self.strategies) or usual,
            seeds=self.seeds,
            budget=self.budget,
            climbs_all=self.climbs_all,
            words=self.words(),
        )

    def words(self) -> tuple[str, ...]:
        """The words of the command line that say it."""
        options = {
            "--backbone": self.backbone,
            "--strategies": self.strategies,
            "--seeds": str(self.seeds),
            "--budget": self.budget,
            "--fractions": self.fractions,
            "--model": self.model,
        }
        said = [word for name, value in options.items() if value for word in (name, value)]
        said += [word for run in self.from_run for word in ("--from", run)]
        return (*said, *(["--climb-all"] if self.climbs_all else []))


def start(said: Said, data: str | None, given: dict[str, Any], *, manner: Manner) -> int:
    """Climb anew; gives the exit code.

    Raises:
        SettingsError: if an option is for what is not asked.
    """
    asked = said.asked()
    if said.fractions is None:
        if said.model is not None:
            raise SettingsError(
                f"--model {said.model}: a ladder starts from networks that have learnt before: "
                "add --fractions for training from scratch beside them, or leave it out"
            )
        return _carry_out(lambda w: ladder.ladder(asked, data, watching=w, **given), manner)
    curves = fractions.AskedCurves(
        fractions=fractions_of(said.fractions),
        model=said.model or fractions.SCRATCH,
        ladder=asked,
    )
    return _carry_out(
        lambda w: fractions.learning_curves(curves, data, watching=w, **given), manner
    )


def go_on(run: Path, *, budget: str | None, climbs_all: bool, manner: Manner) -> int:
    """Climb on; gives the exit code."""
    if open_run(run).record().kind == LEARNING_CURVE:
        return _carry_out(lambda w: fractions.resume(run, w, budget=budget), manner)
    return _carry_out(lambda w: ladder.resume(run, w, budget=budget, climbs_all=climbs_all), manner)


def write_page(run: Run, file: Path | None = None) -> Path:
    """Write the page of a ladder, or of learning curves, into the run's folder or as ``file``."""
    return _page_of(run, _compared(run), file)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in (text or "").split(","))))


def _carry_out(work: Callable[[Watching], Run], manner: Manner) -> int:
    run = _watched(work, is_quiet=manner.is_quiet)
    if run.record().status == "interrupted":
        say_interrupted(run, "ladder")
        return INTERRUPTED
    found = _compared(run)
    page = None
    if manner.with_report:
        page = str(_page_of(run, found))
    if manner.as_json:
        content = {"run": str(run.path), "report": page, **found.to_json()}
        tables.say(json.dumps(content, indent=2, ensure_ascii=False))
        return 0
    if isinstance(found, Ladder):
        show_ladder(found)
    else:
        show_curves(found)
    tables.say(f"run     {run.path}")
    if page is not None:
        tables.say(f"report  {page}")
    return 0


def _compared(run: Run) -> Ladder | LearningCurves:
    is_curve = run.record().kind == LEARNING_CURVE
    return fractions_compare.compare(run) if is_curve else ladder_compare.compare(run)


def _page_of(run: Run, found: Ladder | LearningCurves, file: Path | None = None) -> Path:
    if isinstance(found, Ladder):
        return ladder_page.write(run, found, file)
    return fractions_page.write(run, found, file)


def _watched(work: Callable[[Watching], Run], *, is_quiet: bool) -> Run:
    """Do the work with live progress; Ctrl-C stops it cleanly."""
    with following(is_quiet=is_quiet) as follow:
        return work(
            Watching(
                begun=lambda run: follow.begins(f"run {run.path}"),
                say=follow.show.say,
                news=lambda news: _tell(follow, news),
                progress=follow.show.stage,
                should_stop=follow.stopper.should_stop,
            )
        )


def _tell(follow: Following, news: News) -> None:
    """Move the bar of the one training that goes on; say how it ended."""
    if isinstance(news, Moved):
        follow.share(news.done / max(1, news.epochs))
        return
    said = f": {news.reason}" if news.reason else ""
    follow.show.say(f"    {news.task.name.partition('/')[2]}  {news.status}{said}")


def show_ladder(found: Ladder) -> None:
    """Print the tables and the sentences."""
    for table in (_accuracies(found), _costs(found)):
        tables.out().print(table)
    for step in found.steps:
        tables.say(step.sentence)
    for each in found.not_climbed:
        tables.say(f"{each.planned.title}: {each.ending}: {each.reason}")
    tables.say(found.recommendation)
    for note in found.notes:
        tables.say(f"note: {note}")


def _accuracies(found: Ladder) -> Table:
    """How right each rung is; narrow enough for 80 columns."""
    level = f"{found.level:.0%} interval"
    table = _numbers("", "rung", "validation", level, "test", level, left=2)
    for rung in found.rungs:
        table.add_row(
            _mark(found, rung),
            rung.title,
            tables.number(rung.validation),
            tables.interval(rung.validation),
            "-" if rung.test is None else tables.number(rung.test),
            "-" if rung.test is None else tables.interval(rung.test),
        )
    return table


def _costs(found: Ladder) -> Table:
    """What each rung cost - parameters, time, memory - and how far its seeds lie apart."""
    names = ("training", "features", "peak memory", "sd of seeds")
    table = _numbers("", "learnt", "of all", *names)
    for rung in found.rungs:
        table.add_row(
            _mark(found, rung),
            f"{rung.learnt:,}",
            f"{rung.parameters:,}",
            duration(rung.seconds),
            duration(rung.feature_seconds),
            "-" if rung.peak_memory is None else f"{rung.peak_memory / 2**20:,.0f} MiB",
            "-" if rung.spread is None else f"{rung.spread.sd:.4f}",
        )
    return table


def _mark(found: Ladder, rung: Rung) -> str:
    """The rung's number, with a star at the recommended one."""
    return f"{rung.number}{'*' if rung.number == found.recommended else ''}"


def _numbers(*columns: str, left: int = 1) -> Table:
    """A table in which words may take a second line, and numbers never do."""
    table = tables.plain_table(*columns, left=left)
    for column in table.columns[left:]:
        column.no_wrap = True
    return table


def show_curves(found: LearningCurves) -> None:
    """Print a table of each way, and the sentences."""
    level = f"{found.level:.0%} interval"
    for curve in found.curves:
        table = _numbers(curve.way.title, "validation", level, "test", "sd", "time")
        for point in curve.points:
            table.add_row(
                f"{point.images:,} images, {point.per_class:.3g} a class",
                tables.number(point.validation),
                tables.interval(point.validation),
                "-" if point.test is None else tables.number(point.test),
                "-" if point.spread is None else f"{point.spread.sd:.4f}",
                duration(point.seconds),
            )
        tables.out().print(table)
    for curve in found.curves:
        tables.say(curve.sentence)
    tables.say(found.sentence)
    for said in (*found.missing, *found.notes):
        tables.say(f"note: {said}")
