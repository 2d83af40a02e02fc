"""Insertion and deletion, drops and pointing against their definitions, a number at a time."""

from __future__ import annotations

import numpy as np
import pytest
from tests.explain.conftest import CHAIN, Build

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.explain.scores.baselines import centre, chance
from convoscope.explain.scores.curves import (
    area,
    blurred,
    cell_ranks,
    perturbation_curves,
)
from convoscope.explain.scores.drops import drops, unit
from convoscope.explain.scores.measure import probabilities
from convoscope.explain.scores.pointing import mass_inside, points_inside


def brightness(pictures: Array, numbers: IntArray) -> FloatArray:
    """An answer that is known: how bright a picture is, and which one it is made from."""
    found: FloatArray = pictures.mean(axis=(1, 2, 3)) * (numbers + 1) / 10
    return found


def slow_curve(
    image: FloatArray, other: FloatArray, saliency: FloatArray, number: int
) -> tuple[list[float], list[float]]:
    """Pixels of ``image`` put into ``other``, the strongest first; cells are single pixels."""
    order = np.argsort(-saliency.ravel(), kind="stable")
    steps = np.unique(np.round(np.linspace(0, saliency.size, 15)).astype(int))
    values, shares = [], []
    for step in steps:
        mixed = other.copy()
        for place in order[:step]:
            row, column = divmod(int(place), saliency.shape[1])
            mixed[:, row, column] = image[:, row, column]
        values.append(float(brightness(mixed[None], np.array([number]))[0]))
        shares.append(step / saliency.size)
    return values, shares


def test_curves_are_the_definition_a_pixel_at_a_time() -> None:
    rng = generator(1, "curves")
    images, saliencies = rng.random((2, 3, 7, 9)), rng.random((4, 2, 7, 9))
    found = perturbation_curves(brightness, images, saliencies)
    for m in range(4):
        for n in range(2):
            soft = blurred(images)[n]
            gray = np.ones_like(images[n]) * images[n].mean(axis=(1, 2), keepdims=True)
            inserted, shares = slow_curve(images[n], soft, saliencies[m, n], n)
            deleted, _ = slow_curve(gray, images[n], saliencies[m, n], n)
            np.testing.assert_allclose(found.shares[m, n], shares)
            np.testing.assert_allclose(found.insertion[m, n], inserted)
            np.testing.assert_allclose(found.deletion[m, n], deleted)


def test_larger_images_change_in_whole_cells_the_mean_strongest_first() -> None:
    saliency = generator(2, "cells").random((1, 1, 30, 45))
    ranks, cells = cell_ranks(saliency)
    assert cells == 14 * 14
    means = {}
    for rank in range(cells):
        inside = ranks[0, 0] == rank
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        assert inside.sum() == len(rows) * len(columns)  # one rectangle
        means[rank] = saliency[0, 0][inside].mean()
    assert list(means.values()) == sorted(means.values(), reverse=True)


def test_areas_are_trapezoids_over_actual_shares() -> None:
    assert float(area(np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.2, 1.0]))) == pytest.approx(
        0.2 * 0.75 + 0.8 * 0.25
    )


def test_blurring_keeps_what_is_even_and_the_image_whole() -> None:
    np.testing.assert_allclose(blurred(np.full((1, 2, 9, 20), 0.3)), 0.3)
    image = generator(3, "blur").random((1, 1, 28, 28))
    assert float(np.var(blurred(image))) < float(np.var(image)) / 5


def test_a_perfect_explanation_is_better_than_the_centre_and_chance() -> None:
    """A spot in a corner is all that counts: who points there has the larger area."""
    image = np.zeros((1, 1, 28, 28))
    image[..., 2:6, 2:6] = 1.0

    def spot(pictures: Array, numbers: IntArray) -> FloatArray:
        found: FloatArray = pictures[:, 0, 2:6, 2:6].mean(axis=(1, 2))
        return found

    every = np.stack([image[:, 0], centre((28, 28))[None], chance((28, 28), "a")[None]])
    curves = perturbation_curves(spot, image, every)
    inserted, deleted = (area(c, curves.shares)[:, 0] for c in (curves.insertion, curves.deletion))
    assert inserted[0] > max(inserted[1:]) + 0.2
    assert deleted[0] < min(deleted[1:]) - 0.2


def test_drops_are_chattopadhyays_definition() -> None:
    rng = generator(4, "drops")
    images, saliencies = rng.random((3, 2, 5, 6)), rng.normal(size=(2, 3, 5, 6))
    whole = brightness(images, np.arange(3))
    lost, left = drops(brightness, images, saliencies, whole)
    for m in range(2):
        for n in range(3):
            positive = np.maximum(saliencies[m, n], 0)
            shown = images[n] * (positive - positive.min()) / (positive.max() - positive.min())
            answer = float(shown.mean()) * (n + 1) / 10
            assert left[m, n] == pytest.approx(answer)
            assert lost[m, n] == pytest.approx(max(0.0, whole[n] - answer) / whole[n])


def test_what_had_no_probability_cannot_lose_any() -> None:
    nothing = np.zeros((2, 1, 4, 4))
    lost, left = drops(brightness, nothing, np.ones((1, 2, 4, 4)), np.zeros(2))
    np.testing.assert_array_equal(lost, 0)
    np.testing.assert_array_equal(left, 0)


def test_a_map_that_is_the_same_everywhere_shows_nothing() -> None:
    np.testing.assert_array_equal(unit(np.full((2, 3, 3), 5.0)), 0)


def test_pointing_and_mass_are_counted() -> None:
    masks = np.zeros((1, 4, 5), dtype=bool)
    masks[0, :2, :2] = True
    inside, outside, tie, flat = np.zeros((4, 1, 4, 5))
    inside[0, 0, 1] = 2.0
    inside[0, 3, 3] = 1.0
    outside[0, 3, 3], outside[0, 0, 0] = 3.0, -9.0
    tie[0, 0, 0] = tie[0, 3, 4] = 1.0
    every = np.stack([inside, outside, tie, flat])
    np.testing.assert_allclose(points_inside(every, masks)[:, 0], [1, 0, 0.5, 4 / 20])
    np.testing.assert_allclose(mass_inside(every, masks)[:, 0], [2 / 3, 0, 0.5, 4 / 20])


def test_the_centre_is_highest_in_the_middle_of_any_size() -> None:
    for size in ((1, 1), (2, 5), (28, 28), (7, 3)):
        bell = centre(size)
        assert bell.shape == size
        assert bell.max() == 1
        np.testing.assert_allclose(bell, bell[::-1, ::-1])
    assert (chance((4, 4), "a") == chance((4, 4), "a")).all()
    assert (chance((4, 4), "a") != chance((4, 4), "b")).any()


def test_probabilities_are_the_heads(build: Build, images: Array) -> None:
    network = build(CHAIN)
    logits = network.logits(images)
    powers = np.exp(logits["class"])
    expected = (powers / powers.sum(axis=1, keepdims=True))[np.arange(3), [2, 0, 1]]
    found = probabilities(network, images, "class", np.array([2, 0, 1]))
    np.testing.assert_allclose(found, expected)
    yes = 1 / (1 + np.exp(-logits["odd"][:, 0]))
    np.testing.assert_allclose(probabilities(network, images, "odd", np.array([1, 1, 1])), yes)
    np.testing.assert_allclose(probabilities(network, images, "odd", np.array([0, 0, 0])), 1 - yes)
