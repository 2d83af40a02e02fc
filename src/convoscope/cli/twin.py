"""``convoscope twin``: a network on both engines, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convoscope.architecture.protocol import shape_text

if TYPE_CHECKING:
    from convoscope.jobs.likeness import Difference, Twin
    from convoscope.network import Precision

DIFFERENT = 1


@click.command("twin")
@click.argument("model", metavar="NAME|FILE|RUN")
@click.option(
    "--input", "size", metavar="[CxHxW]", help="Input size: 3x64x64, 64x96 (height x width) or 64."
)
@click.option("--classes", metavar="K", help="Classes; with several heads HEAD=K,HEAD=K.")
@click.option("--seed", "-s", default=0, show_default=True, help="Of the weights and the noise.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="In float64 what is not a mistake vanishes.",
)
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The picture that is shown; else noise.",
)
@click.option(
    "--cell",
    metavar="LAYER:row,column,filter",
    help="Write out the arithmetic of one output cell; of a vector LAYER:unit.",
)
@click.option("--all", "whole", is_flag=True, help="With --cell: every term, however many.")
@click.option(
    "--gradients/--no-gradients",
    default=True,
    show_default=True,
    help="Go back through the network, too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def twin(
    ctx: click.Context,
    model: str,
    size: str | None,
    classes: str | None,
    seed: int,
    precision: Precision,
    image: Path | None,
    cell: str | None,
    whole: bool,
    gradients: bool,
    as_json: bool,
) -> None:
    """Compute a network with NumPy and with PyTorch, and show how far they are apart.

    Both get the same weights, freshly initialised or those of a RUN, and the same picture. The
    exit code is 1 if they differ by more than rounding explains.

    \b
    convoscope twin lenet-5
    convoscope twin two-conv --input 64 --image cat.jpg --cell conv2:10,20,5
    convoscope twin runs/photos-small-1 --image cat.jpg --precision float64
    """  # noqa: D301 - click reads the backspace
    if whole and cell is None:
        raise click.UsageError("--all belongs to --cell: say which one", ctx)
    from convoscope.cli import cells, tables
    from convoscope.cli.describe import parse_classes
    from convoscope.cli.progress import display
    from convoscope.jobs import twin as job

    console = tables.console(is_error=True)
    with display(console, is_quiet=as_json or not console.is_terminal) as show:
        found = job.twin(
            model,
            input=size,
            classes=parse_classes(classes) if classes else None,
            seed=seed,
            precision=precision,
            image=image,
            cell=cell,
            gradients=gradients,
            progress=show.stage,
        )
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(found)
        if found.cell is not None:
            cells.show(found.cell, whole=whole)
        tables.say(f"\n{found.verdict}")
    ctx.exit(0 if found.agrees else DIFFERENT)


def _print(found: Twin) -> None:
    from convoscope.cli import tables

    by = shape_text(found.input_shape)
    tables.say(f"{found.name}, input {by}, {found.precision}: NumPy against PyTorch on")
    tables.say(f"{found.picture}\n")
    has_gradients = any(layer.gradient is not None for layer in found.layers)
    columns = ["output", "relative"] + (["gradient", "relative"] if has_gradients else [])
    table = tables.plain_table("layer", "kind", "shape", *columns, left=2)
    for layer in found.layers:
        shape = shape_text(layer.output_shape)
        numbers = [*_cells(layer.activation), *(_cells(layer.gradient) if has_gradients else ())]
        table.add_row("  " * layer.depth + layer.name, layer.kind, shape, *numbers)
    tables.out().print(table)
    if found.parameters:
        table = tables.plain_table("parameter", "shape", "gradient", "relative")
        for parameter in found.parameters:
            shape = shape_text(parameter.shape)
            table.add_row(parameter.name, shape, *_cells(parameter.gradient))
        tables.say("")
        tables.out().print(table)
    tables.say(f"\n{_explained(found, has_gradients)}")


def _explained(found: Twin, has_gradients: bool) -> str:
    """What the columns are, in two or three lines."""
    lines = [
        "Each number is the largest difference between NumPy and PyTorch; relative: divided by",
        "PyTorch's largest value.",
    ]
    if has_gradients:
        classes = ", ".join(f"class {k} of {head!r}" for head, k in found.targets.items())
        lines[1] += f" Gradients are those of {classes or 'the last layer'} by layer;"
        lines.append("by parameter, of one step on the picture and its mirror images, divided by")
        lines.append("the largest of the layer; a running mean by the spread, if that is larger.")
    return "\n".join(lines)


def _cells(difference: Difference | None) -> tuple[str, str]:
    if difference is None:
        return "", ""
    return f"{difference.absolute:.1e}", f"{difference.relative:.1e}"
