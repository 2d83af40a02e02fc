"""Before training: the images decoded and split, the network chosen to fit them, both checked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeAlias

from convoscope import engines
from convoscope.architecture.graph import Architecture
from convoscope.architecture.heads import with_heads, with_thresholds
from convoscope.architecture.protocol import Shape
from convoscope.architecture.zoo import is_file, resolve
from convoscope.arrays import Array
from convoscope.data.augment import POLICIES
from convoscope.data.cache import Decoded, decode
from convoscope.data.dataset import Dataset
from convoscope.data.groups import check_whole
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.splits import Splits, check_shares, make_splits, read_splits
from convoscope.errors import (
    ArchitectureError,
    DataError,
    RunError,
    SettingsError,
    placed,
    unknown_name,
)
from convoscope.jobs.adapted import Adapted, Stage, adapt, features_of, rounding_notes
from convoscope.jobs.data_check import training_notes
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.request import TrainRequest, input_shape
from convoscope.jobs.seen import judged_unseen
from convoscope.jobs.settings import training_settings
from convoscope.jobs.source import asked_dataset
from convoscope.jobs.starting import asked_start, check_same_start
from convoscope.runs import Run
from convoscope.training.settings import TrainingSettings
from convoscope.transfer.features import Features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """All that training needs, checked; ``notes`` are sentences that the report must print.

    ``architecture`` is the whole network. ``suspicions`` gives what the data check would say: it is
    worked out once, when first asked, for all that is prepared from the same images. ``adapted``
    is there where the network has learnt before, and ``features`` are then those that the frozen
    part of each of its stages gives, ``None`` for one without.
    """

    request: TrainRequest
    settings: TrainingSettings
    decoded: Decoded
    splits: Splits
    architecture: Architecture
    preprocessing: Preprocessing
    notes: tuple[str, ...]
    suspicions: Callable[[], tuple[str, ...]]
    adapted: Adapted | None = None
    features: tuple[Features | None, ...] = ()

    @property
    def dataset(self) -> Dataset:
        """The images that could be read."""
        return self.decoded.dataset

    @property
    def taught(self) -> Architecture:
        """What is taught in the end: the whole network, or what follows its frozen front."""
        return self.architecture if self.adapted is None else self.adapted.last.taught

    @property
    def inputs(self) -> Array:
        """What that is shown: the images (N, H, W, C), or their features (N, h, w, C)."""
        return self.inputs_of(None if self.adapted is None else self.adapted.last)

    def features_of(self, stage: Stage | None) -> Features | None:
        """What a stage learns from, where a part of the network is frozen in it."""
        if self.adapted is None or stage is None:
            return None
        return self.features[self.adapted.stages.index(stage)]

    def inputs_of(self, stage: Stage | None) -> Array:
        """What is shown in a stage: the images (N, H, W, C), or their features (N, h, w, C)."""
        found = self.features_of(stage)
        return self.decoded.images if found is None else found.plain


Divide: TypeAlias = Callable[[Decoded], Sequence[Splits]]
"""Decides what the decoded images are for: once, or once for each of several trainings."""


def prepare(request: TrainRequest, *, progress: Progress = unwatched) -> Prepared:
    """Read, decode and split the data, and make the network that fits it.

    The cheap checks come first: a misspelt model is told before a thousand images are decoded.

    Raises:
        ConvoscopeError: if the data, the network or a setting cannot be used; says which.
    """
    (prepared,) = prepare_each(request, lambda decoded: (_split(decoded, request),), progress)
    return prepared


def prepare_each(
    request: TrainRequest, divide: Divide, progress: Progress = unwatched
) -> tuple[Prepared, ...]:
    """What :func:`prepare` gives, for each division of the same decoded images.

    Raises:
        ConvoscopeError: as :func:`prepare` does.
    """
    if request.augment not in POLICIES:
        raise unknown_name("augmentation", request.augment, POLICIES)
    check_shares(request.validation, request.test)
    engines.check_computing(request.engine, device=request.device, precision=request.precision)
    if (start := asked_start(request)) is None:
        scratch(request)
    dataset = asked_dataset(request)
    architecture = choose_architecture(request, dataset)
    asked = _Asked(
        request=request,
        dataset=dataset,
        architecture=architecture,
        adapted=None if start is None else adapt(request, start, architecture, dataset),
        notes=_heads_note(request, architecture) if start is None else (),
    )
    return _prepared(asked, divide, progress)


def prepare_again(run: Run, request: TrainRequest, *, progress: Progress = unwatched) -> Prepared:
    """What :func:`prepare` gave when the run began: its own network and split, the same images.

    Raises:
        RunError: if the images are no longer those that the run began with.
    """

    def divide(decoded: Decoded) -> Sequence[Splits]:
        return (read_splits(run.split_file, decoded.dataset),)

    (prepared,) = prepare_each_again(run, request, divide, progress)
    return prepared


def prepare_each_again(
    run: Run, request: TrainRequest, divide: Divide, progress: Progress = unwatched
) -> tuple[Prepared, ...]:
    """What :func:`prepare_each` gave when the run began: its own network, the same images.

    Raises:
        RunError: if the images are no longer those that the run began with.
    """
    architecture, start = run.architecture(), asked_start(request)
    if start is not None:
        check_same_start(run, start)
    dataset = asked_dataset(request)
    asked = _Asked(
        request=request,
        dataset=dataset,
        architecture=architecture,
        adapted=None if start is None else adapt(request, start, architecture, dataset),
    )

    def divide_if_same(decoded: Decoded) -> Sequence[Splits]:
        divided = divide(decoded)
        _check_same_images(run, request, decoded)
        return divided

    return _prepared(asked, divide_if_same, progress)


def choose_architecture(request: TrainRequest, dataset: Dataset) -> Architecture:
    """The network that was asked for, with a head for whatever the data labels.

    A network with one head gives a copy of it to each. Its input is the one asked for; else, for a
    ready-made network and images in memory, theirs; else its own. A pretrained network keeps its
    input and gets new heads.

    Raises:
        ArchitectureError: if the network has several heads, and not those that the data labels.
        UnknownNameError: if a head is given a weight or threshold that is not there.
        SettingsError: if options are given for a network that has none.
        WeightsError: if a pretrained network's weights are not at hand.
    """
    classes = {head: len(names) for head, names in dataset.class_names.items()}
    if (start := asked_start(request)) is not None:
        architecture = start.architecture(dataset.class_names)
    else:
        shape = _input_shape(request, dataset)
        architecture = with_heads(scratch(request, shape), classes)
    for head in request.head_weight:
        architecture.head(head)
    return with_thresholds(architecture, request.threshold)


def scratch(request: TrainRequest, shape: Shape | None = None) -> Architecture:
    """The network to be trained from scratch, before it has the heads that the data asks for.

    Raises:
        SettingsError: if no such network is asked for, or it has no such options.
        UnknownNameError: if there is none of that name; names the nearest.
        ArchitectureError, ShapeError: if its file does not describe one, or it does not fit.
    """
    if request.model is None:
        raise SettingsError("model must be given, got none: name a network or a YAML file")
    return resolve(request.model, input_shape=shape, **request.set)


def preprocessing_for(architecture: Architecture, request: TrainRequest) -> Preprocessing:
    """How an image file becomes the architecture's input."""
    channels, height, width = architecture.input_shape
    if channels not in (1, 3):
        raise ArchitectureError(
            f"{architecture.name}: a network for images has 1 (gray) or 3 (colour) input channels, "
            f"got {channels}: change input_shape"
        )
    return Preprocessing(
        size=(height, width), resize=request.resize, order="gray" if channels == 1 else "rgb"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """What was asked, with its data opened and its network chosen."""

    request: TrainRequest
    dataset: Dataset
    architecture: Architecture
    adapted: Adapted | None
    notes: tuple[str, ...] = ()

    @property
    def preprocessing(self) -> Preprocessing:
        if self.adapted is not None:
            return self.adapted.preprocessing
        return preprocessing_for(self.architecture, self.request)


def _prepared(asked: _Asked, divide: Divide, progress: Progress) -> tuple[Prepared, ...]:
    request, preprocessing = asked.request, asked.preprocessing
    decoded = decode(
        asked.dataset,
        preprocessing=preprocessing,
        skip_unreadable=request.skip_unreadable,
        progress=lambda done, total: progress("decoding", done, total),
    )
    suspicions = functools.cache(lambda: training_notes(decoded, request))
    divided = [judged_unseen(splits, decoded, request) for splits in divide(decoded)]
    for splits in divided:
        _check_watched(request, splits)
    said = () if asked.adapted is None else tuple(asked.adapted.notes())
    features = features_of(asked.adapted, decoded, divided, progress)
    return tuple(
        Prepared(
            request=request,
            settings=training_settings(request),
            decoded=decoded,
            splits=splits,
            architecture=asked.architecture,
            preprocessing=preprocessing,
            notes=(*asked.notes, *_notes(decoded, splits), *rounding_notes(features), *said),
            suspicions=suspicions,
            adapted=asked.adapted,
            features=features,
        )
        for splits in divided
    )


def _check_same_images(run: Run, request: TrainRequest, decoded: Decoded) -> None:
    began_with = run.record().data.get("fingerprint")
    if decoded.fingerprint != began_with:
        raise RunError(
            f"{run.path}: going on needs the images that the run began with (fingerprint "
            f"{began_with}), {request.data} now has {decoded.fingerprint}: "
            "put the images back as they were, or train again"
        )


def _split(decoded: Decoded, request: TrainRequest) -> Splits:
    if request.split is None:
        made = make_splits(
            decoded,
            seed=request.seed,
            validation=request.validation,
            test=request.test,
            allow_leak=request.allow_leak,
        )
        return replace(made, notes=(*made.notes, *_unused_parts(request, decoded, made)))
    splits = read_splits(Path(request.split), decoded.dataset)
    with placed(request.split):
        torn = check_whole(decoded.dataset, splits.indices, allow_leak=request.allow_leak)
    return replace(splits, notes=(*splits.notes, *torn))


def _unused_parts(request: TrainRequest, decoded: Decoded, splits: Splits) -> Iterator[str]:
    """A sentence for each part that was asked for where the data brings its own."""
    if not splits.is_given:
        return
    brought = set(decoded.dataset.given_split or ())
    asked = {"test": request.test, "validation": request.validation}
    usual = {field.name: field.default for field in fields(TrainRequest)}
    for split, part in asked.items():
        if part != usual[split] and (split == "test" or {"test", "validation"} <= brought):
            yield f"--{split} {part:g} is not used: the data brings its own {split} split"


def _input_shape(request: TrainRequest, dataset: Dataset) -> Shape | None:
    if request.input is not None:
        own = scratch(request).input_shape
        return input_shape(request.input, channels=own[0])
    if not is_file(request.network) and dataset.pixels is not None:
        _, height, width, channels = dataset.pixels.shape
        return (channels, height, width)
    return None


def _heads_note(request: TrainRequest, architecture: Architecture) -> tuple[str, ...]:
    """A sentence where the network's only head was copied."""
    own = [head.name for head in scratch(request).heads]
    heads = [head.name for head in architecture.heads]
    if set(own) == set(heads) or len(heads) == 1:
        return ()
    return (
        f"{architecture.name} has one head and the data labels {len(heads)} ({', '.join(heads)}): "
        "each has its own copy of it",
    )


def _check_watched(request: TrainRequest, splits: Splits) -> None:
    for split in request.watch:
        if not len(splits.indices.get(split, ())):
            raise DataError(
                f"--watch {split}: a split that is watched must have images, it has none: hold "
                "some out, or leave the option out"
            )


def _notes(decoded: Decoded, splits: Splits) -> tuple[str, ...]:
    skipped = (
        f"{name} was left out, because it cannot be read: {reason}"
        for name, reason in decoded.skipped
    )
    return (*decoded.dataset.notes, *splits.notes, *skipped)
