"""What the terminal says of a run that is made of several trainings: folds, or seeds."""

from __future__ import annotations

from rich.table import Table

from convoscope.cli import tables
from convoscope.cli.progress import duration
from convoscope.metrics.intervals import Figure
from convoscope.runs import Run
from convoscope.runs.parts import (
    CROSS_VALIDATION,
    Parts,
    figures_of,
    read_parts,
    shared_training,
)


def begun(run: Run, part: Run) -> str:
    """The line that says which training begins; ``part`` is ``run`` itself when it begins."""
    names = run.record().parts
    for number, name in enumerate(names, start=1):
        if part.path == run.path / name:
            return f"{name.partition('/')[0].rstrip('s')} {number} of {len(names)}: {part.path}"
    return f"run {part.path}"


def can_be_reported(run: Run) -> bool:
    """Whether there is a whole to report on: several trainings need to be all there."""
    record = run.record()
    return not record.parts or record.status == "finished"


def summarise(run: Run, *, with_report: bool) -> None:
    """Print the final tables of a run that is made of others, or how to go on with it."""
    record = run.record()
    if can_be_reported(run):
        show_parts(read_parts(run))
    for note in record.every_note:
        tables.say(f"note: {note}")
    tables.say(f"{len(record.parts)} trainings, {duration(record.seconds)} of training")
    tables.say(f"run     {run.path}")
    if can_be_reported(run):
        if with_report:
            tables.say(f"report  {run.report_file}")
    else:
        tables.say(f"{record.status}; go on with  convoscope train --resume {run.path}")


def show_parts(parts: Parts) -> None:
    """A row per training, the spread over them, and what the whole says of other images."""
    tables.out().print(parts_table(parts))
    if parts.kind == CROSS_VALIDATION:
        _say_interval("pooled over all folds", parts.over_images, "images")
        if parts.over_groups is not None:
            _say_interval("pooled over all folds", parts.over_groups, "groups")
        tables.say(shared_training(len(parts.parts)))
        return
    accuracy = parts.over_parts["accuracy"]
    interval = accuracy.interval
    within = (
        f"95% interval of the mean {interval.low:.3f} to {interval.high:.3f} (Student's t)"
        if interval
        else "all seeds gave the same, so there is no interval"
    )
    tables.say(
        f"accuracy with another seed on these images: mean {accuracy.mean:.4f}, "
        f"sd {accuracy.sd:.4f}; {within}"
    )
    _say_interval(f"mean of these {accuracy.n} networks", parts.over_images, "images")


def parts_table(parts: Parts) -> Table:
    """The test figures of each training, then their mean, deviation, smallest and largest."""
    names = tuple(figures_of(parts.parts[0].metrics))
    kind = "fold" if parts.kind == CROSS_VALIDATION else "seed"
    table = tables.plain_table(kind, "images", names[0], "95% interval", *names[1:])
    for part in parts.parts:
        figures = figures_of(part.metrics)
        accuracy = figures[names[0]]
        table.add_row(
            part.name.partition("/")[2],
            f"{part.metrics.whole.n:,}",
            tables.number(accuracy),
            tables.interval(accuracy),
            *(tables.number(figures[name]) for name in names[1:]),
        )
    if parts.pooled is not None:
        pooled = figures_of(parts.pooled)
        others = (tables.number(pooled[name]) for name in names[1:])
        first = (tables.number(pooled[names[0]]), tables.interval(pooled[names[0]]))
        table.add_row("pooled", f"{parts.pooled.whole.n:,}", *first, *others)
    for word, pick in _STATISTICS.items():
        cells = [
            f"{getattr(parts.over_parts[name], pick):.4f}" if name in parts.over_parts else "-"
            for name in names
        ]
        table.add_row(f"{word} of {kind}s", "", cells[0], "", *cells[1:])
    return table


_STATISTICS = {"mean": "mean", "sd": "sd", "smallest": "smallest", "largest": "largest"}


def _say_interval(what: str, figure: Figure, of: str) -> None:
    tables.say(
        f"accuracy on other {of}: {what} {tables.number(figure)}, 95% interval "
        f"{tables.interval(figure)}"
    )
