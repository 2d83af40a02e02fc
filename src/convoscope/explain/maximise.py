"""Activation maximisation: the picture that excites a filter, a neuron or a class most.

From a blank picture, gradient ascent changes every pixel so that the target rises::

    found = maximise(network, Channel("conv4", (0, 1, 2, 3)))     # four pictures at once
    found.pictures                                                # (4, C, H, W) uint8

``RECIPES["plain"]`` is the ascent as textbooks have it; ``RECIPES["readable"]`` draws what people
can read. Every target is climbed in a picture of its own; a step is one pass for all of them.

Source: Erhan, Bengio, Courville and Vincent 2009, "Visualizing higher-layer features of a deep
network", Université de Montréal, technical report 1341; Simonyan, Vedaldi and Zisserman 2014,
https://arxiv.org/abs/1312.6034, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from convoscope.architecture.graph import unknown_layer
from convoscope.arrays import Array, ByteArray, FloatArray, generator
from convoscope.errors import ExplainError, SettingsError, unknown_name
from convoscope.explain.maximise_canvas import (
    BLANK_SPREAD,
    Canvas,
    Frequencies,
    Pixels,
)
from convoscope.explain.maximise_targets import (
    at_layer,
    count,
    excitement,
    part,
    value_of,
    words_of,
)
from convoscope.explain.maximise_views import sampling
from convoscope.network import ClassLogit, Network, Target, Trace

Start: TypeAlias = Literal["blank", "noise"]
Progress: TypeAlias = Callable[[int, int], None]

BATCH: Final = 16
"""Pictures per pass unless told otherwise."""

MOST_STEPS: Final = 10_000

_NOISE, _WAVES = 0.1, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a picture is climbed to.

    ``paints`` pixels or frequencies, ``steps`` times by ``rate``. ``jitter`` (a share of the
    picture's side) and ``zoom`` (a share of its size) are how far each step's view of it may be
    shifted and enlarged. ``blur`` is the standard deviation, as a share of the side, of the
    Gaussian through which the first step sees it; it shrinks to nothing over the first half of the
    steps, so that large shapes come before small ones.

    Raises:
        SettingsError: if a number is out of its range.
    """

    title: str
    sentence: str
    paints: Literal["pixels", "frequencies"]
    steps: int
    rate: float
    jitter: float = 0.0
    zoom: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MOST_STEPS:
            raise SettingsError(
                f"steps must lie in 1 to {MOST_STEPS:,}, got {self.steps}: 128 is usual"
            )
        if not self.rate > 0:
            raise SettingsError(f"rate must be above 0, got {self.rate}: 0.05 is usual")
        for name, value in (("jitter", self.jitter), ("zoom", self.zoom), ("blur", self.blur)):
            if not 0 <= value <= 0.5:
                raise SettingsError(
                    f"{name} is a share of the picture's side and must lie in 0 to 0.5, got {value}"
                )

    def blur_at(self, step: int, side: int) -> float:
        """The blur of a step, counted from 0, in pixels of a picture of that side."""
        left = max(0.0, 1 - 2 * step / self.steps)
        return self.blur * side * left


RECIPES: Final[Mapping[str, Recipe]] = {
    "readable": Recipe(
        title="readable",
        sentence="Gradient ascent in frequencies and decorrelated colours, coarse shapes first, on "
        "a picture that is shifted and enlarged a little at every step.",
        paints="frequencies",
        steps=128,
        rate=0.05,
        jitter=0.06,
        zoom=0.1,
        blur=0.03,
    ),
    "plain": Recipe(
        title="plain",
        sentence="Gradient ascent on the pixels of a gray picture, each step the gradient divided "
        "by its root mean square.",
        paints="pixels",
        steps=60,
        rate=0.01,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Favourites:
    """T pictures and what they do to the target they were made for.

    ``pictures`` (T, C, H, W) uint8 in the order of the target's indices; ``started`` and
    ``reached`` (T,) are the target's value for the blank picture and for this one, exactly as
    given here; ``peaks`` (T,) the highest cell of the channel's map. ``history`` (steps, T) is the
    value at each step, in the view of that step. Where ``is_silent`` (T,), the target had no
    gradient at any step, and the picture is the one it started from.
    """

    target: Target
    pictures: ByteArray
    started: FloatArray
    reached: FloatArray
    peaks: FloatArray
    history: FloatArray
    is_silent: Array

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """The same network, where ``layer`` gives what the target's layer does before its own ReLU."""

    network: Network
    layer: str


def maximise(
    network: Network,
    target: Target,
    *,
    recipe: Recipe = RECIPES["readable"],
    start: Start = "blank",
    seed: int = 0,
    batch: int = BATCH,
    guide: Guide | None = None,
    progress: Progress | None = None,
) -> Favourites:
    """The pictures that excite each index of ``target`` most, ``batch`` of them at once.

    The target's indices are one, or a tuple with one per picture. The same seed and batch give the
    same bytes. ``progress(done, total)`` counts steps over all batches.

    A filter behind a ReLU that is silent has no gradient. While it is, what is before that ReLU is
    climbed, which the ``guide`` gives, as Olah et al. 2017 do; without one, or where that has no
    gradient either, gradients pass every ReLU as in a deconvnet.

    Raises:
        UnknownNameError: if the target's layer or head is not in the network; names the nearest.
        SettingsError: if an index is out of range, or ``batch`` below 1.
        ExplainError: if activations or gradients are not finite numbers.
    """
    if batch < 1:
        raise SettingsError(f"batch must be at least 1 picture, got {batch}: 16 is usual")
    _check_known(network, target)
    total = count(target)
    starts = range(0, total, batch)
    found = []
    for place, first in enumerate(starts):

        def step_done(step: int, place: int = place) -> None:
            if progress is not None:
                progress(place * recipe.steps + step, len(starts) * recipe.steps)

        wanted = part(target, range(first, min(first + batch, total)))
        found.append(_ascended(network, guide, wanted, recipe, start, seed, step_done))
    return _joined(target, found)


def _ascended(
    network: Network,
    guide: Guide | None,
    target: Target,
    recipe: Recipe,
    start: Start,
    seed: int,
    step_done: Callable[[int], None],
) -> Favourites:
    words = words_of(target)
    _, height, width = shape = network.architecture.input_shape
    rngs = [generator(seed, "maximise", *each) for each in words]
    canvas = _canvas(recipe, shape, rngs, start)
    blank = _as_bytes(canvas.pictures())
    jitter, side = round(recipe.jitter * min(height, width)), max(height, width)
    has_moved, history = np.zeros(len(words), dtype=bool), []
    for step in range(recipe.steps):
        seen = sampling(height, width, rngs, jitter=jitter, zoom=recipe.zoom)
        pictures = canvas.pictures(recipe.blur_at(step, side))
        view = seen.see(pictures)
        with _traced(network, target, view, wrt=("images",)) as trace:
            gradient, is_felt = _direction(trace, target, _Past(guide, view))
            history.append(value_of(trace, target))
        _check_finite(target, step, history[-1], gradient)
        has_moved |= is_felt
        canvas.climb(seen.back(gradient), recipe.rate)
        step_done(step + 1)
    final = np.where(has_moved[:, None, None, None], _as_bytes(canvas.pictures()), blank)
    started, _ = _excited(network, target, blank)
    reached, peaks = _excited(network, target, final)
    return Favourites(
        target=target,
        pictures=final,
        started=started,
        reached=reached,
        peaks=peaks,
        history=np.stack(history),
        is_silent=~has_moved,
    )


def _canvas(
    recipe: Recipe, shape: tuple[int, ...], rngs: Sequence[np.random.Generator], start: Start
) -> Canvas:
    if start not in ("blank", "noise"):
        raise unknown_name("start", start, ("blank", "noise"))
    if recipe.paints == "frequencies":
        return Frequencies(shape, rngs, spread=_WAVES if start == "noise" else BLANK_SPREAD)
    return Pixels(shape, rngs, noise=_NOISE if start == "noise" else 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """A way past the ReLU that holds a target down, for pictures ``view`` (T, C, H, W)."""

    guide: Guide | None
    view: FloatArray

    def gradient(self, target: Target, places: Sequence[int]) -> FloatArray:
        """Of those pictures, zeros where the guide knows no way."""
        chosen = self.view[list(places)]
        if self.guide is None or isinstance(target, ClassLogit):
            return np.zeros_like(chosen)
        before = at_layer(part(target, places), self.guide.layer)
        with _traced(self.guide.network, before, chosen, wrt=("images",)) as trace:
            (gradient,) = trace.gradient([before])
        climbed: FloatArray = gradient
        return climbed


def _direction(trace: Trace, target: Target, past: _Past) -> tuple[FloatArray, Array]:
    """The gradient (T, C, H, W) of each picture's target, and which of them (T,) have one of their
    own; the others are shown a way past the ReLUs that hold them, if there are any.
    """
    (gradient,) = trace.gradient([target])
    is_felt: Array = gradient.any(axis=(1, 2, 3))
    silent = np.flatnonzero(~is_felt)
    if len(silent):
        gradient[silent] = past.gradient(target, silent.tolist())
        if trace.rectifies and not gradient[silent].any(axis=(1, 2, 3)).all():
            (around,) = trace.gradient([target], relu_rule="deconvnet")
            is_lost = ~gradient.any(axis=(1, 2, 3))
            gradient = np.where(is_lost[:, None, None, None], around, gradient)
    return gradient, is_felt


def _excited(
    network: Network, target: Target, pictures: ByteArray
) -> tuple[FloatArray, FloatArray]:
    """The target's value (T,) and its highest cell (T,)."""
    with _traced(network, target, pictures, wrt=()) as trace:
        return value_of(trace, target), excitement(trace, target)


def _traced(network: Network, target: Target, pictures: Array, *, wrt: tuple[str, ...]) -> Trace:
    """A pass that goes no further than the target."""
    if isinstance(target, ClassLogit):
        return network.trace(pictures, wrt=wrt)
    return network.trace(pictures, layers=[target.layer], upto=target.layer, wrt=wrt)


def _check_known(network: Network, target: Target) -> None:
    if isinstance(target, ClassLogit):
        heads = [head.name for head in network.architecture.heads]
        if target.head not in heads:
            raise unknown_name("head", target.head, heads)
    elif target.layer not in network.layer_names:
        raise unknown_layer(target.layer, network.layer_names)


def _check_finite(target: Target, step: int, values: FloatArray, gradient: FloatArray) -> None:
    if not (np.isfinite(values).all() and np.isfinite(gradient).all()):
        where = target.head if isinstance(target, ClassLogit) else target.layer
        raise ExplainError(
            f"{where!r}: gradient ascent needs finite activations and gradients, got others at "
            f"step {step + 1}: look at the network's weights, or compute in float32"
        )


def _as_bytes(pictures: FloatArray) -> ByteArray:
    return np.round(255 * pictures).astype(np.uint8)


def _joined(target: Target, found: Sequence[Favourites]) -> Favourites:
    return Favourites(
        target=target,
        pictures=np.concatenate([each.pictures for each in found]),
        started=np.concatenate([each.started for each in found]),
        reached=np.concatenate([each.reached for each in found]),
        peaks=np.concatenate([each.peaks for each in found]),
        history=np.concatenate([each.history for each in found], axis=1),
        is_silent=np.concatenate([each.is_silent for each in found]),
    )
