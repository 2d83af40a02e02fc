"""``convoscope data lines``: make the lines set as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from convoscope.jobs.data_lines import MadeLines

_FILE = click.Path(path_type=Path)


@click.command("lines", short_help="Make the lines set: 96 classes of drawn lines.")
@click.option("--out", "-o", type=_FILE, required=True, metavar="DIR|FILE.npz")
@click.option(
    "--version",
    type=click.Choice(["honest", "published"]),
    default="honest",
    show_default=True,
    help="honest: no picture is in both splits; published: as in the original, most are.",
)
@click.option("--train", default=600, show_default=True, help="Training images of each class.")
@click.option("--test", default=400, show_default=True, help="Test images of each class.")
@click.option("--size", default=28, show_default=True, help="Width and height of an image.")
@click.option(
    "--format",
    "image_format",
    type=click.Choice(["png", "jpg"]),
    default="png",
    show_default=True,
    help="png keeps every pixel; jpg is what was published, and blurs a little.",
)
@click.option("--sheet", type=_FILE, metavar="FILE", help="Also a PNG with images of each class.")
@click.option("--video", type=_FILE, metavar="FILE", help="Also an mp4 that shows every class.")
@click.option("--seed", "-s", default=0, show_default=True, help="Same seed, same images.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def lines(as_json: bool, quiet: bool, **asked: Any) -> None:
    """Draw lines that differ in length, width, angle and colour, and write them to files.

    2 lengths x 2 widths x 12 angles x 2 colours are 96 classes. A folder gets train and test below
    it, with images named length_width_angle_colour_id; an .npz file the same as arrays. Training
    needs no files: 'convoscope train lines' draws the set itself.

    \b
    convoscope data lines --out lines --sheet lines.png --video lines.mp4
    convoscope data lines --version published --format jpg --out published
    convoscope data lines --out lines.npz --train 60 --test 40
    convoscope train lines -m four-heads \\
        --label-pattern '{length}_{width}_{angle}_{colour}_{id}'
    """  # noqa: D301 - click reads the backspace
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs.data_lines import write_lines

    with display(tables.console(is_error=True), is_quiet=quiet or as_json) as show:
        made = write_lines(progress=show.stage, **asked)
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2, ensure_ascii=False))
        return
    _print(made)


def _print(made: MadeLines) -> None:
    from convoscope.cli import tables

    table = tables.plain_table("split", "images", "different pictures")
    table.add_row("train", f"{made.train_images:,}", f"{made.train:,}")
    table.add_row("test", f"{made.test_images:,}", f"{made.test:,}")
    tables.out().print(table)
    if made.test_images_seen:
        part = made.test_images_seen / made.test_images
        click.echo(
            f"note: {part:.1%} of the test images are pixel for pixel a training image, as in the "
            "set that was published: training on it needs --allow-leak"
        )
    click.echo(f"lines   {made.path}")
    for name, path in (("sheet", made.sheet), ("video", made.video)):
        if path is not None:
            click.echo(f"{name}   {path}")
