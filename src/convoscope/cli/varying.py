"""What ``convoscope vary`` does: the job with live progress, its page, the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convoscope.cli import tables
from convoscope.cli.failures import INTERRUPTED
from convoscope.cli.following import Following, following, say_interrupted
from convoscope.cli.progress import duration
from convoscope.experiments.catalogue import experiment_of
from convoscope.experiments.shipped import variations_file
from convoscope.jobs.side_by_side import Ended, Moved, News
from convoscope.jobs.vary import resume, vary
from convoscope.jobs.vary_compare import compare
from convoscope.jobs.vary_estimate import seconds_left
from convoscope.jobs.vary_space import Space, from_sets, joined, read_space
from convoscope.jobs.vary_trainings import Begun, Watching, part_name
from convoscope.report import vary_page, wording
from convoscope.runs import Run
from convoscope.runs.variations import Plan, Variations


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How much the command says, whether it writes a page, and whose test figures it shows."""

    is_quiet: bool
    with_report: bool
    as_json: bool = False
    shows_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the command line says of the variations."""

    sets: tuple[str, ...]
    named: str | None
    is_one_at_a_time: bool

    def space(self) -> Space:
        """What that means."""
        own = from_sets(self.sets)
        if self.named is not None:
            own = joined(read_space(variations_file(self.named)), own)
        return replace(own, combine="one-at-a-time") if self.is_one_at_a_time else own

    def words(self) -> tuple[str, ...]:
        """The words of the command line that say it."""
        words = [word for text in self.sets for word in ("--set", text)]
        words += [] if self.named is None else ["--named", self.named]
        return (*words, *(["--one-at-a-time"] if self.is_one_at_a_time else []))


def start(
    said: Said,
    data: str | None,
    model: str | None,
    given: dict[str, Any],
    *,
    jobs: str,
    manner: Manner,
) -> int:
    """Vary anew; gives the exit code."""
    space = said.space()

    def work(watching: Watching) -> Run:
        return vary(
            space, data, model=model, jobs=jobs, words=said.words(), watching=watching, **given
        )

    return _carry_out(work, manner)


def go_on(run: Path, *, jobs: str, manner: Manner) -> int:
    """Go on with variations; gives the exit code."""
    return _carry_out(lambda watching: resume(run, watching, jobs=jobs), manner)


def _carry_out(work: Callable[[Watching], Run], manner: Manner) -> int:
    run = _watched(work, is_quiet=manner.is_quiet)
    if run.record().status == "interrupted":
        say_interrupted(run, "vary")
        return INTERRUPTED
    found = compare(run, shows_all_tests=manner.shows_all)
    more = experiment_of(run.record())
    if manner.with_report:
        write_page(run, found)
    if manner.as_json:
        page = str(run.report_file) if manner.with_report else None
        content = {"run": str(run.path), "report": page, **found.to_json()}
        content |= more.facts(found) if more else {}
        tables.say(json.dumps(content, indent=2, ensure_ascii=False))
        return 0
    summarise(found)
    tables.say(f"run     {run.path}")
    if manner.with_report:
        tables.say(f"report  {run.report_file}")
    return 0


def write_page(run: Run, found: Variations | None = None, file: Path | None = None) -> Path:
    """Write the page of variations, with what their experiment has to say of them."""
    found = found or compare(run)
    more = experiment_of(run.record())
    return vary_page.write(run, found, more.extras(found) if more else (), file=file)


def _watched(work: Callable[[Watching], Run], *, is_quiet: bool) -> Run:
    """Do the work with live progress; Ctrl-C stops it cleanly."""
    with following(is_quiet=is_quiet) as follow:
        progress = _Progress(follow)
        return work(
            Watching(
                begun=progress.begun,
                news=progress.news,
                progress=follow.show.stage,
                should_stop=follow.stopper.should_stop,
            )
        )


class _Progress:
    """Follows trainings that go on side by side."""

    def __init__(self, follow: Following) -> None:
        self._follow = follow
        self._ended = 0
        self._costs: Mapping[str, float] = {}
        self._called: Mapping[str, str] = {}
        self._shares: dict[str, float] = {}
        self._began = time.perf_counter()

    def begun(self, begun: Begun) -> None:
        """Say how much there is to do, and what cannot be done."""
        self._costs = begun.costs
        self._called = called(begun.plan)
        self._began = time.perf_counter()
        self._follow.begins(*begun_lines(begun))

    def news(self, news: News) -> None:
        """Move the bar; say how a training ended."""
        if isinstance(news, Moved):
            self._shares[news.task.name] = min(1.0, news.done / news.epochs)
        if isinstance(news, Ended):
            self._ended += 1
            self._shares[news.task.name] = 1.0
            words = ended_line(news, self._ended, len(self._costs), self._left(), self._called)
            self._follow.show.say(words)
        self._follow.share(sum(self._shares.values()) / max(1, len(self._costs)))

    def _left(self) -> float | None:
        """Seconds to come, by what was measured until now."""
        done = [self._shares.get(name, 0.0) for name in self._costs]
        elapsed = time.perf_counter() - self._began
        return seconds_left(list(self._costs.values()), done, elapsed)


def begun_lines(begun: Begun) -> list[str]:
    """How many trainings there are, about how long they take, and what was refused and why."""
    lines = [f"run {begun.run.path}"]
    lines += [
        f"cannot be: {begun.plan.name_of(variant)}: {variant.refusal}"
        for variant in begun.plan.variants
        if variant.refusal is not None
    ]
    together = (
        f"{begun.room.jobs} at a time with {wording.counted(begun.room.threads, 'thread')} each"
        if begun.room.jobs > 1
        else f"one after the other with {wording.counted(begun.room.threads, 'thread')}"
    )
    about = "" if begun.seconds is None else f", about {duration(begun.seconds)} at most"
    counted = wording.counted(begun.variants, "variant")
    return [
        *lines,
        f"{counted}, {wording.counted(len(begun.costs), 'training')}, {together}{about}",
    ]


def called(plan: Plan) -> dict[str, str]:
    """What a reader calls each training, by the name of its folder."""
    return {
        part_name(variant, seed): f"{plan.name_of(variant)}, seed {seed}"
        for variant in plan.variants
        for seed in plan.seeds
    }


def ended_line(
    ended: Ended, done: int, total: int, left: float | None, names: Mapping[str, str]
) -> str:
    """How a training ended, and about how many seconds the others take."""
    name = names.get(ended.task.name, ended.task.name)
    said = f": {ended.reason}" if ended.reason else ""
    about = "" if left is None or left < 1 or done == total else f", about {duration(left)} left"
    return f"{done}/{total}  {name}  {ended.status}{said}{about}"


def summarise(found: Variations) -> None:
    """Print the table and the sentences."""
    table = tables.plain_table(
        *("", "variant", "val. accuracy", f"{found.level:.0%} interval", "sd of seeds"),
        *("val. loss", "train loss", "gap", "parameters", "MACs", "training"),
        left=2,
    )
    for one in found.trained:
        mark = "*" if one.number == found.chosen else ""
        table.add_row(
            f"{one.number}{mark}",
            found.name_of(one.variant),
            tables.number(one.validation),
            tables.interval(one.validation),
            "-" if one.spread is None else f"{one.spread.sd:.4f}",
            f"{one.validation_loss:.4f}",
            f"{one.train_loss:.4f}",
            f"{one.gap:+.4f}",
            f"{one.parameters:,}",
            f"{one.macs:,}",
            duration(one.seconds),
        )
    tables.out().print(table)
    for contrast in found.contrasts:
        tables.say(contrast.sentence)
    for tested in found.tested:
        name = found.name_of(found.numbered(tested.number).variant)
        tables.say(
            f"test    {name}: {tables.number(tested.accuracy)}, {found.level:.0%} interval "
            f"{tables.interval(tested.accuracy)}, {tested.images:,} images"
        )
    for note in found.notes:
        tables.say(f"note: {note}")
