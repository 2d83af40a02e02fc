"""Predictions with known statistics, for every test of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pytest

from convoscope.arrays import generator
from convoscope.metrics.predictions import HeadPredictions, Output, Predictions


class MakeHead(Protocol):
    """N images of K classes, right about as often as ``skill`` says; ``unknown`` labels are -1."""

    def __call__(
        self,
        images: int = 200,
        classes: int = 5,
        *,
        skill: float = 2.0,
        output: Output = "softmax",
        unknown: int = 0,
        seed: int = 0,
    ) -> HeadPredictions: ...


class MakePredictions(Protocol):
    """One split of these heads, with ids ``image-0`` and so on."""

    def __call__(self, **heads: HeadPredictions) -> Predictions: ...


@pytest.fixture
def make_head() -> MakeHead:
    return draw_head


@pytest.fixture
def make_predictions() -> MakePredictions:
    def make(**heads: HeadPredictions) -> Predictions:
        return together(heads)

    return make


def draw_head(
    images: int = 200,
    classes: int = 5,
    *,
    skill: float = 2.0,
    output: Output = "softmax",
    unknown: int = 0,
    seed: int = 0,
) -> HeadPredictions:
    rng = generator(seed, "head")
    labels = rng.integers(0, classes, images)
    units = 1 if output == "sigmoid" and classes == 2 else classes
    logits = rng.normal(size=(images, units))
    if units == 1:
        logits[:, 0] += skill * (2 * labels - 1)
    else:
        logits[np.arange(images), labels] += skill
    labels[rng.permutation(images)[:unknown]] = -1
    return HeadPredictions(
        class_names=tuple(f"class {i}" for i in range(classes)),
        labels=labels,
        logits=logits.astype(np.float32),
        output=output,
    )


def together(heads: Mapping[str, HeadPredictions]) -> Predictions:
    images = len(next(iter(heads.values())).labels)
    return Predictions(
        split="test", ids=tuple(f"image-{i}" for i in range(images)), heads=dict(heads)
    )
