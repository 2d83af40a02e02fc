"""Whether one way of training is better than another: on other images, and with other seeds.

Each way was trained with several seeds and asked about the same images. Two kinds of luck are in
the difference of their means: which images were asked, and how training went. Their variances are
added up, so that the interval speaks of other images *and* other seeds.

The luck of the images is found per image, which both ways answered; that of training from how far
the seeds of one way lie apart, pooled over all ways: three seeds say little, three of each of
sixteen ways say enough, as in an analysis of variance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from convoscope.arrays import FloatArray
from convoscope.errors import DataError
from convoscope.metrics.intervals import LEVEL, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedLuck:
    """The standard deviation over seeds of a figure, pooled; ``degrees`` of freedom it rests on."""

    sd: float
    degrees: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The second's mean less the first's, over ``images`` and ``seeds`` of each.

    ``interval`` allows for other images and, where ``knows_seeds``, for other seeds too.
    ``p_value``: how probable a difference at least as large is if there were none.
    """

    value: float
    interval: Interval
    p_value: float
    images: int
    seeds: int
    knows_seeds: bool

    def to_json(self) -> dict[str, Any]:
        """Its fields; the interval as ``{"low", "high"}``."""
        return asdict(self) | {"interval": self.interval._asdict()}


def seed_luck(figures: Sequence[Sequence[float]]) -> SeedLuck | None:
    """From the figures of each way's seeds; ``None`` where no way has two of them.

    Source: Fisher 1925, *Statistical Methods for Research Workers*, chapter 7.
    """
    several = [values for values in figures if len(values) > 1]
    degrees = sum(len(values) - 1 for values in several)
    if not degrees:
        return None
    squares = sum(float(np.var(values, ddof=1)) * (len(values) - 1) for values in several)
    return SeedLuck(sd=math.sqrt(squares / degrees), degrees=degrees)


def paired_difference(
    first: FloatArray,
    second: FloatArray,
    *,
    luck: SeedLuck | None,
    is_share: bool,
    level: float = LEVEL,
) -> Paired:
    """The difference of two means over the same images.

    ``first`` (S, N) and ``second`` (S', N) hold a number per seed and image: a loss, or with
    ``is_share`` 0 or 1. Student's distribution, with Welch's degrees of freedom for the two
    variances; of shares both interval and p-value with Edwards' correction for their steps, so that
    they never disagree.

    Source: Welch 1947, https://doi.org/10.2307/2332510; Edwards 1948,
    https://doi.org/10.1007/BF02289261.

    Raises:
        DataError: if they speak of different numbers of images, or of fewer than two.
    """
    images = first.shape[1]
    if second.shape[1] != images or images < 2:
        raise DataError(
            "a paired difference needs the same images for both, two at least, got "
            f"{images} and {second.shape[1]}: test both on the same split"
        )
    gain = second.mean(axis=0, dtype=np.float64) - first.mean(axis=0, dtype=np.float64)
    value = float(gain.mean())
    of_images = float(gain.var(ddof=1)) / images
    shares = 1 / len(first) + 1 / len(second)
    of_seeds = luck.sd**2 * shares if luck is not None else 0.0
    error = math.sqrt(of_images + of_seeds)
    degrees = _welch(of_images, images - 1, of_seeds, luck.degrees if luck else 1)
    step = 1 / (images * max(len(first), len(second))) if is_share and error else 0.0
    reach = float(stats.t.ppf(0.5 + level / 2, degrees)) * error + step
    return Paired(
        value=value,
        interval=Interval(value - reach, value + reach),
        p_value=_p_value(max(0.0, abs(value) - step), error, degrees),
        images=images,
        seeds=min(len(first), len(second)),
        knows_seeds=luck is not None,
    )


def _welch(first: float, first_degrees: int, second: float, second_degrees: int) -> float:
    total = first + second
    if not total:
        return float(first_degrees)
    return float(total**2 / (first**2 / first_degrees + second**2 / second_degrees))


def _p_value(distance: float, error: float, degrees: float) -> float:
    if not error:
        return 0.0 if distance else 1.0
    return float(2 * stats.t.sf(distance / error, degrees))
