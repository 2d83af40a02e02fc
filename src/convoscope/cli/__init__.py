"""The command line: parse, call a job, write its report, print.

A command's module is imported only when the command is run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import click

from convoscope.cli.failures import run_or_exit
from convoscope.errors import unknown_name
from convoscope.version import __version__


class Entry(NamedTuple):
    """Where a command lives, and what it does in a line."""

    where: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "atlas": Entry("atlas:atlas", "Show what in a data set excites each channel of a layer."),
    "compare": Entry("compare:compare", "Say which run is better, and whether it is noise."),
    "convolve": Entry("convolve:convolve", "Slide filters over pictures and show the maps."),
    "data": Entry("data:data", "Check, count, divide and preview images before training."),
    "describe": Entry("describe:describe", "Show a network's layers, sizes and costs."),
    "doubts": Entry(
        "doubts:doubts", "Show labels that are probably wrong, and what to label next."
    ),
    "experiment": Entry(
        "experiment:experiment", "Repeat a published experiment, figure by figure."
    ),
    "evaluate": Entry("evaluate:evaluate", "Test a trained run again, on its data or on other."),
    "ladder": Entry("ladder:ladder", "Compare strategies of fine-tuning, cheapest first."),
    "predict": Entry("predict:predict", "Say what is in pictures, with a trained run."),
    "maximise": Entry("maximise:maximise", "Draw the pictures that excite a network most."),
    "explain": Entry("explain:explain", "Show what a network looks at in images."),
    "report": Entry("report:report", "Write a run's report as one HTML file."),
    "runs": Entry("runs:runs", "List, show and remove runs."),
    "train": Entry("train:train", "Train a network on a folder of images."),
    "twin": Entry("twin:twin", "Compute a network with NumPy and with PyTorch, side by side."),
    "vary": Entry("vary:vary", "Change one thing at a time and say what each change is worth."),
    "weights": Entry("weights:weights", "List, fetch, import and remove pretrained weights."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program; a mistake of the user becomes one sentence and exit code 2."""
        options["standalone_mode"] = False
        return run_or_exit(lambda: super(LazyGroup, self).main(*args, **options))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, by name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name.

        Raises:
            UnknownNameError: if there is none; names the nearest.
        """
        if cmd_name not in COMMANDS:
            raise unknown_name("command", cmd_name, COMMANDS)
        module, function = COMMANDS[cmd_name].where.split(":")
        command = getattr(importlib.import_module(f"convoscope.cli.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in sorted(COMMANDS)])


@click.group(
    "convoscope",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="convoscope %(version)s")
def program() -> None:
    """From a folder of images to a trained, tested, explained classifier.

    \b
    convoscope train PHOTOS --model small          train, test and report
    convoscope predict runs/PHOTOS-small-1 x.jpg   say what is in a picture
    convoscope describe vgg19                      layers, sizes, costs, receptive fields

    Each command tells more with --help.
    """  # noqa: D301 - click reads the backspace


def main() -> None:
    """Run the program named on the command line."""
    program(prog_name="convoscope")
