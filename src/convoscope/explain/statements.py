"""Statements about a network: what its layers do, as numbers that can turn out otherwise.

Four observations that are often told of convolutional networks, each as a figure with its
interval, what chance would give, and a sentence: first-layer filters prefer a direction; later
layers tell the classes apart better; pooling makes a layer care less where a thing is; and the
evidence lies on the thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.explain.scores.board import mean_figure
from convoscope.metrics.intervals import Figure, proportion
from convoscope.network import Network

ORIENTED: Final = 0.95
"""A filter prefers a direction if it does so more than this share of random filters would."""

_PADDED = 33
_RANDOM_FILTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """How alike a layer's output is when the image moves by so many pixels."""

    pixels: int
    figure: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A figure with its interval over ``count`` filters or images, and what it means.

    ``chance`` is what would be found where there is nothing to find, ``None`` where that has no
    meaning. ``pixels`` is how far images were shifted for the figure, 0 where they were not;
    ``shifts`` are the figures for that and for other distances, nearest first. ``step`` is how many
    pixels of the image lie between two cells of the layer, ``None`` where it has no cells or they
    are not known.
    """

    about: str
    layer: str
    figure: Figure
    chance: float | None
    count: int
    sentence: str
    pixels: int = 0
    shifts: tuple[Shifted, ...] = ()
    step: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "shifts": [asdict(each) for each in self.shifts]}


class Orientations(NamedTuple):
    """Per filter (F,): how much of its energy lies in one direction, 0 to 1, and which: the angle
    in radians, 0 to pi, in which its values change most, from the x axis towards the y axis.
    """

    coherence: FloatArray
    angle: FloatArray


def orientations(filters: FloatArray) -> Orientations:
    """The dominant direction of filters (F, C, k, k), the energy of all channels together.

    The structure tensor of the whole filter, as moments of its power spectrum: by Parseval's
    theorem the mean outer product of the gradient of the filter, interpolated without loss.

    Source: Bigun and Granlund 1987, *Optimal orientation detection of linear symmetry*, ICCV.
    """
    power = np.abs(np.fft.fft2(filters, s=(_PADDED, _PADDED))) ** 2
    energy = power.sum(axis=1)  # (F, v, u)
    v, u = np.meshgrid(*[np.fft.fftfreq(_PADDED)] * 2, indexing="ij")
    xx, yy, xy = ((energy * moment).sum(axis=(1, 2)) for moment in (u * u, v * v, u * v))
    total = xx + yy
    span = np.hypot(xx - yy, 2 * xy)
    coherence = np.divide(span, total, out=np.zeros_like(total), where=total > 0)
    return Orientations(coherence, 0.5 * np.arctan2(2 * xy, xx - yy) % np.pi)


def oriented_filters(layer: str, filters: FloatArray) -> Statement:
    """Which share of the filters (F, C, k, k) prefers a direction more than 19 of 20 random filters
    of the same shape do, with Wilson's interval; by chance it would be 1 of 20.
    """
    count, chance = len(filters), 1 - ORIENTED
    shape = (_RANDOM_FILTERS, *filters.shape[1:])
    random = orientations(generator(0, "random filters").normal(size=shape)).coherence
    least = np.quantile(random, ORIENTED)
    oriented = int((orientations(filters).coherence > least).sum())
    figure = proportion(oriented, count)
    return Statement(
        about="direction",
        layer=layer,
        figure=figure,
        chance=chance,
        count=count,
        sentence=f"{oriented} of {count} filters of {layer} prefer one direction, as edge "
        f"detectors do ({_between(figure)}); of random filters {chance:.0%} do so as clearly, so "
        f"learning has {_beyond(figure, chance, 'made them so', 'not visibly made them so')}.",
    )


def nearest_centroids(features: FloatArray, labels: IntArray) -> IntArray:
    """For each image the class (N,) whose mean of ``features`` (N, D) is nearest to its own, itself
    left out of its class's mean; -1 for an image that is the only one of its class.

    Ties go to the first class.
    """
    classes, own = np.unique(labels, return_inverse=True)
    values = np.asarray(features, np.float64)
    member = (own[:, None] == np.arange(len(classes))).astype(np.float64)
    counts = member.sum(axis=0)
    means = (member.T @ values) / counts[:, None]
    distances = np.stack([((values - mean) ** 2).sum(axis=1) for mean in means], axis=1)
    alone = counts[own] == 1
    # Without the image its class's mean moves away from it, in proportion.
    others = np.maximum(counts[own] - 1, 1)
    rows = np.arange(len(values))
    distances[rows, own] *= (counts[own] / others) ** 2
    return np.where(alone, -1, classes[distances.argmin(axis=1)]).astype(np.int64)


def separable(layer: str, features: FloatArray, labels: IntArray) -> Statement:
    """How well the classes can be told by a layer's ``features`` (N, D) alone: the share of images
    that are nearest to the mean of their own class, with Wilson's interval. Images that are the
    only ones of their class do not count.
    """
    said = nearest_centroids(features, labels)
    known = said >= 0
    right, count = int((said == labels)[known].sum()), int(known.sum())
    figure, classes = proportion(right, count), len(np.unique(labels[known]))
    chance = 1 / classes if classes else None
    words = "" if chance is None else f"; guessing gives {chance:.0%}"
    return Statement(
        about="separability",
        layer=layer,
        figure=figure,
        chance=chance,
        count=count,
        sentence=f"By what {layer} says on average over an image alone, {right} of {count} images "
        f"lie nearest to their own class ({_between(figure)}){words}.",
    )


def shifted(images: Array, down: int, right: int) -> Array:
    """Images (N, C, H, W) moved by so many pixels; their border goes on where they left."""
    height, width = images.shape[2:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    moved: Array = images[:, :, rows][:, :, :, columns]
    return moved


def shift_similarities(
    network: Network, images: Array, layers: Sequence[str], distances: Sequence[int]
) -> Mapping[str, FloatArray]:
    """Per layer how alike its output is when an image is moved by so many pixels: (D, N), the
    cosine with that of the image in place, cell by cell, the mean over the four directions. 1 where
    both are nothing.
    """
    place = _outputs(network, images, layers)
    found = {name: np.zeros((len(distances), len(images))) for name in place}
    for row, pixels in enumerate(distances):
        for down, right in ((pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)):
            moved = _outputs(network, shifted(images, down, right), layers)
            for name, values in moved.items():
                found[name][row] += _cosine(place[name], values) / 4
    return found


def neighbour_similarities(
    network: Network, images: Array, layers: Sequence[str]
) -> Mapping[str, FloatArray]:
    """Per layer how alike its output is to that for the next image: the cosine (N,)."""
    place = _outputs(network, images, layers)
    return {name: _cosine(values, np.roll(values, -1, axis=0)) for name, values in place.items()}


def shift_tolerant(
    layer: str,
    similarities: FloatArray,
    distances: Sequence[int],
    *,
    others: float = 0.0,
    step: int | None = None,
) -> Statement:
    """How much of a layer's output survives when the image moves by the middle one of D distances
    in pixels: the mean of its similarities (D, N), with a bootstrap interval over images; and the
    same for all of them. ``others`` is the similarity of different images: maps that are never 0
    are alike whatever is seen.
    """
    shifts = tuple(
        Shifted(pixels=pixels, figure=mean_figure(row))
        for pixels, row in zip(distances, similarities, strict=True)
    )
    middle = shifts[len(shifts) // 2]
    pixels, figure = middle.pixels, middle.figure
    value = 0.0 if figure.value is None else figure.value
    kept = (value - others) / (1 - others) if others < 1 else 1.0
    how = "hardly notices" if kept >= 0.95 else "partly notices" if kept >= 0.7 else "follows"
    rest = [s for s in (shifts[0], shifts[-1]) if s.pixels != pixels]
    words = " and ".join(f"{s.figure.value or 0.0:.2f} at {s.pixels}" for s in rest)
    return Statement(
        about="shift",
        layer=layer,
        figure=figure,
        chance=others,
        count=similarities.shape[1],
        pixels=pixels,
        shifts=shifts,
        step=step,
        sentence=f"When the image moves by {pixels} pixel{'s' * (pixels != 1)}, {layer} {how} it: "
        f"its output keeps a similarity of {value:.2f} to what it was, where 1 is the same "
        f"and another image has {others:.2f} ({_between(figure, as_share=False)})"
        f"{'; ' * bool(words)}{words}.",
    )


def on_the_thing(method: str, masses: FloatArray, areas: FloatArray) -> Statement:
    """Which share of an explanation's mass lies on the marked thing: the mean of ``masses`` (N,),
    with a bootstrap interval; chance is the mean share of the image that the thing covers (N,).
    """
    known = np.isfinite(masses)
    figure, chance = mean_figure(masses[known]), float(areas[known].mean()) if known.any() else None
    words = "" if chance is None else (
        f", which covers {chance:.0%} of the image: the explanation points at it "
        f"{_beyond(figure, chance, 'more than chance would', 'no more than chance would')}"
    )  # fmt: skip
    return Statement(
        about="thing",
        layer=method,
        figure=figure,
        chance=chance,
        count=int(known.sum()),
        sentence=f"{figure.value or 0:.0%} of what {method} shows lies on the thing "
        f"({_between(figure)}){words}.",
    )


def _outputs(network: Network, images: Array, layers: Sequence[str]) -> dict[str, FloatArray]:
    with network.trace(images, layers=layers, wrt=()) as trace:
        found = {name: trace.activations[name].reshape(len(images), -1) for name in layers}
        return {name: np.asarray(values, np.float64) for name, values in found.items()}


def _cosine(one: FloatArray, other: FloatArray) -> FloatArray:
    """Of rows (N, D) with rows; 1 where both are zero, 0 where one is."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    both = ~one.any(axis=1) & ~other.any(axis=1)
    cosine = np.divide(
        (one * other).sum(axis=1), lengths, out=np.zeros(len(one)), where=lengths > 0
    )
    found: FloatArray = np.where(both, 1.0, np.minimum(cosine, 1.0))
    return found


def _between(figure: Figure, *, as_share: bool = True) -> str:
    if figure.low is None or figure.high is None:
        return "no interval"
    low, high = (f"{end:.0%}" if as_share else f"{end:.2f}" for end in (figure.low, figure.high))
    return f"95 % interval {low} to {high}"


def _beyond(figure: Figure, chance: float, words: str, otherwise: str) -> str:
    return words if figure.low is not None and figure.low > chance else otherwise
