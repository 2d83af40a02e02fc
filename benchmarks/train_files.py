"""From JPEG files to a tested network: ours beside the usual loaders of PyTorch, Keras and fastai.

    python benchmarks/train_files.py [--epochs 20] [--measured 20] [--threads 2] [--rounds 3]
                                     [--data FOLDER] [--only ours PyTorch]

Architecture-1 at 224 x 224 as row 4 trains it: 250 images of 5 classes learnt from in batches of
50, 50 validated after every epoch, 100 tested at the end, Adam at 0.001, nothing augmented. The
pictures are drawn, 300 x 200 JPEG files, unless ``--data`` names a folder with train, val and test.

- ours: ``convoscope.train`` from an empty cache to a written run;
- PyTorch: ImageFolder, DataLoader with two workers, the loop that tutorials write;
- Keras: ``image_dataset_from_directory`` and ``fit``; ``cached`` with ``.cache().prefetch()``;
- fastai: ``ImageDataLoaders.from_folder`` with two workers and ``fit``;
- PyTorch, decoded: its loop over float tensors that were made of the files once, while the clock
  ran. Nobody's usual loader; it shows what the loading costs the others.

Each is a process of its own; the seconds are those after its imports, and beside them stand the
processor's, those of workers included. With ``--measured`` below
``--epochs`` the seconds of the peers are extrapolated: the first epoch once, the mean of the other
measured ones for each of the rest. Who cannot be imported is named as absent. Keras computes with
TensorFlow where that is there, else with PyTorch: the table says which. The bar is 3: the best
peer's usual loader must take at least three times as long as ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convoscope.arrays import generator
from train_contenders import CASES, RATE, keras_backend, keras_network, torch_network

SIDE, CLASSES, BATCH, WORKERS = 224, 5, 50, 2
SPLITS = {"train": 250, "val": 50, "test": 100}
_CASE = CASES["architecture-1"]
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
    from convoscope.engines.torch.torchvision_import import import_timm

    import_timm()  # with it comes the cure of a torchvision built for another PyTorch
    import torchvision.datasets  # noqa: F401

    clock = Clock()
    return _torch_loop(clock, _image_folders(pictures, WORKERS), epochs, measured)


def pytorch_decoded(pictures: Path, epochs: int, measured: int) -> Spent:
    """Every picture is decoded once."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from convoscope.engines.torch.torchvision_import import import_timm

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
    from convoscope.engines.torch.torchvision_import import import_timm

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

    class Timed(Callback):
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
_USUAL = ("PyTorch", "Keras", "fastai")

# -- the table ------------------------------------------------------------------------------------


def main() -> None:
    """Print the table."""
    asked = _arguments()
    if asked.contender:
        # Keras and fastai may print
        told, sys.stdout = sys.stdout, sys.stderr
        work, _ = CONTENDERS[asked.contender]
        print(json.dumps(work(asked.data, asked.epochs, asked.measured)), file=told)
        return
    with tempfile.TemporaryDirectory() as folder:
        pictures = asked.data or _draw(Path(folder) / "pictures")
        _compare(pictures, asked)


def _compare(pictures: Path, asked: argparse.Namespace) -> None:
    measured = min(asked.measured, asked.epochs)
    print(
        f"{asked.threads} threads, {asked.epochs} epochs from JPEG files, medians of "
        f"{asked.rounds} runs; Keras computes with {keras_backend()}"
    )
    if measured < asked.epochs:
        print(f"peers: {measured} epochs measured, the rest extrapolated")
    names = [name for name in CONTENDERS if not asked.only or name in asked.only]
    absent = [name for name in names if importlib.util.find_spec(CONTENDERS[name][1]) is None]
    taken: dict[str, list[Spent]] = {name: [] for name in names if name not in absent}
    for _ in range(asked.rounds):
        for name, found in taken.items():
            found.append(_run(name, pictures, measured, asked))
    medians = {name: statistics.median(one.seconds for one in n) for name, n in taken.items()}
    own = medians.get("ours")
    print(f"{'':<18}{'seconds':>9}{'of ours':>9}{'processor':>11}")
    for name, seconds in medians.items():
        ratio = seconds / own if own else float("nan")
        work = statistics.median(one.work for one in taken[name])
        print(f"{name:<18}{seconds:>9.1f}{ratio:>9.2f}{work:>11.1f}")
    for name in absent:
        print(f"{name:<18}{'absent':>9}")
    usual = [medians[name] for name in _USUAL if name in medians]
    if own and usual:
        print(f"best usual loader over ours: {min(usual) / own:.2f}")


def _run(name: str, pictures: Path, measured: int, asked: argparse.Namespace) -> Spent:
    """Of one contender, in a process of its own, with nothing in its cache."""
    with tempfile.TemporaryDirectory() as cache:
        words = ["--contender", name, "--data", str(pictures)]
        words += ["--epochs", str(asked.epochs), "--measured", str(measured)]
        threads = dict.fromkeys(_THREADS, str(asked.threads))
        done = subprocess.run(
            [sys.executable, __file__, *words],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | threads | {"CONVOSCOPE_CACHE": cache, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )
    if done.returncode:
        raise SystemExit(f"{name} died: its words stand above")
    return Spent(*json.loads(done.stdout))


def _draw(folder: Path) -> Path:
    """Smooth noise with a stripe that says the class, as JPEG files as large as Caltech-101's."""
    from PIL import Image

    for split, count in SPLITS.items():
        rng = generator(0, split)
        for number in range(count):
            label = number % CLASSES
            coarse = rng.integers(0, 256, (50, 75, 3)).astype(np.uint8)
            picture = np.array(Image.fromarray(coarse).resize((300, 200)))
            picture[35 * label + 10 : 35 * label + 30] = 255
            file = folder / split / f"class{label}" / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file, quality=90)
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--measured", type=int, default=20, help="epochs that peers really learn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(CONTENDERS), metavar="WHO")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
