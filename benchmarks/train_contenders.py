"""Networks that are trained, and who trains them: convoscope, PyTorch, Keras, fastai.

A contender is given a case and gives back a function that learns an epoch. What it needs it imports
itself, for each runs in a process of its own, with nothing of the others in it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convoscope.architecture.files import from_yaml
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d
from convoscope.architecture.zoo import make
from convoscope.arrays import ByteArray, IntArray, generator

if TYPE_CHECKING:
    import torch

RATE = 0.001
Epoch = Callable[[], object]

TWO_CONV = """\
name: two-conv-28
input_shape: [1, 28, 28]
layers:
- {kind: conv2d, name: conv1, filters: 32, activation: relu}
- {kind: max_pool2d, name: pool1}
- {kind: conv2d, name: conv2, filters: 64, activation: relu}
- {kind: max_pool2d, name: pool2}
- {kind: flatten, name: flatten}
- {kind: dense, name: dense1, units: 128, activation: relu}
- {kind: dense, name: dense2, units: 10}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network with the number of images it learns from, and of those in a step."""

    architecture: Architecture
    images: int
    batch: int

    @property
    def classes(self) -> int:
        """Of its only head."""
        last = self.architecture.heads[0].layers[-1]
        assert isinstance(last, Dense)
        return last.units


CASES = {
    "architecture-1": Case(architecture=make("architecture-1"), images=1000, batch=50),
    "two-conv-28": Case(
        architecture=from_yaml(TWO_CONV, where="two-conv-28"), images=6400, batch=64
    ),
    "given-net": Case(architecture=make("given-net"), images=6400, batch=64),
}


def data(case: Case) -> tuple[ByteArray, IntArray]:
    """Random bytes (N, H, W, C) and labels (N,): what is seen does not change how long it takes."""
    channels, height, width = case.architecture.input_shape
    rng = generator(0, "benchmark", case.architecture.name)
    pixels = rng.integers(0, 256, (case.images, height, width, channels), dtype=np.uint8)
    return pixels, rng.integers(0, case.classes, case.images)


def ours(case: Case) -> Epoch:
    """An epoch as ``convoscope train`` learns it, evaluation left out."""
    from convoscope import engines
    from convoscope.data.batches import Batches
    from convoscope.engines.numpy.memory import keep_freed_memory
    from convoscope.network import HeadLoss, Optimiser
    from convoscope.training.epoch import learn

    keep_freed_memory()
    pixels, labels = data(case)
    network = engines.build(case.architecture, device="cpu")
    adam = Optimiser(kind="adam", learning_rate=RATE)
    learner = engines.learner(network, optimiser=adam, losses=[HeadLoss(head="class")])
    rows = np.arange(case.images)
    batches = Batches(pixels, {"class": labels}, rows, batch_size=case.batch, seed=0)
    count = iter(range(1, 10**6))
    return lambda: learn(
        learner,
        batches,
        epoch=next(count),
        multiplier=lambda step: 1.0,
        listen=lambda event: None,
        should_stop=lambda: False,
    )


def plain(case: Case) -> Epoch:
    """PyTorch as its tutorials write it: a DataLoader over float tensors."""
    import torch

    images, labels = _floats(case)
    dataset = torch.utils.data.TensorDataset(images, labels)
    loader = torch.utils.data.DataLoader(dataset, batch_size=case.batch, shuffle=True)
    module, loss = torch_network(case), torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE)

    def epoch() -> float:
        total = 0.0
        for batch, answers in loader:
            optimiser.zero_grad()
            found = loss(module(batch), answers)
            found.backward()
            optimiser.step()
            total += found.item()
        return total

    return epoch


def tuned(case: Case) -> Epoch:
    """PyTorch as who knows it writes it: channels last, fused Adam, no loader, no waiting."""
    import torch

    images, labels = _floats(case)
    images = images.contiguous(memory_format=torch.channels_last)
    module = torch_network(case)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE, fused=True)

    def epoch() -> torch.Tensor:
        losses = []
        for rows in torch.split(torch.randperm(case.images), case.batch):
            optimiser.zero_grad(set_to_none=True)
            found = torch.nn.functional.cross_entropy(module(images[rows]), labels[rows])
            found.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(found.detach())
        return torch.stack(losses).mean()

    return epoch


def keras(case: Case) -> Epoch:
    """``fit`` on float arrays, channels last as Keras has them."""
    network = keras_network(case)
    from keras import optimizers

    pixels, labels = data(case)
    images = pixels.astype(np.float32) / 255
    network.compile(optimizers.Adam(RATE), "sparse_categorical_crossentropy")
    return lambda: network.fit(images, labels, batch_size=case.batch, epochs=1, verbose=0)


def fastai(case: Case) -> Epoch:
    """A ``Learner`` over the float tensors."""
    import torch

    from convoscope.engines.torch.adopted.torchvision_import import import_timm

    import_timm()  # with it comes the cure of a torchvision built for another PyTorch
    import fastai.callback.progress  # noqa: F401  it adds no_bar to every Learner
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    images, labels = _floats(case)
    dataset = torch.utils.data.TensorDataset(images, labels)
    loader = torch.utils.data.DataLoader(dataset, batch_size=case.batch, shuffle=True)
    both = DataLoaders(loader, loader)
    learner = Learner(both, torch_network(case), loss_func=torch.nn.CrossEntropyLoss())

    def epoch() -> None:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1, RATE)

    return epoch


CONTENDERS: dict[str, Callable[[Case], Epoch]] = {
    "ours": ours,
    "PyTorch": plain,
    "tuned": tuned,
    "Keras": keras,
    "fastai": fastai,
}


def is_here(name: str) -> bool:
    """Whether what a contender needs can be imported."""
    needs = {"Keras": "keras", "fastai": "fastai"}
    return name not in needs or importlib.util.find_spec(needs[name]) is not None


def _floats(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """The images as float tensors (N, C, H, W) in [0, 1], made before the clock starts."""
    import torch

    pixels, labels = data(case)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return images.contiguous(), torch.from_numpy(labels)


def _layers(case: Case) -> list[Any]:
    return [*case.architecture.layers, *case.architecture.heads[0].layers]


def torch_network(case: Case) -> torch.nn.Module:
    """The network as PyTorch's own modules."""
    from torch import nn

    channels, width = case.architecture.input_shape[0], 0
    modules: list[nn.Module] = []
    for place in map(case.architecture.place, case.architecture.layer_names):
        layer = place.layer
        match layer:
            case Conv2d():
                modules.append(nn.Conv2d(channels, layer.filters, layer.kernel_size, layer.stride))
                channels = layer.filters
            case MaxPool2d():
                modules.append(nn.MaxPool2d(layer.kernel_size, layer.stride))
            case BatchNorm():
                modules.append(nn.BatchNorm2d(channels))
            case Flatten():
                modules.append(nn.Flatten())
            case Dense():
                modules.append(nn.Linear(place.input_shape[0], layer.units))
            case _:
                raise TypeError(layer.kind)
        width = len(modules)
        if getattr(layer, "activation", None) == "relu":
            modules.insert(width, nn.ReLU())
    return nn.Sequential(*modules)


def keras_backend() -> str:
    """What Keras computes with: TensorFlow if it is there, or what ``KERAS_BACKEND`` says."""
    has_tensorflow = importlib.util.find_spec("tensorflow") is not None
    return os.environ.get("KERAS_BACKEND", "tensorflow" if has_tensorflow else "torch")


def keras_network(case: Case, *, scale: float = 1.0) -> Any:
    """The network as Keras has it, of images (H, W, C) whose values ``scale`` makes [0, 1]."""
    os.environ["KERAS_BACKEND"] = keras_backend()
    from keras import Sequential, layers

    channels, height, width = case.architecture.input_shape
    before = [layers.Input((height, width, channels))]
    before += [layers.Rescaling(scale)] if scale != 1 else []
    made = [_keras_layer(layers, layer) for layer in _layers(case)]
    return Sequential([*before, *made, layers.Softmax()])


def _keras_layer(layers: Any, layer: Any) -> Any:
    """The layer as Keras has it."""
    activation = getattr(layer, "activation", None)
    match layer:
        case Conv2d():
            return layers.Conv2D(
                layer.filters, layer.kernel_size, layer.stride, activation=activation
            )
        case MaxPool2d():
            return layers.MaxPooling2D(layer.kernel_size, layer.stride)
        case BatchNorm():
            return layers.BatchNormalization()
        case Flatten():
            return layers.Flatten()
        case Dense():
            return layers.Dense(layer.units, activation=activation)
        case _:
            raise TypeError(layer.kind)
