"""Statements are right where the answer is known: gratings, classes apart, moved spots."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut
from sklearn.neighbors import NearestCentroid

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, Flatten, GlobalAvgPool
from convoscope.arrays import FloatArray, generator
from convoscope.explain.statements import (
    nearest_centroids,
    neighbour_similarities,
    on_the_thing,
    orientations,
    oriented_filters,
    separable,
    shift_similarities,
    shift_tolerant,
    shifted,
)


def gabor(angle: float, k: int = 11) -> FloatArray:
    """A grating whose values change in the direction of ``angle``, (k, k)."""
    y, x = np.mgrid[:k, :k] - k // 2
    along = x * np.cos(angle) + y * np.sin(angle)
    wave: FloatArray = np.cos(2 * np.pi * along / 4) * np.exp(-(x**2 + y**2) / (2 * (k / 5) ** 2))
    return wave


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, np.pi / 2, 2.5])
def test_a_grating_s_own_direction_is_found(angle: float) -> None:
    (coherence,), (found,) = orientations(gabor(angle)[None, None])
    assert coherence > 0.7
    apart = abs(found - angle) % np.pi
    assert min(apart, np.pi - apart) < 0.03


def test_a_spot_a_constant_and_nothing_have_no_direction() -> None:
    y, x = np.mgrid[:11, :11] - 5
    spot = np.exp(-(x**2 + y**2) / 4)
    filters = np.stack([spot, np.ones((11, 11)), np.zeros((11, 11))])[:, None]
    assert np.allclose(orientations(filters).coherence, 0, atol=1e-9)


def test_the_tensor_is_that_of_the_interpolated_filter_s_gradient() -> None:
    """Parseval, the slow way: the filter and its derivatives drawn finely from its spectrum."""
    kernel = generator(0, "kernel").normal(size=(3, 3))
    spectrum, freq = np.fft.fft2(kernel, s=(33, 33)), np.fft.fftfreq(33)
    dx = np.fft.ifft2(spectrum * 2j * np.pi * freq[None]).real
    dy = np.fft.ifft2(spectrum * 2j * np.pi * freq[:, None]).real
    tensor = np.array([[(dx * dx).sum(), (dx * dy).sum()], [(dx * dy).sum(), (dy * dy).sum()]])
    values, vectors = np.linalg.eigh(tensor)
    (coherence,), (angle,) = orientations(kernel[None, None])
    assert coherence == pytest.approx((values[1] - values[0]) / values.sum())
    assert abs(vectors[:, 1] @ [np.cos(angle), np.sin(angle)]) == pytest.approx(1)


def test_gratings_prefer_a_direction_more_often_than_random_filters_do() -> None:
    gratings = np.stack([gabor(angle)[None] for angle in np.linspace(0, 3, 16)])
    said = oriented_filters("conv1", gratings)
    assert said.figure.value == 1
    assert said.chance == pytest.approx(0.05)
    assert said.sentence.startswith("16 of 16 filters of conv1 prefer one direction")
    assert said.sentence.endswith("so learning has made them so.")
    random = oriented_filters("conv1", generator(1, "random").normal(size=(64, 3, 3, 3)))
    assert random.figure.low is not None
    assert random.figure.high is not None
    assert random.chance is not None
    assert random.figure.low <= random.chance <= random.figure.high
    assert random.sentence.endswith("so learning has not visibly made them so.")


def test_nearest_centroids_are_those_of_scikit_learn_leaving_one_out() -> None:
    rng = generator(0, "features")
    labels = np.repeat([0, 1, 2, 5], [4, 7, 6, 3])
    features = rng.normal(size=(20, 5)) + 0.5 * labels[:, None]
    expected = [
        NearestCentroid().fit(features[others], labels[others]).predict(features[one])[0]
        for others, one in LeaveOneOut().split(features)
    ]
    assert nearest_centroids(features, labels).tolist() == expected


def test_classes_apart_are_told_and_random_ones_are_not() -> None:
    rng = generator(0, "classes")
    labels = np.arange(120) % 3
    noise = rng.normal(size=(120, 8))
    apart = separable("conv5", noise + 9 * np.eye(8)[labels], labels)
    assert apart.figure.value == 1
    assert apart.sentence == (
        "By what conv5 says on average over an image alone, 120 of 120 images lie nearest to their "
        "own class (95 % interval 97% to 100%); guessing gives 33%."
    )
    random = separable("conv1", noise, labels)
    assert random.chance == pytest.approx(1 / 3)
    assert random.figure.low is not None
    assert random.figure.low < 1 / 3


def test_the_only_image_of_a_class_does_not_count() -> None:
    said = separable(
        "conv1", np.array([[0.0], [0.1], [5.0], [5.1], [9.0]]), np.array([0, 0, 1, 1, 2])
    )
    assert (said.count, said.figure.value, said.chance) == (4, 1.0, 0.5)
    alone = separable("conv1", np.array([[0.0], [1.0]]), np.array([0, 1]))
    assert (alone.count, alone.figure.value, alone.chance) == (0, None, None)


def test_a_shift_moves_and_repeats_the_border() -> None:
    image = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
    assert shifted(image, 1, 0)[0, 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert shifted(image, 0, -1)[0, 0].tolist() == [[1, 2, 2], [4, 5, 5], [7, 8, 8]]


def test_global_pooling_does_not_care_where_a_spot_is_and_maps_do() -> None:
    net = Architecture(
        name="pooled",
        input_shape=(1, 15, 15),
        layers=(Conv2d("conv", 6, padding=1, activation="relu"), GlobalAvgPool("pool")),
        heads=(Head(layers=(Dense("out", 3),)),),
    )
    images = np.zeros((4, 1, 15, 15), np.float32)
    images[:, :, 6:9, 6:9] = generator(0, "spots").random((4, 1, 3, 3))
    network = engines.build(net, engine="numpy", seed=1)
    found = shift_similarities(network, images, ["conv", "pool"], [1, 3, 5])
    assert np.allclose(found["pool"], 1, atol=1e-6)
    assert (found["conv"][1:] < 0.95).all()
    assert (np.diff(found["conv"], axis=0) < 0).all(), "further is less alike"
    assert found["conv"].shape == (3, 4)
    said = shift_tolerant("pool", found["pool"], [1, 3, 5], step=2)
    assert said.sentence.startswith("When the image moves by 3 pixels, pool hardly notices it")
    assert said.figure.value == pytest.approx(1)
    assert (said.pixels, said.step) == (3, 2)
    assert [shift.pixels for shift in said.shifts] == [1, 3, 5]
    assert said.sentence.endswith("; 1.00 at 1 and 1.00 at 5.")
    here = shift_similarities(network, images, ["conv"], [0])
    assert np.allclose(here["conv"], 1)


def test_images_are_compared_with_the_next_one() -> None:
    net = Architecture(
        name="flat",
        input_shape=(1, 1, 2),
        layers=(Flatten("flatten"),),
        heads=(Head(layers=(Dense("out", 2),)),),
    )
    network = engines.build(net, engine="numpy", seed=1)
    images = np.array([[1, 0], [1, 1], [0, 1]], np.float32).reshape(3, 1, 1, 2)
    found = neighbour_similarities(network, images, ["flatten"])["flatten"]
    assert found == pytest.approx([0.5**0.5, 0.5**0.5, 0])


def test_the_figure_of_a_shift_is_that_of_the_middle_distance() -> None:
    alike = np.array([[0.9, 0.9], [0.7, 0.9], [0.5, 0.5], [0.1, 0.3]])
    said = shift_tolerant("conv1", alike, [1, 2, 4, 8])
    assert [shift.figure.value for shift in said.shifts] == pytest.approx([0.9, 0.8, 0.5, 0.2])
    assert (said.pixels, said.figure) == (4, said.shifts[2].figure)
    assert "moves by 4 pixels, conv1 follows it: its output keeps a similarity of 0.50" in (
        said.sentence
    )
    assert said.chance == 0
    beside = shift_tolerant("conv1", alike, [1, 2, 4, 8], others=0.45)
    assert beside.chance == 0.45
    assert "where 1 is the same and another image has 0.45 (95 %" in beside.sentence
    assert "conv1 partly notices it" in shift_tolerant("conv1", alike[:2], [1, 2]).sentence
    assert "conv1 follows it" in shift_tolerant("conv1", alike[:2], [1, 2], others=0.5).sentence
    alone = shift_tolerant("conv1", alike[:1], [1])
    assert alone.sentence.startswith("When the image moves by 1 pixel, conv1 partly notices it")
    assert alone.sentence.endswith("0.90).")


def test_what_is_silent_before_and_after_is_alike() -> None:
    net = Architecture(
        name="flat",
        input_shape=(1, 4, 4),
        layers=(Flatten("flatten"),),
        heads=(Head(layers=(Dense("out", 2),)),),
    )
    network = engines.build(net, engine="numpy", seed=1)
    black = np.zeros((2, 1, 4, 4), np.float32)
    assert shift_similarities(network, black, ["flatten"], [1])["flatten"].tolist() == [[1, 1]]


def test_mass_on_the_thing_is_compared_with_its_area() -> None:
    rng = generator(0, "mass")
    areas = np.full(40, 0.25)
    on = on_the_thing("Grad-CAM", np.clip(rng.normal(0.7, 0.1, 40), 0, 1), areas)
    assert on.figure.value == pytest.approx(0.7, abs=0.05)
    assert on.chance == 0.25
    assert "25% of the image: the explanation points at it more than chance would" in on.sentence
    beside = on_the_thing("Grad-CAM", np.array([0.2, 0.3, np.nan]), np.array([0.25, 0.25, 0.9]))
    assert (beside.count, beside.chance) == (2, 0.25)
    assert "no more than chance would" in beside.sentence
    nothing = on_the_thing("Grad-CAM", np.array([np.nan]), np.array([0.5]))
    assert nothing.figure.value is None
