"""What every page shares: one self-contained HTML file, its style, its scripts, its policy.

The content security policy allows what stands in the file and nothing besides, and of scripts
only the one whose hash it names. A page's template extends ``shell.html``.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from convoscope.pictures.palette import CHART_STYLE, theme_style
from convoscope.report import wording
from convoscope.version import __version__

_STYLES = ("page.css", "figures.css", "print.css")
_SCRIPTS = ("page.js", "figures.js", "probe.js")


def fill(template: str, *, panels: int = 1, styles: tuple[str, ...] = (), **values: Any) -> str:
    """The page as text; ``panels`` is the largest number of tabs that lie side by side on it,
    ``styles`` are style sheets that this page alone needs.
    """
    environment = _environment()
    script = "\n".join(_source(environment, name) for name in _SCRIPTS)
    sheets = [_source(environment, name) for name in (*_STYLES, *styles)]
    return environment.get_template(template).render(
        policy=_policy(script),
        script=Markup(script),
        style=Markup("\n".join([theme_style(), CHART_STYLE, _panel_style(panels), *sheets])),
        version=__version__,
        **values,
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


def link(file: Path, beside: Path) -> str:
    """``file`` as a page in the folder ``beside`` links to it."""
    return Path(os.path.relpath(file.resolve(), beside.resolve())).as_posix()
