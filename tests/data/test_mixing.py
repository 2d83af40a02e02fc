"""Images mixed in pairs, against slow re-implementations of mixup, CutMix and their loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Dense, Flatten
from convoscope.arrays import Array, ByteArray, FloatArray, generator
from convoscope.data.augment import POLICIES, Policy
from convoscope.data.batches import Batches
from convoscope.data.mixing import blended, cut_together, mixed
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.learning import loss_terms
from convoscope.errors import UnknownNameError
from convoscope.network import Engine, HeadLoss, Optimiser

CLASSES = {"kind": 3, "sign": 2}
KIND = [0, 2, -1, 1, 1, -1, 2, 0]
SIGN = [1, 0, 1, -1, 0, 1, 1, 1]
LABELS = {"kind": np.array(KIND), "sign": np.array(SIGN)}


@pytest.fixture
def images() -> ByteArray:
    return np.random.default_rng(0).integers(0, 256, (8, 6, 10, 3), np.uint8)


def rngs(count: int = 8, seed: int = 0) -> list[np.random.Generator]:
    return [generator(seed, "mix", 1, row) for row in range(count)]


def partner(row: int) -> int:
    """The next row, round in a circle, with labels known in the same heads."""
    place = row
    while True:
        place = (place + 1) % len(KIND)
        if (KIND[place] < 0, SIGN[place] < 0) == (KIND[row] < 0, SIGN[row] < 0):
            return place


def test_mixup_is_the_weighted_sum_with_the_share_that_was_drawn(images: ByteArray) -> None:
    found, labels = mixed(images, LABELS, CLASSES, Policy(mixup=0.4), rngs())
    for row, rng in enumerate(rngs()):
        other = partner(row)
        if other == row:
            assert (found[row] == images[row]).all()
            continue
        share = rng.beta(0.4, 0.4)
        share = max(share, 1 - share)
        wanted = share * images[row] + (1 - share) * images[other].astype(float)
        assert np.abs(found[row] - wanted).max() <= 0.5001
        for head, known in (("kind", KIND), ("sign", SIGN)):
            soft = [0.0] * CLASSES[head]
            if known[row] < 0:
                soft = [-1.0] * CLASSES[head]
            else:
                soft[known[row]] += share
                soft[known[other]] += 1 - share
            np.testing.assert_allclose(labels[head][row], soft, atol=1e-6)


def test_the_share_of_a_cut_is_that_of_the_area(images: ByteArray) -> None:
    for number in range(60):
        rng = generator(0, "cut", number)
        share, place = float(rng.beta(1, 1)), rng.random(2)
        found, left = cut_together(images[0], images[1], share, place)
        is_other = (found == images[1]).all(axis=2) & (found != images[0]).any(axis=2)
        same = (images[0] == images[1]).all(axis=2)
        assert ((found == images[0]).all(axis=2) | is_other).all()
        assert not same.any()
        assert math.isclose(left, 1 - is_other.mean())
        rows, columns = np.nonzero(is_other)
        if len(rows):
            assert is_other[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
        if share > 0.35 and (abs(place - 0.5) < 0.05).all():
            assert abs(left - share) < 0.15


def test_a_cut_of_everything_or_nothing(images: ByteArray) -> None:
    whole, left = cut_together(images[0], images[1], 1.0, np.array([0.5, 0.5]))
    assert left == 1
    assert (whole == images[0]).all()
    other, left = cut_together(images[0], images[1], 0.0, np.array([0.5, 0.5]))
    assert left == 0
    assert (other == images[1]).all()


def test_a_blend_of_everything_or_nothing(images: ByteArray) -> None:
    gray = images[..., :1]
    assert (blended(gray[0], gray[1], 1.0) == gray[0]).all()
    assert (blended(gray[0], gray[1], 0.0) == gray[1]).all()
    assert blended(gray[0], gray[1], 0.3).shape == gray[0].shape


def test_with_both_half_of_the_images_are_mixed_by_each() -> None:
    flat = np.repeat(np.array([0, 200], np.uint8), 200)[:, None, None, None]
    pictures = np.broadcast_to(flat, (400, 8, 8, 1)).copy()
    order = np.random.default_rng(0).permutation(400)
    labels = {"kind": np.repeat([0, 1], 200)[order]}
    policy = Policy(mixup=1.0, cutmix=1.0)
    found, soft = mixed(pictures[order], labels, {"kind": 2}, policy, rngs(400))
    assert (soft["kind"][np.arange(400), labels["kind"]] >= 0.49).all()
    differ = ((soft["kind"] > 0.1) & (soft["kind"] < 0.9)).any(axis=1)
    is_cut = np.array([set(np.unique(image)) <= {0, 200} for image in found])
    assert 0.35 < is_cut[differ].mean() < 0.65
    # Whichever way, the label's share is the picture's.
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)) / 200, soft["kind"][:, 1], atol=0.01)


def test_an_image_alone_and_a_single_known_one_stay_as_they_are(images: ByteArray) -> None:
    found, soft = mixed(images[:1], {"kind": np.array([2])}, {"kind": 3}, Policy(mixup=1), rngs(1))
    assert (found == images[:1]).all()
    assert soft["kind"].tolist() == [[0, 0, 1]]


@given(
    labels=st.lists(st.integers(-1, 2), min_size=1, max_size=9),
    policy=st.sampled_from([Policy(mixup=0.3), Policy(cutmix=1.0), Policy(mixup=1, cutmix=1)]),
)
@settings(deadline=None, max_examples=60)
def test_soft_labels_are_shares_of_known_classes(labels: list[int], policy: Policy) -> None:
    known = np.array(labels)
    pictures = np.zeros((len(labels), 4, 4, 1), np.uint8)
    _, soft = mixed(pictures, {"kind": known}, {"kind": 3}, policy, rngs(len(labels)))
    shares = soft["kind"]
    assert shares.dtype == np.float32
    assert (shares[known < 0] == -1).all()
    np.testing.assert_allclose(shares[known >= 0].sum(axis=1), 1, atol=1e-6)
    assert (shares[known >= 0] >= -1e-7).all()
    present = np.isin(np.arange(3), known)
    assert (shares[known >= 0][:, ~present] == 0).all()


# -- in batches -----------------------------------------------------------------------------------


def batches(images: ByteArray, **changes: object) -> Batches:
    chosen = {"batch_size": 3, "seed": 7, "policy": "photos-mixed", "classes": CLASSES, **changes}
    return Batches(images, LABELS, np.arange(8), **chosen)  # type: ignore[arg-type]


def content(made: Batches, epoch: int) -> list[bytes]:
    return [
        part
        for batch in made.epoch(epoch)
        for part in (batch.images.tobytes(), *(soft.tobytes() for soft in batch.labels.values()))
    ]


def test_mixed_batches_depend_on_seed_and_epoch_alone(images: ByteArray) -> None:
    one = content(batches(images, workers=1), 4)
    assert content(batches(images, workers=3), 4) == one
    again = batches(images)
    list(again.epoch(1))
    assert content(again, 4) == one
    assert content(batches(images), 5) != one
    assert content(batches(images, seed=8), 4) != one


def test_a_batch_has_soft_labels_of_every_class(images: ByteArray) -> None:
    (batch, *_) = batches(images, batch_size=8).epoch(1)
    assert {head: soft.shape for head, soft in batch.labels.items()} == {
        "kind": (8, 3),
        "sign": (8, 2),
    }
    assert ((batch.labels["kind"] == -1).all(axis=1) == (LABELS["kind"][batch.indices] < 0)).all()
    inferred = Batches(images, LABELS, np.arange(8), batch_size=8, seed=7, policy=POLICIES["mixup"])
    assert inferred.classes == CLASSES


def test_there_is_no_such_policy(images: ByteArray) -> None:
    with pytest.raises(UnknownNameError, match="no augmentation 'mixp': did you mean 'mixup'"):
        batches(images, policy="mixp")


# -- in the loss ----------------------------------------------------------------------------------


def slow_loss(logits: FloatArray, soft: FloatArray, loss: HeadLoss, *, is_sigmoid: bool) -> float:
    """The loss of a head as its definition says, one image and class at a time."""
    above = below = 0.0
    classes = soft.shape[1]
    for z, label in zip(logits.tolist(), soft.tolist(), strict=True):
        if label[0] < 0:
            continue
        weight = 1.0
        if loss.class_weights is not None:
            weight = sum(t * w for t, w in zip(label, loss.class_weights, strict=True))
        e = loss.label_smoothing
        if is_sigmoid:
            t, p = (1 - e) * label[1] + e / 2, 1 / (1 + math.exp(-z[0]))
            own = -t * math.log(p) - (1 - t) * math.log(1 - p)
        else:
            total = sum(math.exp(value) for value in z)
            own = -sum(
                ((1 - e) * t + e / classes) * math.log(math.exp(value) / total)
                for t, value in zip(label, z, strict=True)
            )
        above += weight * own
        below += weight
    return loss.weight * above / below if below else 0.0


def computed_loss(logits: FloatArray, soft: Array, loss: HeadLoss, *, is_sigmoid: bool) -> float:
    """What both engines compute, from the terms that they are both given."""
    head = Head(
        name=loss.head,
        output="sigmoid" if is_sigmoid else "softmax",
        layers=(Flatten(name="flatten"), Dense(name="dense", units=logits.shape[1])),
    )
    terms = loss_terms(head, logits.shape[1], loss, soft, "float64")
    if is_sigmoid:
        p = 1 / (1 + np.exp(-logits))
        each = -(terms.targets * np.log(p) + (1 - terms.targets) * np.log(1 - p)).mean(axis=1)
    else:
        each = -(terms.targets * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1)
    return float(terms.weights @ each)


@pytest.mark.parametrize("is_sigmoid", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("has_weights", [False, True])
@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_the_loss_of_mixed_labels_is_the_definitions(
    images: ByteArray, is_sigmoid: bool, smoothing: float, has_weights: bool, policy: str
) -> None:
    head = "sign" if is_sigmoid else "kind"
    weights = (0.5, 2.0, 1.25)[: CLASSES[head]] if has_weights else None
    loss = HeadLoss(head=head, weight=1.5, class_weights=weights, label_smoothing=smoothing)
    _, soft = mixed(images, LABELS, CLASSES, POLICIES[policy], rngs())
    logits = np.random.default_rng(1).normal(size=(8, 1 if is_sigmoid else 3)) * 2
    found = computed_loss(logits, soft[head], loss, is_sigmoid=is_sigmoid)
    wanted = slow_loss(logits, soft[head], loss, is_sigmoid=is_sigmoid)
    assert math.isclose(found, wanted, rel_tol=1e-6)
    # An image without a label counts for nothing, whatever the network says of it.
    logits[LABELS[head] < 0] += 5
    assert computed_loss(logits, soft[head], loss, is_sigmoid=is_sigmoid) == found


def test_no_label_known_adds_nothing() -> None:
    soft = np.full((4, 3), -1, np.float32)
    loss = HeadLoss(head="kind", class_weights=(1.0, 2.0, 3.0), label_smoothing=0.1)
    assert computed_loss(np.ones((4, 3)), soft, loss, is_sigmoid=False) == 0


def two_heads() -> Architecture:
    return Architecture(
        name="two-heads",
        input_shape=(3, 6, 10),
        layers=(),
        heads=(
            Head(
                name="kind",
                output="softmax",
                layers=(Flatten(name="flat"), Dense(name="out", units=3)),
            ),
            Head(
                name="sign",
                output="sigmoid",
                layers=(Flatten(name="flat2"), Dense(name="out2", units=1)),
            ),
        ),
    )


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_both_engines_learn_from_mixed_batches(images: ByteArray, engine: Engine) -> None:
    network = engines.build(
        two_heads(),
        preprocessing=Preprocessing(size=(6, 10)),
        engine=engine,
        seed=0,
        device="cpu",
        precision="float64",
    )
    losses = (
        HeadLoss(head="kind", class_weights=(0.5, 2.0, 1.0), label_smoothing=0.1),
        HeadLoss(head="sign", weight=0.5),
    )
    learner = engines.learner(network, optimiser=Optimiser(), losses=losses, seed=0)
    for batch in batches(images, batch_size=8).epoch(1):
        logits = network.logits(batch.images)
        wanted = sum(
            slow_loss(
                np.asarray(logits[loss.head]),
                batch.labels[loss.head],
                loss,
                is_sigmoid=loss.head == "sign",
            )
            for loss in losses
        )
        learner.step(batch.images, batch.labels)
        (found,) = learner.drain_losses()
        assert math.isclose(float(found), wanted, rel_tol=1e-5)
