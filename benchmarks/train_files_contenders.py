"""Who learns from JPEG files: convoscope, and PyTorch, Keras and fastai with their usual loaders.

A contender is given a folder of pictures, how many epochs are asked for and how many of them are
measured, and gives back the seconds. What it needs it imports itself, before the clock starts, for
each runs in a process of its own.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from train_contenders import CASES, RATE, keras_network, torch_network

SIDE, CLASSES, BATCH, WORKERS = 224, 5, 50, 2
SPLITS = {"train": 250, "val": 50, "test": 100}
_CASE = CASES["architecture-1"]


class Spent(NamedTuple):
    """Seconds on the clock, and of the processor: the process's own and its workers'."""

    seconds: float
    work: float


@dataclass(slots=True)
class Clock:
    """Seconds of every epoch, and of what stands before and after them."""

    began: float = field(default_factory=time.perf_counter)
    work: float = field(default_factory=lambda: _processor_seconds())
    epochs: list[float] = field(default_factory=list)
    last: float = 0.0

    def start(self) -> None:
        """Preparation is over; what it took counts with the first epoch."""
        self.last = self.began

    def epoch(self) -> None:
        """An epoch and its validation are done."""
        now = time.perf_counter()
        self.epochs.append(now - self.last)
        self.last = now

    def spent(self, epochs: int) -> Spent:
        """From the start to now, for so many epochs; the processor's for those measured."""
        work = _processor_seconds() - self.work
        after = time.perf_counter() - self.last
        missing = epochs - len(self.epochs)
        later = statistics.mean(self.epochs[1:]) if missing else 0.0
        return Spent(sum(self.epochs) + missing * later + after, work)


# -- who trains: pictures, epochs asked, epochs measured -> seconds -------------------------------


def ours(pictures: Path, epochs: int, measured: int) -> Spent:
    """All epochs, always."""
    import convoscope.engines.torch.learner  # what is imported late otherwise, as for the others
    from convoscope.engines.numpy.memory import keep_freed_memory

    train = convoscope.train
    keep_freed_memory()
    clock = Clock()
    clock.start()
    train(
        pictures,
        model="architecture-1",
        epochs=epochs,
        batch=BATCH,
        learning_rate=RATE,
        patience=0,
        device="cpu",
        allow_leak=True,
        out=Path(os.environ["CONVOSCOPE_CACHE"]) / "run",
    )
    clock.epochs = [0.0] * epochs  # all of them, within what is measured after
    return clock.spent(epochs)


def pytorch(pictures: Path, epochs: int, measured: int) -> Spent:
    """Every picture is decoded whenever it is wanted."""
    from convoscope.engines.torch.adopted.torchvision_import import import_timm

    import_timm()  # with it comes the cure of a torchvision built for another PyTorch
    import torchvision.datasets  # noqa: F401

    clock = Clock()
    return _torch_loop(clock, _image_folders(pictures, WORKERS), epochs, measured)


def pytorch_decoded(pictures: Path, epochs: int, measured: int) -> Spent:
    """Every picture is decoded once."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from convoscope.engines.torch.adopted.torchvision_import import import_timm

    import_timm()
    import torchvision.datasets  # noqa: F401

    clock = Clock()
    loaders = {}
    for split, loader in _image_folders(pictures, WORKERS).items():
        images, labels = zip(*loader, strict=True)
        dataset = TensorDataset(torch.cat(images), torch.cat(labels))
        loaders[split] = DataLoader(dataset, batch_size=BATCH, shuffle=split == "train")
    return _torch_loop(clock, loaders, epochs, measured)


def keras(pictures: Path, epochs: int, measured: int) -> Spent:
    """Every picture is decoded whenever it is wanted, by TensorFlow's threads."""
    return _keras(pictures, epochs, measured, is_cached=False)


def keras_cached(pictures: Path, epochs: int, measured: int) -> Spent:
    """Decoded pictures are kept, and batches made ready ahead."""
    return _keras(pictures, epochs, measured, is_cached=True)


def fastai(pictures: Path, epochs: int, measured: int) -> Spent:
    """Resized to the square as a whole, as the others do it."""
    from convoscope.engines.torch.adopted.torchvision_import import import_timm

    import_timm()
    from fastai.callback.core import Callback
    from fastai.vision.all import (
        CrossEntropyLossFlat,
        ImageDataLoaders,
        Learner,
        Resize,
        accuracy,
        get_image_files,
    )

    clock = Clock()

    class Timed(Callback):  # type: ignore[misc]
        def after_epoch(self) -> None:
            clock.epoch()

    loaders = ImageDataLoaders.from_folder(
        pictures,
        train="train",
        valid="val",
        bs=BATCH,
        item_tfms=Resize(SIDE, method="squish"),
        num_workers=WORKERS,
    )
    loss = CrossEntropyLossFlat()
    learner = Learner(loaders, torch_network(_CASE), loss_func=loss, metrics=accuracy, cbs=Timed())
    clock.start()
    with learner.no_bar(), learner.no_logging():
        learner.fit(measured, RATE)
        learner.validate(dl=loaders.test_dl(get_image_files(pictures / "test"), with_labels=True))
    return clock.spent(epochs)


def _torch_loop(clock: Clock, loaders: dict[str, Any], epochs: int, measured: int) -> Spent:
    import torch

    network, loss = torch_network(_CASE), torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)

    def right(split: str) -> int:
        network.eval()
        with torch.no_grad():
            said = [(network(x).argmax(1) == labels).sum().item() for x, labels in loaders[split]]
        return sum(said)

    clock.start()
    for _ in range(measured):
        network.train()
        for images, labels in loaders["train"]:
            optimiser.zero_grad()
            found = loss(network(images), labels)
            found.backward()
            optimiser.step()
            found.item()
        right("val")
        clock.epoch()
    right("test")
    return clock.spent(epochs)


def _image_folders(pictures: Path, workers: int) -> dict[str, Any]:
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    prepare = transforms.Compose([transforms.Resize((SIDE, SIDE)), transforms.ToTensor()])
    return {
        split: DataLoader(
            datasets.ImageFolder(str(pictures / split), prepare),
            batch_size=BATCH,
            shuffle=split == "train",
            num_workers=workers,
        )
        for split in SPLITS
    }


def _processor_seconds() -> float:
    asked = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, asked))


def _keras(pictures: Path, epochs: int, measured: int, *, is_cached: bool) -> Spent:
    network, losses = keras_network(_CASE, scale=1 / 255), "sparse_categorical_crossentropy"
    from keras import callbacks, optimizers, utils

    clock = Clock()
    sets = {}
    for split in SPLITS:
        found = utils.image_dataset_from_directory(
            pictures / split, image_size=(SIDE, SIDE), batch_size=BATCH, shuffle=split == "train"
        )
        sets[split] = found.cache().prefetch(2) if is_cached else found
    network.compile(optimizers.Adam(RATE), losses, metrics=["accuracy"])
    timed = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: clock.epoch())
    clock.start()
    network.fit(
        sets["train"], validation_data=sets["val"], epochs=measured, callbacks=[timed], verbose=0
    )
    network.evaluate(sets["test"], verbose=0)
    return clock.spent(epochs)


CONTENDERS: dict[str, tuple[Callable[[Path, int, int], Spent], str]] = {
    "ours": (ours, "torch"),
    "PyTorch": (pytorch, "torchvision"),
    "Keras": (keras, "tensorflow"),
    "fastai": (fastai, "fastai"),
    "Keras cached": (keras_cached, "tensorflow"),
    "PyTorch decoded": (pytorch_decoded, "torchvision"),
}
