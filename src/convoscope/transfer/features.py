"""Features computed once: what a frozen front gives for each image, kept in a memory map.

An entry of the cache is a folder named by the hash of all that decides its numbers: the front's
layers, weights and preprocessing, the engine and its precision, the decoded pixels, and the view.
A process killed halfway goes on where it was; heads, seeds, folds and whatever else is built on
the same front share what is there.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from convoscope import engines
from convoscope.architecture.files import to_yaml
from convoscope.architecture.graph import Architecture, Head, trunk_shape
from convoscope.architecture.layers import Flatten
from convoscope.architecture.protocol import Shape
from convoscope.arrays import ByteArray, FloatArray, IntArray, generator
from convoscope.data.augment import Policy, augment, find_policy
from convoscope.data.cache import cache_folder
from convoscope.data.preprocessing import Preprocessing
from convoscope.disk import alone, storing
from convoscope.errors import SettingsError, WeightsError
from convoscope.network import Engine, Network, Precision
from convoscope.transfer.freezing import weights_hash
from convoscope.transfer.kept_maps import KeptMaps, Kind, NotExactEnoughError

VERSION = 1
"""To be raised with every change of what is kept for the same images and weights."""

BLOCK = 16
"""Images per pass. Blocks begin at multiples of it whatever is asked for, so that an image's
features never depend on which others were wanted."""

EXACT_UP_TO = 2**30
"""Bytes of float32 up to which a view is kept exactly. A larger one is kept as float16, where
that changes no block by more than a thousandth."""

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """In how many versions each training image is seen: the plain one, then ``count - 1`` that
    ``policy`` changes. The changes depend on the view and the image's row alone, not on a run's
    seed, so that all runs share them.

    Raises:
        SettingsError: if there is no view, or a policy without a view to change or the reverse.
        UnknownNameError: if there is no such policy.
    """

    count: int = 1
    policy: str = "none"

    def __post_init__(self) -> None:
        if find_policy(self.policy).mixes:
            raise SettingsError(
                f"augment {self.policy!r}: a frozen backbone sees one image at a time, before "
                "anything is learnt, this mixes two: choose another, such as 'photos'"
            )
        if self.count < 1:
            raise SettingsError(f"views must be at least 1, got {self.count}")
        if self.count == 1 and self.policy != "none":
            raise SettingsError(
                f"augment {self.policy!r}: a frozen backbone computes an image once for each of "
                "its views, got 1 view: add --views 4 for three changed versions beside the "
                "plain one, or leave --augment out"
            )
        if self.count > 1 and self.policy == "none":
            raise SettingsError(
                f"views: {self.count} views of an image must differ, got augment 'none': add "
                "--augment flip, or leave --views out"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """What ``layer`` gives for N images: per view a read-only memory map (N, h, w, C).

    The first view is the plain one and holds every image; the others hold the rows that were
    asked for. ``rounding`` is the largest relative error that keeping a block as float16 made,
    0 where all is float32. ``seconds`` is how long computing them took, now or before; NaN where
    that is not known.
    """

    layer: str
    views: tuple[FloatArray, ...]
    rounding: float
    seconds: float = math.nan

    @property
    def plain(self) -> FloatArray:
        """The features (N, h, w, C) of the images as they are."""
        return self.views[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Front:
    """All that a frozen front is; it becomes a network only where features are missing.

    ``architecture`` is a trunk without heads, as :func:`convoscope.architecture.cutting.front`
    gives it, ``parameters`` are all of its own and no others.
    """

    architecture: Architecture
    parameters: Mapping[str, FloatArray]
    preprocessing: Preprocessing
    engine: Engine = "torch"
    device: str = "auto"
    precision: Precision = "float32"

    @property
    def layer(self) -> str:
        """The layer whose output the features are."""
        return self.architecture.layers[-1].name

    @property
    def shape(self) -> Shape:
        """Of an image's features as they are kept: (h, w, C), a vector (K,) as (1, 1, K)."""
        channels, *size = trunk_shape(self.architecture)
        return (*(size or (1, 1)), channels)

    def key(self) -> str:
        """All that decides what it gives for an image, as text."""
        return json.dumps(
            [
                VERSION,
                to_yaml(self.architecture),
                asdict(self.preprocessing),
                self.engine,
                self.precision,
                weights_hash(self.parameters),
            ]
        )

    def build(self) -> Network:
        """The front with a head that only flattens, whose logits are the features (N, C h w)."""
        is_vector = len(trunk_shape(self.architecture)) == 1
        flatten = () if is_vector else (Flatten(f"{self.layer}-flat"),)
        return engines.build(
            replace(self.architecture, heads=(Head(layers=flatten),)),
            preprocessing=self.preprocessing,
            engine=self.engine,
            parameters=self.parameters,
            device=self.device,
            precision=self.precision,
        )


def frozen_features(
    front: Front,
    images: ByteArray,
    *,
    views: Views | None = None,
    rows: IntArray | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Features:
    """What the front gives for ``images`` (N, H, W, C) uint8, from the cache if it is there.

    ``rows`` (M,) are the images whose changed views are wanted, by default all of them.
    ``progress(done, total)`` counts images over all views, and says first what was there already.

    Raises:
        WeightsError: if the features of an image are no finite numbers.
        StorageError: if the cache's disk is full or not writable.
    """
    asked = views or Views()
    place = _Place(
        folder=(cache_dir or cache_folder()) / "features",
        front=front.key(),
        pixels=hashlib.sha256(np.ascontiguousarray(images).data).hexdigest(),
    )
    every = _blocks(np.arange(len(images)))
    changed = every if rows is None else _blocks(rows)
    wanted = [every, *[changed] * (asked.count - 1)]
    told = _Told(len(images), wanted, progress)
    work = _Work(front, images, asked.policy)
    kept = [_filled(work, view, blocks, place, told) for view, blocks in enumerate(wanted)]
    return Features(
        layer=front.layer,
        views=tuple(each.maps() for each in kept),
        rounding=max(each.rounding() for each in kept),
        seconds=sum(each.seconds() for each in kept),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in the cache the features of these pixels by this front are."""

    folder: Path
    front: str
    pixels: str

    def of(self, view: int, policy: str) -> Path:
        """The folder of a view; the plain one is the same whatever the policy."""
        how = [view, asdict(find_policy(policy))] if view else []
        words = json.dumps([self.front, self.pixels, BLOCK, how])
        return self.folder / hashlib.sha256(words.encode()).hexdigest()[:40]


class _Told:
    """Adds up over all views how many images are done."""

    def __init__(
        self, images: int, blocks: Sequence[Sequence[int]], progress: Progress | None
    ) -> None:
        self._images, self._progress, self._done = images, progress, 0
        self._total = sum(self._count(each) for each in blocks)

    def done(self, blocks: Sequence[int]) -> None:
        """Those blocks are there now."""
        self._done += self._count(blocks)
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)

    def _count(self, blocks: Sequence[int]) -> int:
        return sum(min(BLOCK, self._images - block * BLOCK) for block in blocks)


@dataclass(slots=True)
class _Work:
    """Computes the features of images; the network is made when it is first needed."""

    front: Front
    images: ByteArray
    policy: str
    _network: Network | None = None

    def __call__(self, rows: range, view: int) -> FloatArray:
        """Of those rows as that view shows them: (n, h, w, C)."""
        if self._network is None:
            self._network = self.front.build()
        seen = _seen(self.images, rows, view, find_policy(self.policy))
        (flat,) = self._network.logits(seen.transpose(0, 3, 1, 2)).values()
        height, width, channels = self.front.shape
        values = flat.reshape(len(rows), channels, height, width).transpose(0, 2, 3, 1)
        _check_finite(values, rows)
        return values


def _filled(work: _Work, view: int, blocks: Sequence[int], place: _Place, told: _Told) -> KeptMaps:
    """The view's maps, with those blocks done."""
    images, shape = len(work.images), work.front.shape
    folder = place.of(view, work.policy)
    with storing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    is_large = 4 * images * math.prod(shape) > EXACT_UP_TO
    kinds: tuple[Kind, ...] = ("float16", "float32") if is_large else ("float32",)
    for kind in kinds:
        kept = KeptMaps(
            folder=folder.with_suffix(f".{kind}"),
            images=images,
            shape=shape,
            block=BLOCK,
            kind=kind,
        )
        # Of several processes that want the same features one computes them, the others wait.
        with suppress(NotExactEnoughError), alone(kept.folder):
            _fill(kept, view, blocks, work, told)
            return kept
    raise AssertionError("float32 holds every float32")


def _fill(kept: KeptMaps, view: int, blocks: Sequence[int], work: _Work, told: _Told) -> None:
    kept.prepare()
    missing = kept.missing(blocks)
    told.done([block for block in blocks if block not in set(missing)])
    for block in missing:
        rows = range(block * BLOCK, min((block + 1) * BLOCK, kept.images))
        began = time.perf_counter()
        values = work(rows, view)
        kept.write(block, values, time.perf_counter() - began)
        told.done([block])


def _blocks(rows: IntArray) -> list[int]:
    found: list[int] = np.unique(rows // BLOCK).tolist()
    return found


def _seen(images: ByteArray, rows: range, view: int, policy: Policy) -> ByteArray:
    """The rows (n, H, W, C) as that view shows them."""
    plain = np.asarray(images[rows.start : rows.stop])
    if view == 0:
        return plain
    changed = [
        augment(image, policy, generator(0, "view", view, row))
        for row, image in zip(rows, plain, strict=True)
    ]
    return np.stack(changed)


def _check_finite(values: FloatArray, rows: range) -> None:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise WeightsError(
            "frozen features must be finite numbers, got NaN or infinity for image "
            f"{rows[int(bad.argmax())]}: the backbone's weights are damaged, install them again"
        )
