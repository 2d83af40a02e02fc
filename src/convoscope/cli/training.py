"""What ``convoscope train`` does: the job with live progress, its report, the summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from convoscope import report
from convoscope.cli import several, tables
from convoscope.cli.failures import INTERRUPTED
from convoscope.cli.interrupt import stopping_on_ctrl_c
from convoscope.cli.progress import display, duration
from convoscope.engines.numpy.memory import keep_freed_memory
from convoscope.errors import DivergedError, SettingsError
from convoscope.jobs.folds import cross_validate
from convoscope.jobs.progress import Progress
from convoscope.jobs.resume import resume
from convoscope.jobs.seeds import repeat
from convoscope.jobs.train import train
from convoscope.metrics.summary import summarise
from convoscope.runs import Run
from convoscope.runs.parts import read_parts
from convoscope.training.events import Event, Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How much the command says, and whether it ends with a report."""

    is_quiet: bool
    with_report: bool
    as_json: bool = False


class _Work(Protocol):
    def __call__(
        self,
        *,
        listen: Listener,
        progress: Progress,
        should_stop: Callable[[], bool],
        started: Callable[[Run], None],
    ) -> Run: ...


def start(
    data: str | None,
    given: dict[str, Any],
    *,
    settings_file: Path | None,
    out: Path | None,
    manner: Manner,
) -> int:
    """Train anew, once or several times; gives the exit code."""
    job = _job(given)

    def work(**watching: Any) -> Run:
        return job(data, settings_file=settings_file, out=out, **watching, **given)

    return _carry_out(work, manner)


def go_on(run: Path, manner: Manner) -> int:
    """Go on with a run; gives the exit code."""

    def work(**watching: Any) -> Run:
        return resume(run, **watching)

    return _carry_out(work, manner)


def _job(given: Mapping[str, Any]) -> Callable[..., Run]:
    """The job that these settings ask for.

    Raises:
        SettingsError: if they ask for two at once.
    """
    if "folds" in given and "seeds" in given:
        raise SettingsError(
            "--folds and --seeds: one run answers one question, got both: cross-validate with "
            "several --seed one after the other, or repeat a single split"
        )
    if "folds" in given:
        return cross_validate
    return repeat if "seeds" in given else train


def _carry_out(work: _Work, manner: Manner) -> int:
    run = watched(work, manner)
    if manner.as_json:
        tables.say(json.dumps(outcome(run), indent=2, ensure_ascii=False))
    else:
        _summarise(run, manner)
    return INTERRUPTED if run.record().status == "interrupted" else 0


def watched(work: _Work, manner: Manner) -> Run:
    """Train with live progress, and write the report; Ctrl-C stops it cleanly."""
    keep_freed_memory()
    runs: list[Run] = []
    console = tables.console(is_error=True)
    with stopping_on_ctrl_c() as stopper, display(console, is_quiet=manner.is_quiet) as show:

        def listen(event: Event) -> None:
            stopper.listen(event)
            show.event(event)

        def started(run: Run) -> None:
            runs.append(run)
            show.say(several.begun(runs[0], run))
            if len(runs) == 1:
                for note in run.record().data.get("notes", ()):
                    show.say(f"note: {note}")

        try:
            run = work(
                listen=listen,
                progress=show.stage,
                should_stop=stopper.should_stop,
                started=started,
            )
        except DivergedError:
            # What was learnt before is kept, and worth looking at.
            if runs and manner.with_report and runs[0].splits():
                report.write(runs[0])
            raise
        if manner.with_report and several.can_be_reported(run):
            show.say("writing the report")
            report.write(run)
    return run


def outcome(run: Run) -> dict[str, Any]:
    """The object of ``train --json``, see docs/json.md."""
    record = run.record()
    splits = {split: summarise(run.predictions(split)).to_json() for split in run.splits()}
    content = {
        "run": str(run.path),
        "report": str(run.report_file) if run.report_file.exists() else None,
        "status": record.status,
        "epochs": record.epochs,
        "best_epoch": record.best_epoch,
        "seconds": record.seconds,
        "notes": list(record.every_note),
        "splits": splits,
    }
    if record.parts and several.can_be_reported(run):
        content["parts"] = read_parts(run).to_json()
    return content


def _summarise(run: Run, manner: Manner) -> None:
    record = run.record()
    if record.parts:
        several.summarise(run, with_report=manner.with_report)
        return
    metrics = [summarise(run.predictions(split)) for split in run.splits()]
    tables.out().print(tables.metrics_table(metrics))
    for note in record.every_note:
        tables.say(f"note: {note}")
    is_solved = record.stop_reason == "solved"
    kept = "solved" if is_solved else f"epoch {record.best_epoch} kept of {record.epochs}"
    tables.say(f"{kept}, {duration(record.seconds)} of training")
    tables.say(f"run     {run.path}")
    if manner.with_report:
        tables.say(f"report  {run.report_file}")
    if record.status == "interrupted":
        tables.say(f"interrupted; go on with  convoscope train --resume {run.path}")
