"""A run as one HTML file that needs nothing else: no network, no script to be read, no library."""

from __future__ import annotations

from pathlib import Path

from convoscope import disk
from convoscope.report import material
from convoscope.report.confidence import confidence
from convoscope.report.headline import headline
from convoscope.report.heads import head_sections
from convoscope.report.learning import learning
from convoscope.report.printed import check_page
from convoscope.report.reading import Contents, read
from convoscope.report.shell import fill
from convoscope.runs.store import Run


def write(run: Run) -> Path:
    """Write the run's ``report.html``, all of it or nothing, and return its path.

    Needs neither an engine nor the original pictures.

    Raises:
        RunError: if the folder is no run, or has no predictions yet.
        ReconciliationError: if two figures disagree, in the predictions or on the page.
        StorageError: if the disk is full or not writable.
    """
    contents = read(run)
    page = render(contents)
    check_page(page, contents.metrics)
    disk.write_text(run.report_file, page)
    return run.report_file


def render(contents: Contents) -> str:
    """The page as text."""
    return fill(
        "report.html",
        panels=len(contents.splits),
        run=contents,
        headline=headline(contents),
        banners=material.banners(contents),
        learning=learning(contents),
        heads=head_sections(contents),
        confidence=confidence(contents),
        data=material.head_data(contents),
        preprocessing=material.preprocessing(contents),
        network=material.network(contents),
        command=material.command(contents),
        settings=material.settings(contents),
        environment=material.environment(contents),
    )
