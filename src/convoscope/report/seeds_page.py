"""One training with several seeds as a page: what is luck of training, what of the pictures."""

from __future__ import annotations

from dataclasses import replace

from convoscope.report import material, wording
from convoscope.report.headline import whole_baseline
from convoscope.report.parts import check_parts, parts_section
from convoscope.report.reading import read
from convoscope.report.shell import fill
from convoscope.runs.parts import read_parts
from convoscope.runs.store import Run


def seeds_page(run: Run) -> str:
    """The page as text, its numbers added up again.

    Raises:
        RunError: if a seed is not finished.
        ReconciliationError: if two figures disagree.
    """
    parts = read_parts(run)
    first = read(parts.parts[0].run)
    contents = replace(first, name=run.name, record=run.record())
    page = fill(
        "seeds.html",
        run=contents,
        heads=contents.heads,
        parts=parts_section(parts, whole_baseline(first, "test")),
        accuracy=parts.over_parts["accuracy"],
        images=parts.parts[0].metrics.whole.n,
        origin=(
            f"{wording.counted(first.analysis.parameters, 'parameter')}; "
            f"{len(parts.parts)} trainings took {wording.duration(contents.record.seconds)}."
        ),
        banners=material.banners(contents),
        network=material.network(contents),
        pretrained=material.pretrained(contents),
        command=material.command(contents),
        settings=material.settings(contents),
        environment=material.environment(contents),
    )
    check_parts(page, parts)
    return page
