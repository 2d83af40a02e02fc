"""The last three layers of VGG19 and ResNet50 learn: ours beside PyTorch as tutorials write it.

    python benchmarks/finetune.py [--backbones vgg19 resnet50] [--images 100 50 100] [--epochs 10]
                                  [--threads 2] [--layers 3] [--steps 3] [--batch 32] [--workers 2]

The same pictures, network, layers that learn, epochs and batches for everyone, from files to the
accuracy of the test split; validation after every epoch:

- ours: ``convoscope.train`` with ``--tune last:3``, from an empty cache to a written run. What is
  frozen is computed once;
- PyTorch: torchvision's network with the same head, ``requires_grad = False`` below, so that no
  graph is kept there, its batch norms in ``eval``; ImageFolder, a DataLoader with workers; the
  whole network forward in every epoch. Channels first, as tutorials have it, and channels last;
- fastai: its ``Learner`` on the same network with the same layers frozen, where it is installed.

The seconds of PyTorch are those of a few batches after a first one, which starts the workers, times
how many there are ("extrapolated"); fastai's are those of one epoch, and of the test images. With
``--steps 0`` everybody does everything. Weights are random: no time depends on them. The bar is 2:
ours must take at most half the time where the frozen part dominates.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convoscope.arrays import Array, generator

SIDE, CLASSES = 224, 5
SPLITS = ("train", "val", "test")


def main() -> None:
    """Print a table for each backbone."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        import torch

        torch.set_num_threads(asked.threads)
        _draw(where / "pictures", asked.images)
        print(
            f"{asked.threads} threads, PyTorch {torch.__version__}; "
            f"{'/'.join(map(str, asked.images))} images, {asked.epochs} epochs, batch "
            f"{asked.batch}, the last {asked.layers} layers learn"
        )
        for name in asked.backbones:
            os.environ["CONVOSCOPE_CACHE"] = str(where / f"cache-{name}")
            _keep_random_weights(name)
            _compare(name, where, asked)


def _compare(name: str, where: Path, asked: argparse.Namespace) -> None:
    ours, learnt = _ours(name, where, asked)
    note = "" if not asked.steps else f"  extrapolated from {asked.steps} batches of each split"
    _, also = _their_network(name, asked)
    print(f"\n{name}: {learnt:,} parameters learn here, {also:,} elsewhere")
    print(f"{'':<28}{'seconds':>9}{'of ours':>9}")
    print(f"{'ours, files to a run':<28}{ours:>9.1f}{1:>9.2f}", flush=True)
    for layout in ("channels first", "channels last"):
        seconds = _pytorch(name, where / "pictures", asked, layout)
        row = f"{f'PyTorch, {layout}':<28}{seconds:>9.1f}{seconds / ours:>9.2f}{note}"
        print(row, flush=True)
    if importlib.util.find_spec("fastai") is None:
        print(f"{'fastai':<28}{'absent':>9}")
    else:
        seconds = _fastai(name, where / "pictures", asked)
        note = "" if not asked.steps else "  extrapolated from one epoch"
        print(f"{'fastai':<28}{seconds:>9.1f}{seconds / ours:>9.2f}{note}")


# -- pictures and weights -------------------------------------------------------------------------


def _draw(folder: Path, images: Sequence[int]) -> None:
    """Smooth noise with a stripe that says the class, as JPEG files."""
    from PIL import Image

    for split, count in zip(SPLITS, images, strict=True):
        rng = generator(0, split)
        for number in range(count):
            label = number % CLASSES
            coarse = rng.integers(0, 256, (28, 28, 3)).astype(np.uint8)
            picture = np.array(Image.fromarray(coarse).resize((SIDE, SIDE)))
            picture[40 * label + 10 : 40 * label + 30] = 255
            file = folder / split / f"class{label}" / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file, quality=90)


def _keep_random_weights(name: str) -> None:
    """Weights for the backbone in the cache."""
    from convoscope import engines
    from convoscope.architecture.zoo import make
    from convoscope.data.preprocessing import Preprocessing
    from convoscope.transfer.catalogue import backbone
    from convoscope.transfer.store import Provenance, Stored, keep

    chosen = backbone(name)
    if chosen.is_ours:
        architecture = make(name)
        arrays = dict(engines.build(architecture, engine="numpy").parameters())
    else:
        plan = engines.blueprint(chosen.source, chosen.input_shape, cut="")
        architecture = plan.architecture
        arrays = {key: _values(key, shape) for key, shape in plan.shapes.items()}
    stored = Stored(
        name=chosen.name,
        source=chosen.source,
        input_shape=chosen.input_shape,
        preprocessing=Preprocessing(size=(SIDE, SIDE)),
        classes=chosen.classes,
        parameters=chosen.parameters,
        licence="none",
        origin=Provenance(place="random", format="none", sha256="0" * 64),
    )
    keep(stored, architecture, arrays)


def _values(name: str, shape: tuple[int, ...]) -> Array:
    rng = generator(0, name)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) == 1:
        return np.full(shape, float(name.endswith(("weight", "running_var"))), np.float32)
    fan_in = float(np.prod(shape[1:]))
    drawn: Array = rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
    return drawn


# -- who trains -----------------------------------------------------------------------------------


def _ours(name: str, where: Path, asked: argparse.Namespace) -> tuple[float, int]:
    """Seconds, and how many parameters learn."""
    import convoscope

    began = time.perf_counter()
    run = convoscope.train(
        where / "pictures",
        backbone=name,
        head="linear",
        tune=f"last:{asked.layers}",
        epochs=asked.epochs,
        batch=asked.batch,
        patience=0,
        allow_leak=True,
        out=where / f"run-{name}",
    )
    return time.perf_counter() - began, int(run.model()["backbone"]["learnt_parameters"])


def _pytorch(name: str, folder: Path, asked: argparse.Namespace, layout: str) -> float:
    """Seconds of the loop that tutorials write."""
    import torch
    from torch import nn

    is_last = layout == "channels last"
    order = torch.channels_last if is_last else torch.contiguous_format
    model = _their_network(name, asked)[0].to(memory_format=order)
    learnable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learnable, lr=1e-4, weight_decay=0.01)
    loss = nn.CrossEntropyLoss()

    def step(images: Any, labels: Any) -> None:
        optimiser.zero_grad()
        loss(model(images.contiguous(memory_format=order)), labels).backward()
        optimiser.step()

    def look(images: Any, labels: Any) -> None:
        with torch.no_grad():
            said = model(images.contiguous(memory_format=order))
            (said.argmax(1) == labels).sum().item()

    return _loop(model, _loaders(folder, asked), step, look, asked)


def _loop(
    model: Any,
    loaders: dict[str, Any],
    step: Callable[[Any, Any], None],
    look: Callable[[Any, Any], None],
    asked: argparse.Namespace,
) -> float:
    """Seconds of all epochs and the test; with ``--steps`` extrapolated from so many batches."""

    def seconds(split: str, work: Callable[[Any, Any], None]) -> float:
        _mode(model, is_training=split == "train")
        images, began = 0, time.perf_counter()
        for number, (batch, labels) in enumerate(loaders[split]):
            work(batch, labels)
            # Starting the workers is not extrapolated, where there is more than that.
            if number == 0 and asked.steps and len(loaders[split]) > 1:
                began = time.perf_counter()
                continue
            images += len(batch)
            if number == asked.steps:
                break
        return float((time.perf_counter() - began) * len(loaders[split].dataset) / images)

    rounds = 1 if asked.steps else asked.epochs
    learning = sum(seconds("train", step) + seconds("val", look) for _ in range(rounds))
    return float(learning * asked.epochs / rounds + seconds("test", look))


def _mode(model: Any, *, is_training: bool) -> None:
    """What is frozen keeps still, batch norms too."""
    for module in model.modules():
        own = [*module.parameters(recurse=False)]
        module.train(is_training)
        if own and not any(p.requires_grad for p in own):
            module.eval()


def _loaders(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    prepare = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return {
        split: DataLoader(
            datasets.ImageFolder(folder / split, prepare),
            batch_size=asked.batch,
            shuffle=split == "train",
            num_workers=asked.workers,
        )
        for split in SPLITS
    }


def _their_network(name: str, asked: argparse.Namespace) -> tuple[Any, int]:
    """Torchvision's, with a global average and a dense layer on top as ours; how much learns."""
    from torch import nn

    # With it comes the cure of a torchvision that a CPU-only PyTorch cannot import.
    from convoscope.engines.torch.adopted.torchvision_import import import_timm

    import_timm()
    from torchvision import models

    model = getattr(models, name)(weights=None)
    if name == "vgg19":
        model.avgpool = nn.AdaptiveAvgPool2d(1)
        model.classifier = nn.Linear(512, CLASSES)
    else:
        model.fc = nn.Linear(model.fc.in_features, CLASSES)
    _freeze_below(model, asked.layers)
    return model, sum(p.numel() for p in model.parameters() if p.requires_grad)


def _freeze_below(model: Any, layers: int) -> None:
    """All but the last so many layers with weights, and the batch norms that follow those."""
    from torch import nn

    for parameter in model.parameters():
        parameter.requires_grad = False
    left = layers
    for module in _backwards(model):
        if not isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            continue
        if left == 0:
            break
        for parameter in module.parameters():
            parameter.requires_grad = True
        left -= not isinstance(module, nn.BatchNorm2d)


def _backwards(model: Any) -> Iterator[Any]:
    """Modules from the last one on; a bottleneck's shortcut stands before its convolutions."""
    named = [(name, module) for name, module in model.named_modules() if not [*module.children()]]
    order = sorted(named, key=lambda pair: _block_key(pair[0], [n for n, _ in named]))
    return (module for _, module in reversed(order))


def _block_key(name: str, names: Sequence[str]) -> tuple[int, int]:
    place, block = names.index(name), name.partition(".downsample")[0]
    if block == name:
        return place, 0
    return next(i for i, other in enumerate(names) if other.startswith(f"{block}.")), place - 1000


def _fastai(name: str, folder: Path, asked: argparse.Namespace) -> float:
    """Seconds of fastai's loop over the same network and pictures."""
    model, _ = _their_network(name, asked)
    # After the network: with it torchvision has come in whole.
    from fastai.vision.all import (
        CrossEntropyLossFlat,
        ImageDataLoaders,
        Learner,
        Resize,
        accuracy,
        get_image_files,
    )

    loaders = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="val",
        bs=asked.batch,
        item_tfms=Resize(SIDE),
        num_workers=asked.workers,
    )
    learner = Learner(loaders, model, loss_func=CrossEntropyLossFlat(), metrics=accuracy)
    tested = loaders.test_dl(get_image_files(folder / "test"), with_labels=True)
    epochs = 1 if asked.steps else asked.epochs
    with learner.no_bar(), learner.no_logging():
        began = time.perf_counter()
        learner.fit(epochs, 1e-4)
        learning: float = (time.perf_counter() - began) * asked.epochs / epochs
        began = time.perf_counter()
        learner.validate(dl=tested)
    return learning + time.perf_counter() - began


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The last layers of a backbone, by several.")
    parser.add_argument("--backbones", nargs="+", default=["vgg19", "resnet50"])
    parser.add_argument(
        "--images", nargs=3, type=int, default=(100, 50, 100), metavar=("TRAIN", "VAL", "TEST")
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="that load pictures for the others")
    return parser.parse_args()


if __name__ == "__main__":
    main()
