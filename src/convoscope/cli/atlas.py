"""``convoscope atlas``: what in a whole data set excites each channel of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convoscope.cli.grouped import GroupedCommand, grouped
from convoscope.cli.inside import backbone_option, output_options, print_json, print_places
from convoscope.cli.reading import reading_options
from convoscope.errors import SettingsError

WHAT = "What to show"


@click.command("atlas", cls=GroupedCommand)
@click.argument("named", nargs=-1, metavar="[RUN] [DATA]")
@backbone_option(heading=WHAT)
@grouped(
    "--layer",
    heading=WHAT,
    metavar="NAME",
    help="The channels, or units, of that layer. [the last layer of maps before pooling]",
)
@grouped(
    "--patches", "-k", heading=WHAT, default=9, show_default=True, help="So many for each channel."
)
@grouped(
    "--split",
    heading=WHAT,
    type=click.Choice(["train", "validation", "test"]),
    help="Images of that split. [all]",
)
@grouped("--head", heading=WHAT, metavar="NAME", help="The label that counts. [the first]")
@grouped(
    "--favourites",
    heading=WHAT,
    type=int,
    metavar="COUNT",
    help="Draw so many favourite inputs too. [all where that takes seconds, else none]",
)
@grouped(
    "--favourites-from",
    heading=WHAT,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Show those that  convoscope maximise  has drawn.",
)
@grouped("--seed", heading=WHAT, default=0, show_default=True, help="The seed of favourite inputs.")
@grouped(
    "--skip-unreadable", heading=WHAT, is_flag=True, help="Go on without images that are broken."
)
@reading_options
@output_options(folder="A new folder. [RUN/atlas/<n>, runs/atlas-<backbone>-<n>]")
def atlas(
    named: tuple[str, ...],
    backbone: str | None,
    out: Path | None,
    as_json: bool,
    engine: Any,
    device: str,
    **asked: Any,
) -> None:
    """Show the parts of images that excite each channel of a layer most, and for which class.

    One pass over DATA, or without it over the images that RUN was made with; a stopped one goes
    on where it was. DATA is whatever train takes, or an image, or a folder of images without
    classes. Writes a page to browse, a sheet, and arrays with a manifest.

    \b
    convoscope atlas runs/photos-small-1
    convoscope atlas runs/photos-small-1 other/photos --layer conv1
    convoscope atlas --backbone vgg19 photos --layer block5_conv4
    """  # noqa: D301 - click reads the backspace
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs.atlas import atlas_into
    from convoscope.jobs.atlas_request import AtlasRequest
    from convoscope.report import atlas_page

    run, data = _who(named, backbone)
    own = {name: asked.pop(name) for name in AtlasRequest.__dataclass_fields__}
    request = AtlasRequest(**own)
    with display(tables.console(is_error=True), is_quiet=as_json) as show:
        folder = atlas_into(
            out,
            run,
            data,
            backbone=backbone,
            request=request,
            engine=engine,
            device=device,
            progress=show.stage,
            **{name: value for name, value in asked.items() if value},
        )
    page = atlas_page.write(folder)
    if as_json:
        print_json(folder, page)
        return
    for sentence in atlas_page.statements(folder.facts):
        click.echo(sentence)
    print_places(folder, page)


def _who(named: tuple[str, ...], backbone: str | None) -> tuple[str | None, str | None]:
    """The run and the data among what was named.

    Raises:
        SettingsError: if more, or less, is named than there can be.
    """
    run = None if backbone is not None else next(iter(named), None)
    rest = named if backbone is not None else named[1:]
    if len(rest) > 1:
        raise SettingsError(
            f"atlas: one data set is looked at, got {' and '.join(rest)}: name one of them"
        )
    return run, next(iter(rest), None)
