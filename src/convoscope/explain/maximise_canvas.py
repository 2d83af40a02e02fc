"""What gradient ascent paints on: pixels, or a picture's frequencies and decorrelated colours.

Both hold T pictures (T, C, H, W) with values in [0, 1] and take steps that raise T numbers at once.
Natural pictures have as much energy in coarse waves as in fine ones, and their three colours rise
and fall together. Where each frequency, and each direction in which colours really vary, is one
number of its own and steps are as large in all of them, ascent draws shapes; where every pixel is
a number of its own, it mostly draws noise that excites the network as much.

Source of frequencies and colours: Olah, Mordvintsev and Schubert 2017, "Feature visualization",
https://doi.org/10.23915/distill.00007, section "Preconditioning and parameterization".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, final

import numpy as np

from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array, FloatArray

GRAY: Final = 0.5
"""The value of every pixel of a blank picture."""

COLOUR_ROOT: Final = np.array(
    [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], dtype=np.float32
)
"""A root of the covariance of red, green and blue over ImageNet's pixels: columns are brightness,
blue against yellow, and green against purple.

Source: the matrix that goes with Olah et al. 2017, https://github.com/tensorflow/lucid.
"""

BLANK_SPREAD: Final = 0.01
"""The standard deviation of every wave at the start, where no shape is seen yet. All of them at
exactly 0 would be a picture in which many filters have no gradient.
"""

_CONTRAST: Final = 0.25
_MEAN_DECAY, _SQUARE_DECAY, _EPS = 0.9, 0.999, 1e-8


class Canvas(Protocol):
    """T pictures that can be seen, and moved by gradients."""

    def pictures(self, blur: float = 0.0) -> FloatArray:
        """The pictures (T, C, H, W), values in [0, 1], without what is finer than ``blur``: the
        standard deviation in pixels of a Gaussian.
        """
        ...

    def climb(self, gradient: FloatArray, rate: float) -> None:
        """Go a step of size ``rate`` in the direction of a gradient (T, C, H, W) with respect to
        the pictures as they were last seen; one of zeros moves nothing.
        """
        ...


@final
class Pixels:
    """A number per pixel. A step is the gradient divided by its root mean square, times the rate.

    Source: Chollet 2018, "Deep learning with Python", section 5.4.2; there the values may leave
    the range of pictures, here they are cut off at 0 and 1.
    """

    def __init__(self, shape: Shape, rngs: Sequence[np.random.Generator], *, noise: float) -> None:
        drawn = [rng.uniform(-noise, noise, shape) for rng in rngs]
        self._values = (GRAY + np.stack(drawn)).astype(np.float32)

    def pictures(self, blur: float = 0.0) -> FloatArray:
        """See :meth:`Canvas.pictures`; pixels are not blurred."""
        return self._values.copy()

    def climb(self, gradient: FloatArray, rate: float) -> None:
        """See :meth:`Canvas.climb`."""
        self._values = np.clip(self._values + rate * per_rms(gradient), 0, 1)


@final
class Frequencies:
    """A number per wave, of each of the directions in which colours vary; steps are Adam's.

    A wave of frequency f (periods per pixel) is scaled by 1 / f, so that coarse ones count as much
    as fine ones; the sum of all waves goes through a sigmoid to stay within [0, 1].
    """

    def __init__(
        self, shape: Shape, rngs: Sequence[np.random.Generator], *, spread: float = BLANK_SPREAD
    ) -> None:
        channels, height, width = shape
        self._size = (height, width)
        self._frequency = frequencies(height, width)
        self._scale = _CONTRAST / np.maximum(self._frequency, 1 / max(height, width))
        self._colours = colour_directions(channels)
        waves = (channels, *self._frequency.shape)
        drawn = [rng.normal(0, spread, (2, *waves)) for rng in rngs]
        self._waves = np.stack([re + 1j * im for re, im in drawn]).astype(np.complex64)
        self._adam = _Adam(self._waves.shape)
        self._seen = np.zeros(0, dtype=np.float32)
        self._passed = self._scale

    def pictures(self, blur: float = 0.0) -> FloatArray:
        """See :meth:`Canvas.pictures`."""
        # The Fourier transform of a Gaussian of standard deviation s is exp(-2 (pi s f)^2).
        self._passed = self._scale * np.exp(-2 * (np.pi * blur * self._frequency) ** 2)
        sums = np.fft.irfft2(self._waves * self._passed, s=self._size, norm="ortho")
        mixed = np.einsum("kc,tchw->tkhw", self._colours, sums.astype(np.float32))
        self._seen = (1 / (1 + np.exp(-mixed))).astype(np.float32)
        return self._seen.copy()

    def climb(self, gradient: FloatArray, rate: float) -> None:
        """See :meth:`Canvas.climb`: the derivative of :meth:`pictures`, step by step backwards."""
        mixed = per_rms(gradient) * self._seen * (1 - self._seen)
        sums = np.einsum("kc,tkhw->tchw", self._colours, mixed)
        pull = wave_gradient(sums) * self._passed
        moved: Array = np.asarray(gradient.any(axis=(1, 2, 3)))
        self._waves += rate * self._adam.direction(pull, moved)


def frequencies(height: int, width: int) -> FloatArray:
    """The frequency of each wave of a real picture's Fourier transform, (H, W // 2 + 1), in periods
    per pixel.
    """
    across = np.fft.rfftfreq(width)
    down = np.fft.fftfreq(height)
    found: FloatArray = np.hypot(down[:, None], across[None, :]).astype(np.float32)
    return found


def wave_gradient(gradient: FloatArray) -> Array:
    """From a gradient (..., H, W) with respect to ``irfft2(waves, norm="ortho")`` to the one with
    respect to the waves: (..., H, W // 2 + 1) complex, the real part's derivative in the real part.

    A wave that is not its own mirror image stands for two, and counts twice.
    """
    width = gradient.shape[-1]
    waves = np.fft.rfft2(gradient, norm="ortho")
    waves[..., 1 : (width + 1) // 2] *= 2
    return waves


def colour_directions(channels: int) -> FloatArray:
    """The matrix (C, C) from directions in which colours vary to channels; 1 for a gray picture.

    Pictures of other than three channels are drawn channel by channel.
    """
    if channels != 3:
        return np.eye(channels, dtype=np.float32)
    directions: FloatArray = COLOUR_ROOT / np.linalg.norm(COLOUR_ROOT, axis=0).max()
    return directions


def per_rms(gradient: FloatArray) -> FloatArray:
    """Each of T gradients (T, ...) divided by its root mean square; zeros stay zeros."""
    axes = tuple(range(1, gradient.ndim))
    # The largest value comes first, lest the squares of a tiny gradient become 0.
    largest = np.abs(gradient).max(axis=axes, keepdims=True)
    shares = np.divide(gradient, largest, out=np.zeros_like(gradient), where=largest > 0)
    rms = np.sqrt(np.mean(shares**2, axis=axes, keepdims=True))
    even: FloatArray = np.divide(shares, rms, out=shares, where=rms > 0)
    return even


class _Adam:
    """Steps of even size: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1."""

    def __init__(self, shape: Shape) -> None:
        self._mean = np.zeros(shape, np.complex64)
        self._square = np.zeros((*shape, 2), np.float32)
        self._steps = 0

    def direction(self, pull: Array, moved: Array) -> Array:
        """The step of rate 1 for complex numbers (T, ...); those that are not ``moved`` rest."""
        self._steps += 1
        pull = pull.astype(np.complex64)
        self._mean += (1 - _MEAN_DECAY) * (pull - self._mean)
        squares = np.stack([pull.real**2, pull.imag**2], axis=-1)
        self._square += (1 - _SQUARE_DECAY) * (squares - self._square)
        mean = self._mean / (1 - _MEAN_DECAY**self._steps)
        spread = np.sqrt(self._square / (1 - _SQUARE_DECAY**self._steps)) + _EPS
        step = mean.real / spread[..., 0] + 1j * (mean.imag / spread[..., 1])
        return np.where(moved.reshape(-1, *[1] * (pull.ndim - 1)), step, 0).astype(np.complex64)
