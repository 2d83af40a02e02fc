"""What is painted on, and how it is seen: derivatives against finite differences and adjoints."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope.arrays import generator
from convoscope.explain.maximise_canvas import (
    COLOUR_ROOT,
    Frequencies,
    Pixels,
    colour_directions,
    frequencies,
    per_rms,
    wave_gradient,
)
from convoscope.explain.maximise_views import sampling


@pytest.mark.parametrize(("height", "width"), [(6, 8), (5, 7), (4, 5), (1, 1), (3, 2)])
def test_the_gradient_of_waves_is_that_of_the_definition(height: int, width: int) -> None:
    rng = generator(0, "waves", height, width)
    gradient = rng.normal(size=(height, width))
    waves = rng.normal(size=(2, height, width // 2 + 1))
    found = wave_gradient(gradient)

    def value(real: np.ndarray, imaginary: np.ndarray) -> float:
        picture = np.fft.irfft2(real + 1j * imaginary, s=(height, width), norm="ortho")
        return float((picture * gradient).sum())

    step = 1e-6
    for place in np.ndindex(height, width // 2 + 1):
        up, down = waves.copy(), waves.copy()
        up[0][place] += step
        down[0][place] -= step
        slope = (value(*up) - value(*down)) / (2 * step)
        # A wave that mirrors another one of the same column is averaged with it by irfft2.
        assert slope == pytest.approx(found[place].real, abs=1e-6)


def test_frequencies_are_numpys() -> None:
    found = frequencies(4, 6)
    expected = [[np.hypot(y, x) for x in np.fft.rfftfreq(6)] for y in np.fft.fftfreq(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_small_step_in_frequencies_raises_the_picture_along_the_gradient() -> None:
    gradient = generator(1, "gradient").normal(size=(1, 3, 9, 8)).astype(np.float32)
    canvas = Frequencies((3, 9, 8), [generator(0, "start")])
    before = canvas.pictures()
    canvas.climb(gradient, 0.001)
    assert ((canvas.pictures() - before) * gradient).sum() > 0


def test_blur_takes_fine_waves_away() -> None:
    canvas = Frequencies((1, 32, 32), [generator(0, "start")], spread=0.5)
    sharp, blurred = canvas.pictures(), canvas.pictures(blur=4)
    assert np.abs(np.diff(blurred)).mean() < 0.3 * np.abs(np.diff(sharp)).mean()


def test_pixels_step_by_the_rate_whatever_the_size_of_the_gradient() -> None:
    rng = generator(0, "gradient")
    gradient = rng.normal(size=(1, 3, 4, 4)).astype(np.float32)
    for scale in (1e-30, 1.0, 1e20):
        canvas = Pixels((3, 4, 4), [generator(0, "start")], noise=0)
        canvas.climb(gradient * np.float32(scale), 0.01)
        step = canvas.pictures() - 0.5
        assert float(np.sqrt((step**2).mean())) == pytest.approx(0.01, rel=1e-4)
        assert float((step * gradient).sum()) == pytest.approx(
            float(np.linalg.norm(step) * np.linalg.norm(gradient)), rel=1e-4
        )


def test_pictures_stay_pictures_and_zeros_move_nothing() -> None:
    for canvas in (
        Pixels((1, 3, 3), [generator(0, "a")], noise=0),
        Frequencies((1, 3, 3), [generator(0, "a")]),
    ):
        before = canvas.pictures()
        canvas.climb(np.zeros((1, 1, 3, 3), dtype=np.float32), 0.5)
        np.testing.assert_array_equal(canvas.pictures(), before)
        for _ in range(60):
            canvas.climb(np.ones((1, 1, 3, 3), dtype=np.float32), 0.5)
            seen = canvas.pictures()
            assert (seen >= 0).all()
            assert (seen <= 1).all()


def test_per_rms_keeps_zeros() -> None:
    found = per_rms(np.stack([np.zeros((2, 2)), np.full((2, 2), 3.0)]))
    np.testing.assert_array_equal(found, [np.zeros((2, 2)), np.ones((2, 2))])


def test_colours_are_decorrelated_by_a_root_of_their_covariance() -> None:
    directions = colour_directions(3)
    np.testing.assert_allclose(directions * np.linalg.norm(COLOUR_ROOT, axis=0).max(), COLOUR_ROOT)
    np.testing.assert_array_equal(colour_directions(1), [[1]])
    covariance = COLOUR_ROOT @ COLOUR_ROOT.T
    # Red, green and blue of photographs rise and fall together.
    assert (covariance > 0).all()
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) > 0.8


@pytest.mark.parametrize(("height", "width"), [(7, 6), (1, 1), (2, 9)])
def test_the_way_back_is_the_transposed_way_there(height: int, width: int) -> None:
    rngs = [generator(0, "view", number) for number in range(3)]
    seen = sampling(height, width, rngs, jitter=2, zoom=0.3)
    rng = generator(1, "pictures")
    pictures = rng.normal(size=(3, 2, height, width))
    gradient = rng.normal(size=(3, 2, height, width))
    there, back = seen.see(pictures), seen.back(gradient)
    assert (there * gradient).sum() == pytest.approx((pictures * back).sum(), rel=1e-5)


def test_without_zoom_a_view_is_a_whole_shift_of_at_most_jitter() -> None:
    pictures = generator(0, "p").normal(size=(20, 1, 8, 8)).astype(np.float32)
    rngs = [generator(0, "v", number) for number in range(20)]
    found = sampling(8, 8, rngs, jitter=2, zoom=0.0).see(pictures)
    shifts = set()
    for picture, view in zip(pictures, found, strict=True):
        fits = [
            (dy, dx)
            for dy in range(-4, 4)
            for dx in range(-4, 4)
            if np.allclose(np.roll(picture, (dy, dx), axis=(1, 2)), view, atol=1e-6)
        ]
        assert len(fits) == 1
        shifts.add(fits[0])
    assert len(shifts) > 5
    assert all(abs(dy) <= 2 and abs(dx) <= 2 for dy, dx in shifts)
