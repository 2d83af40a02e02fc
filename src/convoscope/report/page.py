"""A run as one HTML file that needs nothing else: no network, no script to be read, no library.

Its content security policy allows what stands in the file and nothing besides, and of scripts
only the one whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from convoscope import disk
from convoscope.pictures.palette import CHART_STYLE, theme_style
from convoscope.report import material, wording
from convoscope.report.headline import headline
from convoscope.report.heads import head_sections
from convoscope.report.learning import learning
from convoscope.report.printed import check_page
from convoscope.report.reading import Contents, read
from convoscope.runs.store import Run
from convoscope.version import __version__

_STYLES = ("page.css", "figures.css", "print.css")
_SCRIPTS = ("page.js", "figures.js")


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
    environment = _environment()
    script = "\n".join(_source(environment, name) for name in _SCRIPTS)
    styles = [_source(environment, name) for name in _STYLES]
    panels = _panel_style(len(contents.splits))
    return environment.get_template("report.html").render(
        policy=_policy(script),
        script=Markup(script),
        style=Markup("\n".join([theme_style(), CHART_STYLE, panels, *styles])),
        version=__version__,
        run=contents,
        headline=headline(contents),
        banners=material.banners(contents),
        learning=learning(contents),
        heads=head_sections(contents),
        data=material.head_data(contents),
        preprocessing=material.preprocessing(contents),
        network=material.network(contents),
        command=material.command(contents),
        settings=material.settings(contents),
        environment=material.environment(contents),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("convoscope.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["say"] = wording
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _panel_style(count: int) -> str:
    """The rules that show the n-th panel when the n-th radio button is chosen."""
    rules = [".tabs > .panel { display: none; }"]
    for n in range(1, count + 1):
        chosen = f".tabs:has(> input:nth-of-type({n}):checked)"
        rules.append(f"{chosen} > .panel:nth-of-type({n}) {{ display: block; }}")
    return "\n".join(rules)


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
