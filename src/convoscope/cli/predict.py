"""``convoscope predict``: say what is in pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convoscope.cli.failures import MISTAKE
from convoscope.errors import SettingsError

if TYPE_CHECKING:
    from convoscope.jobs.predict import ImagePrediction

CALIBRATED = (
    "note: probabilities are calibrated on the run's validation split; without --abstain-below "
    "they are as the network says them"
)
NOT_CALIBRATED = (
    "note: this run has no validation predictions to calibrate on, so its probabilities are as the "
    "network says them"
)


@click.command("predict")
@click.argument(
    "named",
    nargs=-1,
    required=True,
    metavar="[RUN] IMAGE|DIR...",
    type=click.Path(path_type=Path),
)
@click.option(
    "--backbone", metavar="NAME", help="Ask a pretrained network for ImageNet's classes, no run."
)
@click.option("--top", "-k", default=3, show_default=True, help="So many classes per image.")
@click.option(
    "--abstain-below",
    type=float,
    metavar="PROBABILITY",
    help="Say 'not sure' where the best class is less probable, by calibrated probabilities.",
)
@click.option("--engine", type=click.Choice(["torch", "numpy"]), help="Compute on that engine.")
@click.option("--device", "-d", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: file, head, rank, class, ...")
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    named: tuple[Path, ...],
    backbone: str | None,
    as_json: bool,
    as_csv: bool,
    **options: Any,
) -> None:
    """Say what the trained RUN sees in each IMAGE, and in each image below each DIR.

    With --backbone in RUN's place, a pretrained network says which of ImageNet's thousand classes
    each image shows; nothing needs to be trained.

    An image that cannot be read is named and the others go on; the exit code is then 2.

    \b
    convoscope predict runs/photos-small-1 cat.jpg
    convoscope predict runs/photos-small-1 holiday/ --csv > holiday.csv
    convoscope predict runs/photos-small-1 holiday/ --abstain-below 0.8
    convoscope predict --backbone vgg19 cat.jpg --top 5
    """  # noqa: D301 - click reads the backspace
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv", ctx)
    if backbone is None:
        content, found = _by_run(named, **options)
    else:
        content, found = _by_backbone(backbone, named, **options)
    if as_json:
        content = {**content, "images": [image.to_json() for image in found]}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(csv_text(found), nl=False)
    else:
        _print_table(found)
    ctx.exit(_name_unreadable(found))


def _by_run(
    named: tuple[Path, ...], *, abstain_below: float | None, **options: Any
) -> tuple[dict[str, Any], list[ImagePrediction]]:
    """What a trained run says, and the facts that stand beside it in the JSON object."""
    from convoscope.jobs import predict as job
    from convoscope.runs import Run
    from convoscope.runs.calibration import calibration_of

    run, *images = named
    if not images or run.is_file():
        raise SettingsError(
            f"predict: a run, or --backbone, must be named before the images, got {run} first: "
            f"say  convoscope predict RUN {run}  or  convoscope predict --backbone vgg19 {run}"
        )
    found = job.predict(run, images, abstain_below=abstain_below, **options)
    is_calibrated = abstain_below is not None and calibration_of(Run(run)) is not None
    if abstain_below is not None:
        click.echo(CALIBRATED if is_calibrated else NOT_CALIBRATED, err=True)
    content = {"run": str(run), "abstain_below": abstain_below, "is_calibrated": is_calibrated}
    return content, found


def _by_backbone(
    backbone: str, images: tuple[Path, ...], *, abstain_below: float | None, **options: Any
) -> tuple[dict[str, Any], list[ImagePrediction]]:
    """What a pretrained network says, and its name for the JSON object."""
    from convoscope.jobs import predict as job

    if (images[0] / "run.json").is_file():
        raise SettingsError(
            f"predict: a run or --backbone must say what is in the images, got {images[0]} and "
            f"--backbone {backbone}: leave one of them out"
        )
    if abstain_below is not None:
        raise SettingsError(
            "predict: --abstain-below needs probabilities that are calibrated on a run's "
            f"validation images, got --backbone {backbone}: leave one of them out"
        )
    return {"backbone": backbone}, job.predict_with_backbone(backbone, images, **options)


def csv_text(found: Sequence[ImagePrediction]) -> str:
    """A line per image, head and rank; an unreadable image has a line with its problem alone.

    ``not_sure`` is 1 where the head would rather not say, else 0.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", "head", "rank", "class", "probability", "not_sure", "problem"])
    for image in found:
        if image.problem is not None:
            writer.writerow([image.file, "", "", "", "", "", image.problem])
        for head, classes in image.heads.items():
            unsure = int(head in image.not_sure)
            for rank, best in enumerate(classes, start=1):
                said = (best.name, f"{best.probability:.6f}")
                writer.writerow([image.file, head, rank, *said, unsure, ""])
    return stream.getvalue()


def _print_table(found: Sequence[ImagePrediction]) -> None:
    from convoscope.cli import tables

    has_heads = any(len(image.heads) > 1 for image in found)
    table = tables.plain_table("image", *(["head"] if has_heads else []), "says", left=3)
    for image in found:
        for head, classes in image.heads.items():
            said = ", ".join(f"{best.name} {best.probability:.1%}" for best in classes)
            if head in image.not_sure:
                said = f"not sure ({said})"
            names = [str(image.file), *([head] if has_heads else [])]
            table.add_row(*names, said)
    if table.row_count:
        tables.out().print(table)


def _name_unreadable(found: Sequence[ImagePrediction]) -> int:
    unreadable = [image for image in found if image.problem is not None]
    for image in unreadable:
        click.echo(f"convoscope: {image.problem}", err=True)
    if unreadable:
        click.echo(f"{len(unreadable)} of {len(found)} images could not be read", err=True)
    return MISTAKE if unreadable else 0
