"""The atlas against brute force over every patch of every image."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope.arrays import FloatArray, generator
from convoscope.errors import ExplainError
from convoscope.explain.atlas import (
    Answers,
    answered,
    answers,
    dead,
    excited,
    most_often,
    strongest_images,
)


def maps_of(images: int = 30, channels: int = 7, size: tuple[int, int] = (4, 5)) -> FloatArray:
    """Rectified maps with many ties; channel 2 is dead."""
    rng = generator(0, "maps", images)
    maps = np.maximum(rng.normal(size=(images, channels, *size)).round(1), 0).astype(np.float32)
    maps[:, 2] = 0
    return maps


def found_in(maps: FloatArray) -> Answers:
    """As a pass in two parts gives it."""
    half = len(maps) // 2
    kept = np.concatenate([answers(maps[:half]), answers(maps[half:])])
    return Answers(kept, maps.shape[2:])


def test_the_strongest_patches_are_those_of_brute_force() -> None:
    maps = maps_of()
    found = found_in(maps)
    best = strongest_images(found, 6)
    for channel in range(maps.shape[1]):
        cells = [
            (-float(maps[n, channel, y, x]), n, y, x)
            for n in range(len(maps))
            for y in range(4)
            for x in range(5)
        ]
        expected: list[tuple[float, int, int, int]] = []
        for cell in sorted(cells):
            if cell[1] not in [n for _, n, _, _ in expected]:
                expected.append(cell)
        for rank, (value, image, row, column) in enumerate(expected[:6]):
            assert best[channel, rank] == image
            assert found.place(image, channel) == (row, column)
            assert found.peaks[image, channel] == -value
    np.testing.assert_allclose(found.means, maps.mean(axis=(2, 3)), rtol=1e-5)


def test_fewer_images_than_patches_leave_places_empty() -> None:
    best = strongest_images(found_in(maps_of(2)), 5)
    assert (best[:, 2:] == -1).all()
    assert sorted(best[0, :2].tolist()) == [0, 1]


def test_one_image_is_enough() -> None:
    found = Answers(answers(maps_of(1)), (4, 5))
    assert strongest_images(found, 3)[:, 0].tolist() == [0] * 7
    assert dead(found)[2]


def test_dead_channels_never_answered_more_than_nothing() -> None:
    maps = maps_of()
    found = found_in(maps)
    np.testing.assert_array_equal(answered(found), (maps.max(axis=(2, 3)) > 0).sum(axis=0))
    assert np.flatnonzero(dead(found)).tolist() == [2]
    best = excited(found, strongest_images(found, 4))
    assert best[2].tolist() == [-1] * 4
    assert (best[[0, 1, 3]] >= 0).all()


def test_what_is_below_zero_is_not_dead_unless_it_never_changes() -> None:
    maps = maps_of(8) - 5
    maps[:, 2] = -3
    found = found_in(maps)
    assert np.flatnonzero(dead(found)).tolist() == [2]
    best = excited(found, strongest_images(found, 3))
    assert (best[[0, 1, 3, 4, 5, 6]] >= 0).all()
    assert best[2].tolist() == [-1, -1, -1]


def test_an_image_that_does_not_excite_a_channel_is_no_patch_of_it() -> None:
    maps = np.zeros((4, 1, 2, 2), dtype=np.float32)
    maps[3, 0, 1, 0] = 2
    found = found_in(maps)
    assert excited(found, strongest_images(found, 3)).tolist() == [[3, -1, -1]]


def test_units_of_a_vector_are_maps_of_one_cell() -> None:
    values = generator(0, "vector").normal(size=(9, 5)).astype(np.float32)
    found = Answers(answers(values), (1, 1))
    np.testing.assert_array_equal(found.peaks, values)
    np.testing.assert_array_equal(found.means, values)
    assert found.place(3, 4) == (0, 0)


def test_a_channel_that_never_answered_may_answer_rarely() -> None:
    # The rule of three, and its exact form: (1 - p)^n = 0.05.
    assert most_often(300) == pytest.approx(3 / 300, rel=0.01)
    assert (1 - most_often(17)) ** 17 == pytest.approx(0.05)
    assert most_often(0) == 1


def test_mistakes_are_sentences() -> None:
    with pytest.raises(ExplainError, match="at least 1 patch of each channel, got 0"):
        strongest_images(found_in(maps_of()), 0)
    with pytest.raises(ExplainError, match="an atlas needs finite activations"):
        answers(np.full((1, 1, 2, 2), np.nan, dtype=np.float32))
    with pytest.raises(ExplainError, match="knows the place of at most 16,777,216 cells"):
        answers(np.broadcast_to(np.float32(0), (1, 1, 4097, 4096)))
