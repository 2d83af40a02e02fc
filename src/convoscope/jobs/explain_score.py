"""Score explanations: whether the methods can be trusted on these images, and this network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from convoscope.arrays import Array, IntArray
from convoscope.errors import DataError, SettingsError, UnreadableImageError
from convoscope.explain import METHODS
from convoscope.explain.scores import (
    BASELINES,
    Measured,
    Randomised,
    equal_to_gradient,
    given,
    randomised,
    saliencies,
    score_images,
)
from convoscope.jobs.explain_images import ImagesToExplain, ImageToExplain
from convoscope.jobs.explain_objects import Marked, read_marked
from convoscope.jobs.explain_request import ExplainRequest, Plan
from convoscope.jobs.explain_subject import Subject
from convoscope.jobs.progress import Progress, unwatched
from convoscope.network import ClassLogit
from convoscope.runs.explanation_forgetting import Forgetting, forgetting
from convoscope.runs.explanation_scores import Randomisation, Scored, ScoredImage, Scores

RANDOMISED_IMAGES: Final = 6
"""So many of the images, spread over all, are explained again with randomised weights."""

TITLES: Final = {"centre": "The picture’s centre", "chance": "Chance"}
_VALUES_TOGETHER = 400_000
_MOST_TOGETHER = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Readable:
    """An image that could be read, as the network sees it (C, H, W), and its mask."""

    image: ImageToExplain
    pixels: Array
    mask: Array | None


def check_scored(request: ExplainRequest, plan: Plan, chosen: ImagesToExplain) -> Marked | None:
    """What is marked in the images that are to be scored; told before anything is computed.

    Raises:
        SettingsError: if scores are asked for and there are no images, or no methods.
        DataError: if what is marked cannot be read, or is in none of the images.
    """
    if not request.has_scores:
        return None
    if not chosen.images or not plan.methods:
        raise SettingsError(
            "--score: methods are scored on images, got none: name images, or a folder of them"
        )
    if request.objects is None:
        return None
    marked = read_marked(request.objects)
    if not any(marked.knows(image.file) for image in chosen.images):
        raise DataError(
            f"{marked.source}: boxes and masks must bear the names of the images, got none for "
            f"{chosen.images[0].file} or any other: name them as the image files are named"
        )
    return marked


def score(
    subject: Subject,
    plan: Plan,
    images: Sequence[ImageToExplain],
    *,
    marked: Marked | None = None,
    progress: Progress = unwatched,
    done: Callable[[Scores], object] = lambda scores: None,
    forgotten: Callable[[Forgetting], object] = lambda pictures: None,
) -> Scores:
    """The scores of the plan's methods on all images that can be read, for the first of the plan's
    heads: for the class that the network says, or for the one that was asked for if it is one.

    ``done`` is given what there is after every few images, ``forgotten`` how the explanations of
    the first of them change as the network forgets. Methods that look at a layer look at
    the first of the plan's.

    Raises:
        UnreadableImageError: if no image can be read.
    """
    started = time.monotonic()
    scores = Scores(
        methods=plan.methods,
        titles={name: METHODS[name].title for name in plan.methods} | TITLES,
        baselines=BASELINES,
        layer=_layer(plan) or "",
        images=(),
    )
    for together in _read(images, subject, marked, progress):
        found = _scored(subject, plan, together)
        scores = replace(
            scores, images=(*scores.images, *found), seconds=time.monotonic() - started
        )
        done(scores)
    if not scores.images:
        raise UnreadableImageError(
            f"none of the {len(images)} images can be read, such as {images[0].file}: name others"
        )
    scores, pictures = _with_checks(subject, plan, scores, images, progress)
    forgotten(pictures)
    scores = replace(scores, seconds=time.monotonic() - started)
    done(scores)
    return scores


def _read(
    images: Sequence[ImageToExplain],
    subject: Subject,
    marked: Marked | None,
    progress: Progress,
) -> Iterator[list[_Readable]]:
    """The images that can be read, a few at a time; who explained them has named the others."""
    size = max(1, _VALUES_TOGETHER // math.prod(subject.network.architecture.input_shape))
    together: list[_Readable] = []
    preprocessing = subject.network.preprocessing
    for number, image in enumerate(images, start=1):
        try:
            pixels = image.pixels().transpose(2, 0, 1)
        except UnreadableImageError:
            continue
        mask = marked.mask(image.file, preprocessing) if marked else None
        together.append(_Readable(image=image, pixels=pixels, mask=mask))
        if len(together) == min(size, _MOST_TOGETHER):
            yield together
            together = []
            progress("scoring", number, len(images))
    if together:
        yield together
    progress("scoring", len(images), len(images))


def _scored(subject: Subject, plan: Plan, together: Sequence[_Readable]) -> list[ScoredImage]:
    network, head = subject.network, plan.heads[0]
    images = np.stack([each.pixels for each in together])
    classes = _classes(subject, plan, images)
    measured = score_images(
        network,
        images,
        plan.methods,
        ClassLogit(head, tuple(int(k) for k in classes)),
        names=[each.image.name for each in together],
        layer=_layer(plan),
        masks=[each.mask for each in together],
    )
    places = {k: n for n, k in enumerate(k for k, e in enumerate(together) if e.mask is not None)}
    return [
        ScoredImage(
            name=each.image.name,
            head=head,
            class_name=subject.class_names[head][classes[k]],
            probability=float(measured.probability[k]),
            methods={
                name: _one(measured, method, k, places.get(k), len(plan.methods))
                for method, name in enumerate((*plan.methods, *BASELINES))
            },
        )
        for k, each in enumerate(together)
    ]


def _one(measured: Measured, method: int, image: int, marked: int | None, methods: int) -> Scored:
    curves = measured.curves
    return Scored(
        shares=_floats(curves.shares[method, image]),
        insertion=_floats(curves.insertion[method, image]),
        deletion=_floats(curves.deletion[method, image]),
        drop=float(measured.drop[method, image]),
        increases=bool(measured.left[method, image] > measured.probability[image]),
        stability=float(measured.stability[method, image]) if method < methods else None,
        pointing=None if marked is None else float(measured.pointing[method, marked]),
        mass=None if marked is None else float(measured.mass[method, marked]),
    )


def _classes(subject: Subject, plan: Plan, images: Array) -> IntArray:
    """The class that is explained for each image: the one that was asked for, or what is said."""
    head = plan.heads[0]
    asked = plan.classes.get(head, ())
    if len(asked) == 1:
        return np.full(len(images), asked[0], dtype=np.int64)
    logits = np.nan_to_num(subject.network.logits(images)[head])
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.int64)
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)


def _with_checks(
    subject: Subject,
    plan: Plan,
    scores: Scores,
    images: Sequence[ImageToExplain],
    progress: Progress,
) -> tuple[Scores, Forgetting]:
    """The scores, with those that need other weights; and the first image's explanations."""
    names = {image.name: image for image in images}
    spread = np.unique(
        np.linspace(0, len(scores.images) - 1, min(RANDOMISED_IMAGES, len(scores.images))).astype(
            int
        )
    )
    pixels = np.stack([names[scores.images[k].name].pixels().transpose(2, 0, 1) for k in spread])
    classes = _classes(subject, plan, pixels)
    target = ClassLogit(plan.heads[0], tuple(int(k) for k in classes))
    plain = given(subject.network, pixels, plan.methods, target, _layer(plan))
    found: dict[str, Randomised] = {}
    checks = randomised(subject.network, pixels, plan.methods, target, plain, _layer(plan))
    for number, (kind, check) in enumerate(checks, start=1):
        found[kind] = check
        progress("randomising", number, 2)
    whole = replace(
        scores,
        cascading=_randomisation(found["cascading"], plan.methods),
        independent=_randomisation(found["independent"], plan.methods),
        like_gradient=equal_to_gradient(subject.network, pixels, plan.methods, target),
    )
    start = saliencies(plan.methods, plain, (pixels.shape[2], pixels.shape[3]))[:, 0]
    values = np.concatenate([start[None], found["cascading"].first])  # (G + 1, M, H, W)
    picture = pixels[0].transpose(1, 2, 0)
    return whole, forgetting(whole.images[0].name, picture, plan.methods, values)


def _randomisation(check: Randomised, methods: Sequence[str]) -> Randomisation:
    return Randomisation(
        groups=check.groups,
        ranks={name: _rows(check.ranks[:, k]) for k, name in enumerate(methods)},
        ssims={name: _rows(check.ssims[:, k]) for k, name in enumerate(methods)},
    )


def _layer(plan: Plan) -> str | None:
    return plan.heat_layers[0] if plan.heat_layers else None


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(round(value, 6)) for value in values)


def _rows(values: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(_floats(row) for row in values)
