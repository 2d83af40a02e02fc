"""How alike two explanations are: in the order of their pixels, and to the eye."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.stats import rankdata

from convoscope.arrays import FloatArray
from convoscope.explain.scores.drops import unit

_WINDOW = 7
_K1, _K2 = 0.01, 0.03


def rank_correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Spearman's, between explanations (N, ...) of N images, in [-1, 1], (N,).

    All values of an explanation count, with their signs. Where one is the same everywhere there is
    no order: 1 if both are, else 0.

    Source: Spearman 1904, https://doi.org/10.2307/1412159; equal values have their mean rank.
    """
    return correlation(order(first), order(second))


def order(values: FloatArray) -> FloatArray:
    """The rank of every value among its explanation's, less their mean, (N, P)."""
    flat = np.nan_to_num(values.reshape(len(values), -1))
    centred: FloatArray = rankdata(flat, axis=1) - (flat.shape[1] + 1) / 2
    return centred


def correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """:func:`rank_correlation` of explanations whose :func:`order` is known."""
    product = (first * second).sum(axis=1)
    lengths = np.sqrt((first * first).sum(axis=1) * (second * second).sum(axis=1))
    both_flat = ~first.any(axis=1) & ~second.any(axis=1)
    safe = np.where(lengths > 0, lengths, 1)
    found: FloatArray = np.where(both_flat, 1.0, np.where(lengths > 0, product / safe, 0.0))
    return np.clip(found, -1, 1)


def ssim(first: FloatArray, second: FloatArray) -> FloatArray:
    """The structural similarity of explanations (..., H, W), each scaled from 0 to 1.

    The mean over all windows of 7 x 7 pixels that fit, or of as large ones as the image has.

    Source: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, equation 13, with uniform
    windows and the sample covariance.
    """
    a, b = (unit(each).astype(np.float64) for each in (first, second))
    side = min(_WINDOW, *a.shape[-2:])
    mean_a, mean_b = _windows(a, side), _windows(b, side)
    cells = side * side
    sample = cells / (cells - 1) if cells > 1 else 1.0
    var_a = np.maximum(sample * (_windows(a * a, side) - mean_a**2), 0)
    var_b = np.maximum(sample * (_windows(b * b, side) - mean_b**2), 0)
    joint = sample * (_windows(a * b, side) - mean_a * mean_b)
    c1, c2 = _K1**2, _K2**2
    above = (2 * mean_a * mean_b + c1) * (2 * joint + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    found: FloatArray = (above / below).mean(axis=(-2, -1))
    return found


def _windows(values: FloatArray, side: int) -> FloatArray:
    """The mean of every window that fits."""
    sizes = (1,) * (values.ndim - 2) + (side, side)
    # A window stands around its pixel: the first that fits stands around pixel side // 2.
    means = uniform_filter(values, sizes)
    first, left = side // 2, (side - 1) // 2
    rows, columns = values.shape[-2:]
    inside: FloatArray = means[..., first : rows - left, first : columns - left]
    return inside
