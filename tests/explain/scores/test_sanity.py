"""Similarity, stability and randomised weights: definitions, and what must and must not change."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from tests.explain.conftest import CHAIN, SHAPE, Build

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, GlobalAvgPool
from convoscope.arrays import Array, FloatArray, generator
from convoscope.explain import METHODS, explain, usable
from convoscope.explain.scores.board import leaderboard, mean_figure
from convoscope.explain.scores.measure import score_images
from convoscope.explain.scores.saliency import given, saliencies, saliency
from convoscope.explain.scores.sanity import (
    equal_to_gradient,
    layer_groups,
    randomised,
    shuffled,
)
from convoscope.explain.scores.similarity import rank_correlation, ssim
from convoscope.explain.scores.stability import COPIES, NOISE, stability
from convoscope.network import ClassLogit
from convoscope.runs.explanation_scores import Randomisation, Scored, ScoredImage, Scores


def slow_ssim(a: FloatArray, b: FloatArray, side: int) -> float:
    """Equation 13 for every window of ``side``, one at a time."""
    a, b = ((m - m.min()) / (m.max() - m.min()) for m in (a, b))
    found = []
    for row in range(a.shape[0] - side + 1):
        for column in range(a.shape[1] - side + 1):
            p = a[row : row + side, column : column + side].ravel()
            q = b[row : row + side, column : column + side].ravel()
            joint = float(np.cov(p, q)[0, 1])
            above = (2 * p.mean() * q.mean() + 1e-4) * (2 * joint + 9e-4)
            below = (p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var(ddof=1) + q.var(ddof=1) + 9e-4)
            found.append(above / below)
    return float(np.mean(found))


@pytest.mark.parametrize("size", [(9, 12), (5, 4), (2, 3), (8, 7)])
def test_ssim_is_its_definition(size: tuple[int, int]) -> None:
    rng = generator(1, "ssim", *size)
    a, b = rng.normal(size=(2, *size)), rng.normal(size=(2, *size)) * 30
    expected = [slow_ssim(p, q, min(7, *size)) for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(ssim(a, b), expected, rtol=1e-9)
    np.testing.assert_allclose(ssim(a, 3 * a + 2), 1)


def test_rank_correlation_is_spearmans() -> None:
    rng = generator(2, "ranks")
    a, b = rng.integers(0, 6, (3, 2, 5, 4)), rng.integers(0, 6, (3, 2, 5, 4))
    expected = [spearmanr(p.ravel(), q.ravel())[0] for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a.astype(float), b.astype(float)), expected)


def test_without_an_order_there_is_no_correlation() -> None:
    flat, other = np.zeros((1, 4, 4)), generator(1, "o").random((1, 4, 4))
    assert rank_correlation(flat, other) == [0]
    assert rank_correlation(flat, flat + 1) == [1]


def test_saliency_keeps_one_value_per_pixel() -> None:
    values = generator(3, "values").normal(size=(2, 3, 4, 5))
    values[0, 0, 0, 0] = np.nan
    largest = saliency(METHODS["gradient"], values, (4, 5))
    total = saliency(METHODS["integrated-gradients"], values, (4, 5))
    for row in range(4):
        for column in range(5):
            pixel = values[1, :, row, column]
            assert largest[1, row, column] == max(abs(v) for v in pixel)
            assert total[1, row, column] == pytest.approx(sum(pixel))
    assert np.isfinite(largest).all()
    assert saliency(METHODS["grad-cam"], values[:, 0], (8, 9)).shape == (2, 8, 9)


def test_groups_go_down_from_the_output_and_hold_every_layer(build: Build) -> None:
    assert layer_groups(build(CHAIN))[0][0] == "odd1"
    names = [name for group in layer_groups(build(CHAIN)) for name in group]
    assert sorted(names) == ["conv1", "conv2", "dense", "logits", "odd1"]


def test_shuffling_keeps_the_values_and_leaves_other_layers(build: Build) -> None:
    own = build(CHAIN).parameters()
    found = shuffled(own, ["conv1"])
    assert set(found) == {"conv1.weight", "conv1.bias"}
    assert (found["conv1.weight"] != own["conv1.weight"]).any()
    np.testing.assert_array_equal(
        np.sort(found["conv1.weight"], None), np.sort(own["conv1.weight"], None)
    )


def spearman(first: FloatArray, second: FloatArray) -> float:
    """SciPy's, and 0 where one of the two has no order."""
    if not (np.ptp(first) and np.ptp(second)):
        return 0.0
    return float(spearmanr(first.ravel(), second.ravel())[0])


def test_randomisation_compares_with_networks_of_those_weights(build: Build, images: Array) -> None:
    network, target = build(CHAIN), ClassLogit("class", 1)
    methods = ["gradient", "grad-cam"]
    plain = given(network, images, methods, target)
    found = dict(randomised(network, images, methods, target, plain))
    groups = layer_groups(network)
    for kind, layers in (
        ("cascading", [n for g in groups[:3] for n in g]),
        ("independent", list(groups[2])),
    ):
        other = network.with_parameters(shuffled(network.parameters(), layers))
        for m, method in enumerate(methods):
            theirs = given(other, images, [method], target)[0]
            expected = [spearman(p, q) for p, q in zip(plain[m], theirs, strict=True)]
            np.testing.assert_allclose(found[kind].ranks[2, m], expected, atol=1e-9)
            pictures = saliencies([method], [plain[m]], SHAPE[1:])
            others = saliencies([method], [theirs], SHAPE[1:])
            np.testing.assert_allclose(found[kind].ssims[2, m], ssim(pictures, others)[0])


def test_stability_is_the_mean_correlation_with_noisy_copies(build: Build, images: Array) -> None:
    network, target = build(CHAIN), ClassLogit("class", 1)
    plain = given(network, images, ["gradient"], target)
    expected = np.zeros(3)
    for copy in range(COPIES):
        noise = NOISE * generator(0, "stability", copy).standard_normal(SHAPE)
        (noisy,) = given(network, np.clip(images + noise, 0, 1), ["gradient"], target)
        expected += [
            spearmanr(p.ravel(), q.ravel())[0] for p, q in zip(plain[0], noisy, strict=True)
        ]
    found = stability(network, images, ["gradient"], target, plain)
    np.testing.assert_allclose(found[0], expected / COPIES)


def test_a_guided_picture_equal_to_the_gradient_is_flagged(build: Build, images: Array) -> None:
    network, target = build(CHAIN), ClassLogit("class", 1)
    methods = ["guided-backprop", "deconvnet", "grad-cam"]
    assert equal_to_gradient(network, images, methods, target) == ()
    bright = {name: np.abs(values) + 0.1 for name, values in network.parameters().items()}
    positive = network.with_parameters(bright)  # no ReLU ever stops anything
    assert equal_to_gradient(positive, images, methods, target) == ("guided-backprop", "deconvnet")
    assert equal_to_gradient(positive, images, ["grad-cam"], target) == ()


def scores_of(values: dict[str, list[float]], ranks: dict[str, float]) -> Scores:
    """Insertion curves that are flat at a value per image, deletion at 0."""
    count = len(next(iter(values.values())))
    images = tuple(
        ScoredImage(
            name=str(n),
            head="class",
            class_name="a",
            probability=0.9,
            methods={
                name: Scored(
                    shares=(0.0, 1.0),
                    insertion=(own[n], own[n]),
                    deletion=(0.0, 0.0),
                    drop=0.1,
                    increases=n == 0,
                )
                for name, own in values.items()
            },
        )
        for n in range(count)
    )
    rows = {name: ((value,), (0.0,)) for name, value in ranks.items()}
    return Scores(
        methods=tuple(ranks),
        titles={},
        baselines=("centre", "chance"),
        layer="conv",
        images=images,
        cascading=Randomisation(groups=(("dense",), ("conv",)), ranks=rows, ssims=rows),
    )


def test_the_leaderboard_orders_marks_and_pairs() -> None:
    centre = [0.1, 0.5, 0.2, 0.6, 0.3, 0.4]
    scores = scores_of(
        {
            "good": [v + 0.1 for v in centre],
            "same": centre[::-1],
            "stuck": [v + 0.3 for v in centre],
            "centre": centre,
            "chance": [0.0] * 6,
        },
        {"good": 0.1, "same": 0.2, "stuck": 0.9},
    )
    rows = {row.method: row for row in leaderboard(scores)}
    assert list(rows)[:2] == ["stuck", "good"]
    assert rows["good"].marks == ()
    assert rows["same"].marks == ("no better than the centre",)
    assert rows["stuck"].marks == ("depends too little",)
    gain = rows["good"].over_centre
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))  # image by image
    assert rows["centre"].over_centre.value is None
    assert rows["good"].increase.value == pytest.approx(1 / 6)
    assert rows["chance"].marks == ()


def test_of_few_images_the_centre_is_no_reason_for_a_mark() -> None:
    scores = scores_of({"a": [0.1] * 4, "centre": [0.2] * 4, "chance": [0.0] * 4}, {"a": 0.0})
    assert leaderboard(scores)[-2].marks == ()


def test_means_have_intervals_and_none_has_none() -> None:
    figure = mean_figure([0.0, 1.0, 1.0, 0.0])
    assert figure.value == 0.5
    assert figure.low is not None
    assert figure.high is not None
    assert 0 <= figure.low < 0.5 < figure.high <= 1
    assert mean_figure([]).value is None


@settings(max_examples=12, deadline=None)
@drawn(
    seed=st.integers(0, 1000),
    size=st.sampled_from([(1, 1), (2, 3), (6, 5)]),
    head=st.sampled_from(["average", "flatten"]),
    activation=st.sampled_from(["relu", "tanh", None]),
    pixels=st.sampled_from(["zero", "constant", "noise"]),
    weights=st.sampled_from(["drawn", "zero", "huge"]),
    precision=st.sampled_from(["float32", "bfloat16"]),
)
def test_nothing_gives_nan(
    seed: int,
    size: tuple[int, int],
    head: str,
    activation: str | None,
    pixels: str,
    weights: str,
    precision: str,
) -> None:
    """Random tiny nets, empty and constant images, dead and saturated networks."""
    pooling = GlobalAvgPool("pool") if head == "average" else Flatten("pool")
    architecture = Architecture(
        name="tiny",
        input_shape=(1, *size),
        layers=(
            Conv2d("conv", 3, kernel_size=1, activation=activation),  # type: ignore[arg-type]
            BatchNorm("norm"),
        ),
        heads=(Head(layers=(pooling, Dense("dense", 2))),),
    )
    network = engines.build(
        architecture,
        engine="torch",
        seed=seed,
        device="cpu",
        precision=precision,  # type: ignore[arg-type]
    )
    if weights != "drawn":
        factor = 0.0 if weights == "zero" else 1e4
        scaled = {n: v * factor for n, v in network.parameters().items() if "running" not in n}
        network = network.with_parameters(scaled)
    rng = generator(seed, "images")
    images = {
        "zero": np.zeros((2, 1, *size), np.float32),
        "constant": np.full((2, 1, *size), 0.5, np.float32),
        "noise": rng.random((2, 1, *size), np.float32),
    }[pixels]
    methods, target = usable(network), ClassLogit("class", (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in methods:
            assert np.isfinite(explain(network, images, method, [target])).all()
        mask = np.zeros(size, dtype=bool)
        mask[0, 0] = True
        found = score_images(network, images, methods, target, names=["a", "b"], masks=[mask, None])
        plain = given(network, images, methods, target)
        for _, check in randomised(network, images, methods, target, plain):
            assert np.isfinite(check.ranks).all()
            assert np.isfinite(check.ssims).all()
    curves = found.curves
    for values in (curves.shares, curves.insertion, curves.deletion, found.probability, found.drop,
                   found.left, found.stability, found.pointing, found.mass):  # fmt: skip
        assert np.isfinite(values).all()
    assert found.mass.shape == (len(methods) + 2, 1)
