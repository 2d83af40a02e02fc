"""``convoscope explain``: what a network looks at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convoscope.cli.explain_scores import print_scores, scores_json
from convoscope.cli.explain_statements import print_statements, stating
from convoscope.cli.failures import MISTAKE
from convoscope.cli.grouped import GroupedCommand, grouped
from convoscope.cli.inside import backbone_option, output_options
from convoscope.errors import SettingsError
from convoscope.explain import METHODS
from convoscope.jobs.explain_request import USUAL_METHODS, ExplainRequest

if TYPE_CHECKING:
    from convoscope.runs.explanation_files import ExplanationFolder

WHAT, WHERE = "What to look for", "Where to look"


@click.command("explain", cls=GroupedCommand)
@click.argument("named", nargs=-1, metavar="[RUN] [IMAGE|DIR...]", type=click.Path(path_type=Path))
@backbone_option(heading=WHERE)
@grouped(
    "--layer",
    "layers",
    heading=WHERE,
    multiple=True,
    metavar="NAME",
    help="Look at that layer: heat, neurons, maps and filters; may be given again. [the last "
    "layer of maps before pooling]",
)
@grouped(
    "--class",
    "classes",
    heading=WHAT,
    multiple=True,
    metavar="NAME|INDEX|all",
    help="Explain that class; may be given again. [what the network says, and the label]",
)
@grouped("--head", heading=WHAT, metavar="NAME", help="Ask that head alone. [every head]")
@grouped(
    "--methods",
    heading=WHAT,
    metavar="NAME,...",
    help=f"{', '.join(METHODS)}; or all. [{', '.join(USUAL_METHODS)}]",
)
@grouped(
    "--neurons",
    "-k",
    heading=WHAT,
    default=5,
    show_default=True,
    help="So many of the strongest neurons of each layer.",
)
@grouped(
    "--one-per",
    heading=WHAT,
    type=click.Choice(["channel", "place"]),
    help="Of these at most one per channel, or per place.",
)
@grouped(
    "--neuron",
    "chosen",
    heading=WHAT,
    multiple=True,
    metavar="LAYER:ROW,COLUMN,CHANNEL",
    help="That neuron too, silent or not; may be given again.",
)
@grouped("--maps", "has_maps", heading=WHAT, is_flag=True, help="Show the maps of every layer.")
@grouped(
    "--score",
    "has_scores",
    heading=WHAT,
    is_flag=True,
    help="Score the methods: can they be trusted on these images?",
)
@grouped(
    "--objects",
    heading=WHAT,
    type=click.Path(path_type=Path),
    metavar="CSV|DIR",
    help="With --score: a table image,left,top,right,bottom in pixels, or a folder of masks, that "
    "mark the thing in each image.",
)
@grouped(
    "--statements",
    "has_statements",
    heading=WHAT,
    is_flag=True,
    help="Measure on the run's own images what its layers do: directions of the first filters, "
    "how well each layer tells the classes apart, how much of it survives a shift.",
)
@grouped("--top", heading=WHAT, default=5, show_default=True, help="Name so many classes.")
@output_options(
    folder="A new folder for what is found. [RUN/explanations/<n>, runs/explain-<backbone>-<n>]"
)
@click.pass_context
def explain(
    ctx: click.Context,
    /,
    named: tuple[Path, ...],
    backbone: str | None,
    out: Path | None,
    as_json: bool,
    has_statements: bool,
    engine: Any,
    device: str,
    **asked: Any,
) -> None:
    """Show what the network of RUN looks at in each IMAGE, and in each image below each DIR.

    Without an IMAGE a few of the run's own test images are explained, some named right and some
    wrong. Writes a page, pictures, and arrays with a manifest. An image that cannot be read is
    named and the others go on; the exit code is then 2.

    \b
    convoscope explain runs/photos-small-1
    convoscope explain runs/photos-small-1 cat.jpg --class dog --class cat
    convoscope explain runs/photos-small-1 holiday/ --class all --methods grad-cam
    convoscope explain runs/photos-small-1 holiday/ --methods all --score
    convoscope explain --backbone vgg19 cat.jpg --neuron block5_conv4:4,6,103
    convoscope explain --backbone vgg19 --layer block1_conv1
    convoscope explain runs/photos-small-1 --statements
    """  # noqa: D301 - click reads the backspace
    request = _request(asked)
    run, images = _who(named, backbone)
    measure = stating(run) if has_statements else None
    folder = _explained(
        run, images, backbone, request, out=out, engine=engine, device=device, is_quiet=as_json
    )
    said = measure(folder.path, engine, device, as_json) if measure else None
    page, report = _page(folder), _report(run, folder)
    if as_json:
        where = {"folder": folder.path, "page": page, "report": report}
        paths = {name: None if path is None else str(path) for name, path in where.items()}
        content = {**paths, **folder.to_json(), "scores": scores_json(folder.path)}
        if said is not None:
            content["statements"] = [statement.to_json() for statement in said]
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print(folder)
        print_scores(folder.path)
        print_statements(said or ())
        click.echo(f"page    {page}")
        if report is not None:
            click.echo(f"report  {report}")
    ctx.exit(_name_unreadable(folder))


def _request(asked: dict[str, Any]) -> ExplainRequest:
    methods = asked.pop("methods")
    names = tuple(name.strip() for name in methods.split(",")) if methods else ()
    return ExplainRequest(methods=names, **asked)


def _who(named: tuple[Path, ...], backbone: str | None) -> tuple[Path | None, tuple[Path, ...]]:
    """The run and the images among what was named.

    Raises:
        SettingsError: if no network is named, or an image stands where a run should.
    """
    if backbone is not None:
        return None, named
    if not named:
        raise SettingsError(
            "explain: a run must be named, or a pretrained network with --backbone, got neither: "
            "say  convoscope explain RUN  or  convoscope explain --backbone vgg19 IMAGE"
        )
    run, *images = named
    if run.is_file():
        raise SettingsError(
            f"explain: a run, or --backbone, must be named before the images, got {run} first: "
            f"say  convoscope explain RUN {run}  or  convoscope explain --backbone vgg19 {run}"
        )
    return run, tuple(images)


def _explained(
    run: Path | None,
    images: tuple[Path, ...],
    backbone: str | None,
    request: ExplainRequest,
    *,
    out: Path | None,
    is_quiet: bool,
    **options: Any,
) -> ExplanationFolder:
    """The folder with what was found; when interrupted, its page is written before going."""
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs.explain import explain_into

    begun: list[Path] = []
    with display(tables.console(is_error=True), is_quiet=is_quiet) as show:
        try:
            return explain_into(
                out,
                run,
                images,
                backbone=backbone,
                request=request,
                progress=show.stage,
                started=begun.append,
                **options,
            )
        except KeyboardInterrupt:
            if begun:
                _leave(begun[0])
            raise


def _leave(path: Path) -> None:
    """Say what an interrupted explanation leaves behind."""
    from convoscope.runs.explanation_files import open_explanations

    folder = open_explanations(path)
    click.echo(f"\n{len(folder)} images are done: {_page(folder)}", err=True)
    click.echo("the same command goes on with the others", err=True)


def _page(folder: ExplanationFolder) -> Path:
    from convoscope.report import explain_page

    return explain_page.write(folder)


def _report(run: Path | None, folder: ExplanationFolder) -> Path | None:
    """The run's report, written anew where what was found belongs in it."""
    from convoscope import report
    from convoscope.runs import open_run
    from convoscope.runs.explanation_scores import read_scores

    if run is None or folder.path.parent.parent != run:
        return None
    if not folder.about.images_of and read_scores(folder.path) is None:
        return None
    return report.write(open_run(run))


def _print(folder: ExplanationFolder) -> None:
    """A line per image and head, and the strongest neurons below it."""
    from convoscope.cli import tables

    has_heads = len(folder.about.class_names) > 1
    table = tables.plain_table(
        "image", *(["head"] if has_heads else []), "says", "strongest neurons", left=4
    )
    for image in folder.facts():
        cells = ", ".join(f"{neuron.position} {neuron.value:.4g}" for neuron in image.neurons[:3])
        for place, said in enumerate(image.said):
            best = f"{said.classes[0]} {said.probabilities[0]:.1%}"
            if said.is_right is False:
                best += f" (it is {said.label})"
            names = [image.file, *([said.head] if has_heads else [])]
            table.add_row(*names, best, cells if place == 0 else "")
    if table.row_count:
        tables.out().print(table)
    click.echo(f"folder  {folder.path}")


def _name_unreadable(folder: ExplanationFolder) -> int:
    for problem in folder.problems:
        click.echo(f"convoscope: {problem}", err=True)
    if folder.problems:
        total = len(folder) + len(folder.problems)
        click.echo(f"{len(folder.problems)} of {total} images could not be read", err=True)
    return MISTAKE if folder.problems else 0
