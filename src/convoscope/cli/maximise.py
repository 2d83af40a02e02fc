"""``convoscope maximise``: what excites a network most, drawn by gradient ascent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convoscope.cli.grouped import GroupedCommand, grouped
from convoscope.cli.inside import backbone_option, output_options, print_json, print_places

WHAT, HOW = "What to draw", "How to draw it"


@click.command("maximise", cls=GroupedCommand)
@click.argument("run", required=False, type=click.Path(path_type=Path))
@backbone_option(heading=WHAT)
@grouped(
    "--layer",
    "layers",
    heading=WHAT,
    multiple=True,
    metavar="NAME|all",
    help="The filters, or units, of that layer; may be given again; all is every layer with "
    "weights. [the last layer of maps before pooling]",
)
@grouped(
    "--filters",
    heading=WHAT,
    metavar="0-31,40|all",
    help="These of each layer. [all, of more than 64 the first 32]",
)
@grouped(
    "--class",
    "classes",
    heading=WHAT,
    multiple=True,
    metavar="NAME|INDEX|all",
    help="That class; may be given again.",
)
@grouped("--head", heading=WHAT, metavar="NAME", help="The class of that head. [every head's]")
@grouped(
    "--neuron",
    "neurons",
    heading=WHAT,
    multiple=True,
    metavar="LAYER:ROW,COLUMN,CHANNEL",
    help="That neuron; may be given again.",
)
@grouped(
    "--recipe",
    heading=HOW,
    type=click.Choice(["readable", "plain"]),
    default="readable",
    show_default=True,
    help="readable: frequencies, decorrelated colours, jitter, several scales; plain: the gradient "
    "on pixels.",
)
@grouped("--steps", heading=HOW, type=int, help="So many steps. [readable 128, plain 60]")
@grouped("--rate", heading=HOW, type=float, help="Step size. [readable 0.05, plain 0.01]")
@grouped(
    "--start",
    heading=HOW,
    type=click.Choice(["blank", "noise"]),
    default="blank",
    show_default=True,
    help="Begin with gray, or with noise.",
)
@grouped(
    "--size", heading=HOW, type=int, metavar="PIXELS", help="Side of the pictures. [the network's]"
)
@grouped("--seed", heading=HOW, default=0, show_default=True, help="The same seed, the same bytes.")
@grouped("--batch", heading=HOW, default=16, show_default=True, help="So many pictures at once.")
@grouped(
    "--beside",
    heading=HOW,
    metavar="DATA",
    help="Compare with the strongest image of that data set, or of those images.",
)
@output_options(folder="A new folder. [RUN/favourites/<n>, runs/maximise-<backbone>-<n>]")
def maximise(
    run: Path | None,
    backbone: str | None,
    beside: str | None,
    out: Path | None,
    as_json: bool,
    engine: Any,
    device: str,
    **asked: Any,
) -> None:
    """Draw what excites filters, neurons or classes of RUN's network most: their favourite inputs.

    Gradient ascent from a gray picture (activation maximisation, feature visualisation). Writes a
    page, a sheet per layer, every picture as PNG, and arrays with a manifest.

    \b
    convoscope maximise runs/photos-small-1
    convoscope maximise runs/photos-small-1 --layer all --filters all
    convoscope maximise runs/photos-small-1 --class all --beside photos
    convoscope maximise --backbone vgg19 --layer block5_conv4 --filters 0-31 --size 128
    """  # noqa: D301 - click reads the backspace
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs.maximise import maximise_into
    from convoscope.jobs.maximise_request import MaximiseRequest
    from convoscope.report import maximise_page

    request = MaximiseRequest(**asked)
    with display(tables.console(is_error=True), is_quiet=as_json) as show:
        try:
            folder = maximise_into(
                out,
                run,
                backbone=backbone,
                request=request,
                beside=beside,
                engine=engine,
                device=device,
                progress=show.stage,
            )
        except KeyboardInterrupt:
            click.echo("\nthe same command goes on with what is not drawn yet", err=True)
            raise
    page = maximise_page.write(folder)
    if as_json:
        print_json(folder, page)
        return
    for group in folder.facts["groups"]:
        drawn = group["pictures"]
        silent = sum(each["is_silent"] for each in drawn)
        click.echo(f"{group['title']}: {len(drawn)} drawn" + (f", {silent} silent" * bool(silent)))
    print_places(folder, page)
