"""Options that stand in ``--help`` under headings, with the default that the job really has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from convoscope.jobs.request import defaults

F = TypeVar("F", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option under a heading."""

    def __init__(self, *args: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading


class GroupedCommand(click.Command):
    """A command whose ``--help`` shows options under their headings, in the order written."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per heading; options without one come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                heading = parameter.heading if isinstance(parameter, GroupedOption) else "Other"
                sections.setdefault(heading, []).append(record)
        sections["Other"] = sections.pop("Other")
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def setting(*names: str, heading: str, help: str, **attributes: Any) -> Callable[[F], F]:  # noqa: A002
    """An option for a setting of a training run; without it the value is ``None``, which leaves
    the settings file, or the default, in force. The help ends with that default.
    """
    long = next(name for name in names if name.startswith("--"))
    key = attributes.pop("key", long[2:].replace("-", "_"))
    default = defaults()[key]
    if default is not None and default is not False and default not in ({}, ()):
        help = f"{help} [{default}]"  # noqa: A001
    return click.option(
        *names, key, cls=GroupedOption, heading=heading, default=None, help=help, **attributes
    )


def grouped(*names: str, heading: str, **attributes: Any) -> Callable[[F], F]:
    """An option that is no setting of the run, under a heading."""
    return click.option(*names, cls=GroupedOption, heading=heading, **attributes)
