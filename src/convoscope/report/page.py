"""A run as one HTML file that needs nothing else: no network, no script to be read, no library."""

from __future__ import annotations

from pathlib import Path

from convoscope import disk
from convoscope.errors import RunError
from convoscope.report import material
from convoscope.report.confidence import confidence
from convoscope.report.convolve_page import convolve_page
from convoscope.report.factors import factors_section
from convoscope.report.headline import headline, whole_baseline
from convoscope.report.heads import head_sections
from convoscope.report.learning import learning
from convoscope.report.looking_section import LookingSection, looking_section
from convoscope.report.parts import check_parts, parts_section
from convoscope.report.printed import check_page
from convoscope.report.probe import ProbeSection, probe_section
from convoscope.report.reading import Contents, read
from convoscope.report.seeds_page import seeds_page
from convoscope.report.shell import fill
from convoscope.report.statements import Question, statements_section
from convoscope.report.trust import TrustSection, run_trust
from convoscope.runs.convolution import CONVOLVE
from convoscope.runs.ladder import LADDER
from convoscope.runs.learning_curve import LEARNING_CURVE
from convoscope.runs.parts import CROSS_VALIDATION, SEEDS, Parts, read_parts
from convoscope.runs.store import Run, open_run
from convoscope.runs.variations import VARIATIONS


def write(run: Run | str | Path, file: str | Path | None = None) -> Path:
    """Write the run's ``report.html``, or ``file``, all of it or nothing, and return its path.

    Needs neither an engine nor the original pictures.

    Raises:
        RunError: if the folder is no run, or has no predictions yet.
        ReconciliationError: if two figures disagree, in the predictions or on the page.
        StorageError: if the disk is full or not writable.
    """
    opened = open_run(run)
    page = opened.report_file if file is None else Path(file)
    disk.write_text(page, _checked_page(opened, page.parent))
    return page


def _checked_page(run: Run, beside: Path) -> str:
    """The run's page, its numbers added up again; what it links to is named from ``beside``."""
    kind = run.record().kind
    if kind == SEEDS:
        return seeds_page(run)
    if kind == CONVOLVE:
        return convolve_page(run)
    if kind in (VARIATIONS, LADDER, LEARNING_CURVE):
        raise RunError(
            f"{run.path}: this writes the report of trainings, this run is one of {kind!r}: write "
            f"its page with  convoscope report {run.path}"
        )
    contents = read(run)
    parts = read_parts(run) if kind == CROSS_VALIDATION else None
    page = render(
        contents,
        parts,
        looking_section(run.path, beside),
        run_trust(run.path, beside),
        probe_section(run.path),
        statements_section(run.path),
    )
    check_page(page, contents.metrics)
    if parts is not None:
        check_parts(page, parts)
    return page


def render(
    contents: Contents,
    parts: Parts | None = None,
    looking: LookingSection | None = None,
    trust: TrustSection | None = None,
    probe: ProbeSection | None = None,
    statements: tuple[Question, ...] = (),
) -> str:
    """The page as text; ``parts`` are the folds of a cross-validation, ``looking`` is what was
    found by looking into the network, ``trust`` whether that can be believed, ``probe`` how it
    came to be, ``statements`` what its layers do.
    """
    baseline = whole_baseline(contents, contents.main_split)
    return fill(
        "report.html",
        panels=len(contents.splits),
        run=contents,
        headline=headline(contents),
        banners=material.banners(contents),
        parts=None if parts is None else parts_section(parts, baseline),
        learning=learning(contents),
        factors=factors_section(contents),
        heads=head_sections(contents),
        confidence=confidence(contents),
        looking=looking,
        trust=trust,
        probe=probe,
        statements=statements,
        styles=(
            *(("looking.css",) if looking or trust else ()),
            *(("probe.css",) if probe else ()),
            *(("statements.css",) if statements else ()),
        ),
        data=material.head_data(contents),
        preprocessing=material.preprocessing(contents),
        network=material.network(contents),
        pretrained=material.pretrained(contents),
        command=material.command(contents),
        settings=material.settings(contents),
        environment=material.environment(contents),
    )
