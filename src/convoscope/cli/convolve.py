"""``convoscope convolve``: filters slid over pictures, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from convoscope.runs.convolution import Convolution, FilterLayer


@click.command("convolve")
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE|DIR...", type=click.Path(path_type=Path)
)
@click.option(
    "--filter",
    "kernel",
    default="kaiming",
    show_default=True,
    metavar="NAME|FILE|ROWS",
    help="kaiming (drawn), sobel-x, sobel-y, laplacian, sharpen, blur, a text file of rows, or "
    "the rows themselves: '1 0 -1; 2 0 -2; 1 0 -1'.",
)
@click.option(
    "--layers",
    type=int,
    default=1,
    show_default=True,
    help="2: 32 filters and a ReLU, then 64 filters over those maps and a ReLU.",
)
@click.option("--size", default=224, show_default=True, help="Side of the gray image, in pixels.")
@click.option("--stride", default=1, show_default=True, help="Pixels from one place to the next.")
@click.option("--padding", default=0, show_default=True, help="Zeros on each side.")
@click.option("--seed", "-s", default=0, show_default=True, help="Of the filters that are drawn.")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the run. [runs/convolve-<filter>-<n>]",
)
@click.option("--no-report", is_flag=True, help="Do not write report.html.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def convolve(
    images: tuple[Path, ...],
    kernel: str,
    layers: int,
    size: int,
    stride: int,
    padding: int,
    seed: int,
    out: Path | None,
    no_report: bool,
    as_json: bool,
) -> None:
    """Make each IMAGE gray and slide a filter over it, or two layers of filters.

    The maps are computed with NumPy alone. They are kept in a run, with pictures and a report.

    \b
    convoscope convolve cat.jpg dog.jpg
    convoscope convolve cat.jpg --filter sobel-x
    convoscope convolve cat.jpg --filter "1 0 -1; 2 0 -2; 1 0 -1" --stride 2
    convoscope convolve cat.jpg --layers 2
    """  # noqa: D301 - click reads the backspace
    from convoscope import report
    from convoscope.jobs.convolve import ConvolveRequest
    from convoscope.jobs.convolve import convolve as job
    from convoscope.runs.convolution import read_convolution

    request = ConvolveRequest(
        images=tuple(map(str, images)),
        filter=kernel,
        layers=layers,
        size=size,
        stride=stride,
        padding=padding,
        seed=seed,
    )
    run = job(request, out=out)
    page = None if no_report else report.write(run)
    found = read_convolution(run)
    if as_json:
        content = {"run": str(run.path), "filter": found.filter}
        click.echo(json.dumps(content | _content(found), indent=2, ensure_ascii=False))
        return
    _print(found)
    click.echo(f"\nrun     {run.path}")
    if page is not None:
        click.echo(f"report  {page}")


def _content(found: Convolution) -> dict[str, object]:
    return {
        "images": [image.file for image in found.images],
        "layers": [
            {
                "name": layer.name,
                "filters": list(layer.filters.shape),
                "values": layer.filters[0, 0].tolist() if layer.filters.size <= 121 else None,
                "expected": layer.expected,
                "obtained": list(layer.obtained),
                "published": layer.published,
                "formula": layer.formula,
            }
            for layer in found.layers
        ],
    }


def _print(found: Convolution) -> None:
    from convoscope.cli import tables

    if len(found.layers) == 1:
        tables.say(f"filter {found.filter}")
        k = found.layers[0].kernel_size
        table = tables.plain_table(*("" for _ in range(k)), left=0)
        table.show_header = False
        for row in found.layers[0].filters[0, 0]:
            table.add_row(*(f"{value:.4f}" for value in row))
        tables.out().print(table)
        tables.say("")
    table = tables.plain_table(
        "layer", "(W - F + 2P) / S + 1", "expected", "obtained", "published", left=2
    )
    for layer in found.layers:
        table.add_row(layer.name, layer.formula, *sizes(layer))
    tables.out().print(table)


def sizes(layer: FilterLayer) -> tuple[str, str, str]:
    """The size by the formula, the one that came out, and the one published elsewhere."""
    filters, height, width = layer.obtained
    depth = f" × {filters}" if filters > 1 else ""
    return (
        f"{layer.expected} × {layer.expected}{depth}",
        f"{height} × {width}{depth}",
        layer.published or "-",
    )
