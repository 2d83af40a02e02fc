"""Before training: the images decoded and split, the network chosen to fit them, both checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeAlias

from convoscope.architecture import files
from convoscope.architecture.graph import Architecture
from convoscope.architecture.heads import with_heads
from convoscope.architecture.protocol import Shape
from convoscope.architecture.zoo import is_file, resolve
from convoscope.data.augment import POLICIES
from convoscope.data.cache import Decoded, decode
from convoscope.data.dataset import Dataset
from convoscope.data.groups import check_whole
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.splits import Splits, check_shares, make_splits, read_splits
from convoscope.errors import ArchitectureError, DataError, RunError, placed, unknown_name
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.request import TrainRequest, input_shape
from convoscope.jobs.settings import training_settings
from convoscope.jobs.source import asked_dataset
from convoscope.runs import Run
from convoscope.training.settings import TrainingSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """All that training needs, checked; ``notes`` are sentences that the report must print."""

    request: TrainRequest
    settings: TrainingSettings
    decoded: Decoded
    splits: Splits
    architecture: Architecture
    preprocessing: Preprocessing
    notes: tuple[str, ...]

    @property
    def dataset(self) -> Dataset:
        """The images that could be read."""
        return self.decoded.dataset


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
    resolve(request.model, **request.set)
    dataset = asked_dataset(request)
    architecture = choose_architecture(request, dataset)
    notes = _heads_note(request, architecture)
    return _prepared(request, dataset, architecture, divide, progress, notes)


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
    architecture = files.read(run.architecture_file)
    dataset = asked_dataset(request)
    prepared = _prepared(request, dataset, architecture, divide, progress)
    found, began_with = prepared[0].decoded.fingerprint, run.record().data.get("fingerprint")
    if found != began_with:
        raise RunError(
            f"{run.path}: going on needs the images that the run began with (fingerprint "
            f"{began_with}), {request.data} now has {found}: "
            "put the images back as they were, or train again"
        )
    return prepared


def choose_architecture(request: TrainRequest, dataset: Dataset) -> Architecture:
    """The network that was asked for, with a head for whatever the data labels.

    A network with one head gives a copy of it to each. Its input is the one asked for; else, for a
    ready-made network and images in memory, theirs; else its own.

    Raises:
        ArchitectureError: if the network has several heads, and not those that the data labels.
        UnknownNameError: if a head is given a weight that is not there.
        SettingsError: if options are given for a network that has none.
    """
    shape = _input_shape(request, dataset)
    classes = {head: len(names) for head, names in dataset.class_names.items()}
    architecture = with_heads(resolve(request.model, input_shape=shape, **request.set), classes)
    for head in request.head_weight:
        architecture.head(head)
    return architecture


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


def _prepared(
    request: TrainRequest,
    dataset: Dataset,
    architecture: Architecture,
    divide: Divide,
    progress: Progress,
    notes: tuple[str, ...] = (),
) -> tuple[Prepared, ...]:
    preprocessing = preprocessing_for(architecture, request)
    decoded = decode(
        dataset,
        preprocessing=preprocessing,
        skip_unreadable=request.skip_unreadable,
        progress=lambda done, total: progress("decoding", done, total),
    )
    divided = divide(decoded)
    for splits in divided:
        _check_watched(request, splits)
    return tuple(
        Prepared(
            request=request,
            settings=training_settings(request),
            decoded=decoded,
            splits=splits,
            architecture=architecture,
            preprocessing=preprocessing,
            notes=(*notes, *_notes(decoded, splits)),
        )
        for splits in divided
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
        own = resolve(request.model, **request.set).input_shape
        return input_shape(request.input, channels=own[0])
    if not is_file(request.model) and dataset.pixels is not None:
        _, height, width, channels = dataset.pixels.shape
        return (channels, height, width)
    return None


def _heads_note(request: TrainRequest, architecture: Architecture) -> tuple[str, ...]:
    """A sentence where the network's only head was copied."""
    own = [head.name for head in resolve(request.model, **request.set).heads]
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
