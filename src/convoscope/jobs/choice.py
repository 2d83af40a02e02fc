"""Which network to begin with, where nobody has said: from the images, and what is at hand."""

from __future__ import annotations

from collections.abc import Sequence

from convoscope.data.dataset import Dataset
from convoscope.errors import SettingsError
from convoscope.jobs.request import TrainRequest, quoted
from convoscope.jobs.source import asked_dataset
from convoscope.transfer.catalogue import BACKBONES
from convoscope.transfer.store import installed

ENOUGH_PER_CLASS = 1000
"""Images per class from which a network learns well from scratch: about as many as ImageNet has."""

SMALL_SIDE = 64
"""Images of fewer pixels a side hold too little for a network that was taught on photographs."""

_FIRST = "vgg19"
_SCRATCH = {True: "own-net", False: "small"}


def no_network(asked: TrainRequest) -> SettingsError:
    """The error for a request that names no network: both commands, and which is the better one.

    Raises:
        ConvoscopeError: if the data cannot be opened; that is to be said first.
    """
    dataset = asked_dataset(asked)
    at_hand = [stored.name for stored in installed() if stored.name in BACKBONES]
    name = _nearest(at_hand)
    commands = [
        quoted(("convoscope", "train", asked.data, *words))
        for words in (("--model", _SCRATCH[is_small(dataset)]), ("--backbone", name))
    ]
    return SettingsError(
        f"a network must be named, got none for the {len(dataset):,} images of {dataset.name}: "
        f"from scratch  {commands[0]}  or pretrained  {commands[1]} ; "
        + _advice(dataset, name, is_at_hand=name in at_hand)
    )


def is_small(dataset: Dataset) -> bool:
    """Whether the images, where their size is known without decoding them, are tiny."""
    return dataset.pixels is not None and max(dataset.pixels.shape[1:3]) < SMALL_SIDE


def images_per_class(dataset: Dataset) -> float:
    """The mean over the classes of the head that tells the most apart."""
    return len(dataset) / max(len(names) for names in dataset.class_names.values())


def _advice(dataset: Dataset, name: str, *, is_at_hand: bool) -> str:
    count = f"{images_per_class(dataset):,.0f} images per class"
    if is_small(dataset):
        return "images this small are for a network from scratch"
    if images_per_class(dataset) >= ENOUGH_PER_CLASS:
        return f"with {count} a network from scratch can do well, the pretrained one is quicker"
    got = "its weights are at hand" if is_at_hand else f"first  convoscope weights fetch {name}"
    return f"with {count} the pretrained one is the better start ({got})"


def _nearest(at_hand: Sequence[str]) -> str:
    """The backbone to recommend: the first of the table that is at hand, or the first at all."""
    return next((name for name in BACKBONES if name in at_hand), _FIRST)
