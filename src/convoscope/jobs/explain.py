"""Look inside a network: what it attends to in images, which neurons answer, what its maps show.

:func:`explain` gives arrays; :func:`explain_into` writes them, with pictures, into a folder, image
by image, so that memory stays flat however many there are.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from convoscope.errors import SettingsError, UnreadableImageError
from convoscope.jobs.explain_about import about, filters_of
from convoscope.jobs.explain_folder import folder_for
from convoscope.jobs.explain_image import explain_image
from convoscope.jobs.explain_images import ImagesToExplain, named_images, own_images
from convoscope.jobs.explain_pictures import pictures_of, pictures_of_filters
from convoscope.jobs.explain_request import ExplainRequest, Plan, plan
from convoscope.jobs.explain_score import check_scored, score
from convoscope.jobs.explain_subject import Subject, subject_of
from convoscope.jobs.progress import Progress, unwatched
from convoscope.network import Engine, Network
from convoscope.runs import Run
from convoscope.runs.explanation_files import (
    ExplanationFolder,
    ExplanationWriter,
    is_explanations,
    open_explanations,
)
from convoscope.runs.explanation_forgetting import write_forgetting
from convoscope.runs.explanation_scores import write_scores
from convoscope.runs.explanations import ExplainedImage, Explanations

Images: TypeAlias = str | Path | Sequence[str | Path]


def explain(
    of: Run | Network | str | Path | None = None,
    images: Images = (),
    *,
    backbone: str | None = None,
    class_names: Mapping[str, Sequence[str]] | None = None,
    request: ExplainRequest | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> Explanations:
    """What a network attends to in images, as arrays; all images at once in memory.

    ``of`` is a run, its folder or a network; or ``backbone`` names a pretrained one. ``images``
    are files and folders; without them a run's own test images are looked at, a few named right
    and a few wrong. ``class_names`` per head are those of a network that is no run.

    Raises:
        ConvoscopeError: if there is no such network, image, layer, class or method; says which.
    """
    subject = subject_of(
        of, backbone=backbone, class_names=class_names, engine=engine, device=device
    )
    wanted = plan(request or ExplainRequest(), subject.network, subject.class_names)
    chosen = images_for(subject, images, wanted)
    problems: list[str] = []
    found = tuple(explained(subject, wanted, chosen, problems.append, progress))
    return Explanations(
        about=about(subject, wanted, chosen, ()),
        images=found,
        filters=filters_of(subject.network, wanted),
        problems=tuple(problems),
    )


def explain_into(
    out: str | Path | None,
    of: Run | Network | str | Path | None = None,
    images: Images = (),
    *,
    backbone: str | None = None,
    class_names: Mapping[str, Sequence[str]] | None = None,
    request: ExplainRequest | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
    started: Callable[[Path], None] = lambda folder: None,
) -> ExplanationFolder:
    """As :func:`explain`, written image by image; gives back the folder.

    ``out`` is ``None`` for the first free folder below the run's ``explanations``, or below
    ``runs`` for a network that is no run. ``started`` is given the folder when it is there. When
    interrupted, the folder holds what was done, and says so; asked for the same again, it goes on
    with the images that are left. If the request asks for scores, they are written beside them.

    Raises:
        ConvoscopeError: as :func:`explain`; also if ``out`` holds something already, or what is to
            be scored cannot be.
    """
    subject = subject_of(
        of, backbone=backbone, class_names=class_names, engine=engine, device=device
    )
    asked = request or ExplainRequest()
    wanted = plan(asked, subject.network, subject.class_names)
    chosen = images_for(subject, images, wanted)
    marked = check_scored(asked, wanted, chosen)
    kernels = filters_of(subject.network, wanted)
    facts = about(subject, wanted, chosen, _command(subject, asked, images, out))
    with folder_for(facts.command, out, subject) as folder:
        done = _done(folder, chosen)
        writer = ExplanationWriter(folder, facts, kernels, pictures_of_filters(kernels), done)
        started(folder)
        names = [entry["name"] for entry in done]
        try:
            for image in explained(subject, wanted, chosen, writer.problem, progress, names):
                writer.add(image, pictures_of(image))
            if asked.has_scores:
                score(
                    subject,
                    wanted,
                    chosen.images,
                    marked=marked,
                    progress=progress,
                    done=partial(write_scores, folder),
                    forgotten=partial(write_forgetting, folder),
                )
        except KeyboardInterrupt:
            writer.end("interrupted")
            raise
        except UnreadableImageError:
            if not writer.count:
                shutil.rmtree(folder)  # nothing is in it
            raise
        writer.end("finished")
    return open_explanations(folder)


def explained(
    subject: Subject,
    wanted: Plan,
    chosen: ImagesToExplain,
    problem: Callable[[str], None],
    progress: Progress,
    before: Collection[str] = (),
) -> Iterator[ExplainedImage]:
    """Each image that can be read, as it is done; ``problem`` is told of the others. Those whose
    names are in ``before`` are done already.

    Raises:
        UnreadableImageError: if none can be read.
    """
    total, done = len(chosen.images), len(before)
    for number, source in enumerate(chosen.images, start=1):
        if source.name in before:
            continue
        try:
            yield explain_image(subject, wanted, source)
            done += 1
        except UnreadableImageError as error:
            if total == 1:
                raise
            problem(str(error))
        progress("explaining", number, total)
    if total and not done:
        raise UnreadableImageError(
            f"none of the {total} images can be read, such as {chosen.images[0].file}: name others"
        )


def _done(folder: Path, chosen: ImagesToExplain) -> tuple[Mapping[str, Any], ...]:
    """What the folder says of those of the images that were done before it was stopped."""
    if not is_explanations(folder):
        return ()
    meant = {(image.name, image.file) for image in chosen.images}
    entries = open_explanations(folder).entries
    return tuple(entry for entry in entries if (entry["name"], entry["file"]) in meant)


def images_for(subject: Subject, images: Images, wanted: Plan) -> ImagesToExplain:
    """The images that were named, or the run's own; none for a network without either, whose
    filters can be looked at.

    Raises:
        SettingsError: if there is neither an image nor a layer with filters to look at.
        DataError: if an image is not there.
    """
    if named := _named(images):
        return named_images(named, subject.network.preprocessing)
    if subject.run is not None:
        return own_images(subject.run, subject.network.preprocessing, wanted.heads[0])
    if not wanted.kept_layers:
        raise SettingsError(
            f"{subject.source}: without images the filters of layers can be shown, got neither an "
            "image nor --layer: name images, or layers"
        )
    return ImagesToExplain(images=())


def _named(images: Images) -> list[str | Path]:
    return [images] if isinstance(images, str | Path) else list(images)


def _command(
    subject: Subject, asked: ExplainRequest, images: Images, out: str | Path | None
) -> tuple[str, ...]:
    """The words of the command that does this again."""
    of = (subject.source,) if subject.run is not None else ("--backbone", subject.source)
    where = () if out is None else (f"--out={out}",)
    return ("convoscope", "explain", *of, *map(str, _named(images)), *asked.options(), *where)
