"""A whole learner in a page: softmax regression by SGD with momentum, in NumPy.

It fills every slot of the waist that training uses, so the loop is tested against the seam and not
against an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Dense, Flatten
from convoscope.architecture.protocol import Shape
from convoscope.architecture.receptive_field import Box
from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import WeightsError
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.network import Engine, Network, Precision, Trace

CLASSES = 3
SIDE = 4


@dataclass(slots=True)
class Regression:
    """A network of one dense layer."""

    weights: dict[str, FloatArray]

    @property
    def engine(self) -> Engine:
        return "numpy"

    @property
    def architecture(self) -> Architecture:
        layers = (Flatten(name="flatten"), Dense(name="logits", units=CLASSES))
        return Architecture(
            name="line", input_shape=(1, SIDE, SIDE), layers=(), heads=(Head(layers=layers),)
        )

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(size=(SIDE, SIDE), order="gray")

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def precision(self) -> Precision:
        return "float64"

    @property
    def layer_names(self) -> tuple[str, ...]:
        return ("flatten", "logits")

    def logits(self, images: Array) -> Mapping[str, FloatArray]:
        rows = images.reshape(len(images), -1)
        with np.errstate(all="ignore"):  # a diverged network gives NaN, not warnings
            return {"class": rows @ self.weights["logits.weight"] + self.weights["logits.bias"]}

    @property
    def layer_shapes(self) -> Mapping[str, Shape]:
        return {"flatten": (SIDE * SIDE,), "logits": (CLASSES,)}

    def attention(self, images: Array) -> tuple[FloatArray, ...]:
        return ()

    def trace(
        self,
        images: Array,
        *,
        layers: Collection[str] = (),
        upto: str | None = None,
        wrt: Collection[str] = ("images",),
    ) -> Trace:
        raise NotImplementedError("training never traces")

    def patch(self, layer: str, row: int, column: int) -> Box:
        raise NotImplementedError("training never looks inside")

    def parameters(self) -> Mapping[str, FloatArray]:
        return self.weights

    def with_parameters(self, parameters: Mapping[str, FloatArray]) -> Network:
        return Regression({**self.weights, **parameters})


@dataclass(slots=True)
class RegressionLearner:
    """SGD with momentum 0.9 on the mean cross-entropy."""

    network: Regression
    learning_rate: float
    velocity: dict[str, FloatArray]
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    rank: int = 0
    world_size: int = 1

    def step(self, images: Array, labels: Mapping[str, Array], *, rate: float = 1.0) -> None:
        truth, rows = labels["class"], images.reshape(len(images), -1)
        head = head_of(labels["class"], self.network.logits(images)["class"])
        with np.errstate(all="ignore"):
            grad = (head.probabilities() - np.eye(CLASSES)[truth]) / len(truth)
            probability = head.probabilities()[np.arange(len(truth)), truth]
            self.losses.append(float(-np.log(probability).mean()))
            gradients = {"logits.weight": rows.T @ grad, "logits.bias": grad.sum(axis=0)}
            for name, gradient in gradients.items():
                self.velocity[name] *= 0.9
                self.velocity[name] += gradient
                self.network.weights[name] -= self.learning_rate * rate * self.velocity[name]
        self.rates.append(rate)

    def drain_losses(self) -> FloatArray:
        drained, self.losses = np.array(self.losses), []
        return drained

    def state(self) -> Mapping[str, Array]:
        return {
            **{name: value.copy() for name, value in self.network.weights.items()},
            **{f"velocity/{name}": value.copy() for name, value in self.velocity.items()},
        }

    def load_state(self, state: Mapping[str, Array]) -> None:
        if set(state) != set(self.state()):
            raise WeightsError("the state is another network's")
        for name in self.network.weights:
            self.network.weights[name] = np.array(state[name])
            self.velocity[name] = np.array(state[f"velocity/{name}"])


@dataclass(frozen=True, slots=True)
class Sample:
    images: FloatArray
    labels: Mapping[str, IntArray]


@dataclass(slots=True)
class Shuffled:
    """Batches in an order that depends on the epoch alone; an image of the batch ``broken``,
    (epoch, step), is NaN.
    """

    images: FloatArray
    labels: IntArray
    batch_size: int = 8
    broken: tuple[int, int] | None = None

    @property
    def indices(self) -> IntArray:
        return np.arange(len(self.labels))

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Sample]:
        order = generator(0, "shuffle", epoch).permutation(len(self.labels))
        for step in range(len(self)):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
            images = self.images[chosen]
            if self.broken == (epoch, step + 1):
                images[0] = np.nan
            yield Sample(images, {"class": self.labels[chosen]})


def head_of(labels: IntArray, logits: FloatArray) -> HeadPredictions:
    return HeadPredictions(
        class_names=tuple(str(k) for k in range(CLASSES)), labels=labels, logits=logits
    )


def draw_blobs(images: int, purpose: str) -> tuple[FloatArray, IntArray]:
    """Three classes that overlap, so that a validation loss falls and rises again."""
    rng = generator(0, "blobs", purpose)
    labels = rng.integers(0, CLASSES, images)
    centres = generator(0, "centres").normal(size=(CLASSES, 1, SIDE, SIDE))
    return centres[labels] * 0.6 + rng.normal(size=(images, 1, SIDE, SIDE)), labels


def evaluation(
    split: str, images: FloatArray, labels: IntArray
) -> Callable[[Network], Predictions]:
    def evaluate(network: Network) -> Predictions:
        return Predictions(
            split=split,
            ids=tuple(str(i) for i in range(len(labels))),
            heads={"class": head_of(labels, network.logits(images)["class"])},
        )

    return evaluate


def new_learner(learning_rate: float = 0.1) -> RegressionLearner:
    shapes = {"logits.weight": (SIDE * SIDE, CLASSES), "logits.bias": (CLASSES,)}
    rng = generator(0, "weights")
    return RegressionLearner(
        network=Regression({name: 0.1 * rng.normal(size=shape) for name, shape in shapes.items()}),
        learning_rate=learning_rate,
        velocity={name: np.zeros(shape) for name, shape in shapes.items()},
    )


@pytest.fixture
def train() -> Shuffled:
    """Five steps of eight images."""
    return Shuffled(*draw_blobs(40, "train"))


@pytest.fixture
def validation() -> Callable[[Network], Predictions]:
    return evaluation("validation", *draw_blobs(60, "validation"))
