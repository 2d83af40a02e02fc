"""The loss of a batch against PyTorch's own losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Dense, Flatten
from convoscope.engines.learning import batch_terms
from convoscope.engines.torch.losses import batch_loss
from convoscope.network import HeadLoss

HEADS = (
    Head(name="kind", layers=(Flatten("f1"), Dense("kind1", 4))),
    Head(name="odd", layers=(Flatten("f2"), Dense("odd1", 1)), output="sigmoid"),
    Head(name="marks", layers=(Flatten("f3"), Dense("marks1", 3)), output="sigmoid"),
)
ARCHITECTURE = Architecture(name="t", input_shape=(1, 2, 2), layers=(), heads=HEADS)
RNG = np.random.default_rng(0)
LOGITS = {
    "kind": torch.from_numpy(RNG.normal(size=(5, 4)) * 3),
    "odd": torch.from_numpy(RNG.normal(size=(5, 1)) * 3),
    "marks": torch.from_numpy(RNG.normal(size=(5, 3)) * 3),
}
KINDS = np.array([0, 3, 1, 3, 2])
ODD = np.array([1, 0, 0, 1, 1])
SOFT = RNG.dirichlet(np.ones(4), size=5)
MARKS = RNG.integers(0, 2, (5, 3)).astype(float)


def loss(labels: np.ndarray, head_loss: HeadLoss) -> float:
    labels_by_head = {head_loss.head: labels}
    terms = batch_terms(ARCHITECTURE, [head_loss], labels_by_head, 5, "float64")
    return batch_loss(ARCHITECTURE, LOGITS, terms).item()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_is_cross_entropy(smoothing: float) -> None:
    head = HeadLoss(head="kind", label_smoothing=smoothing)
    for labels, target in ((KINDS, KINDS), (SOFT, SOFT)):
        expected = functional.cross_entropy(
            LOGITS["kind"], torch.from_numpy(target), label_smoothing=smoothing
        )
        assert loss(labels, head) == pytest.approx(expected.item(), rel=1e-12)


def test_class_weights_weigh_the_mean() -> None:
    weights = (1.0, 2.0, 0.5, 4.0)
    expected = functional.cross_entropy(
        LOGITS["kind"], torch.from_numpy(KINDS), weight=torch.tensor(weights).double()
    )
    got = loss(KINDS, HeadLoss(head="kind", class_weights=weights))
    assert got == pytest.approx(expected.item(), rel=1e-12)


def test_smoothing_changes_an_images_target_and_not_its_weight() -> None:
    weights = np.array([1.0, 2.0, 0.5, 4.0])
    each = functional.cross_entropy(
        LOGITS["kind"], torch.from_numpy(KINDS), label_smoothing=0.2, reduction="none"
    ).numpy()
    expected = (weights[KINDS] * each).sum() / weights[KINDS].sum()
    head = HeadLoss(head="kind", class_weights=tuple(weights), label_smoothing=0.2)
    assert loss(KINDS, head) == pytest.approx(expected, rel=1e-12)


def test_a_single_sigmoid_unit_is_binary_cross_entropy() -> None:
    target = torch.from_numpy(ODD).double()[:, None]
    each = functional.binary_cross_entropy_with_logits(LOGITS["odd"], target, reduction="none")
    assert loss(ODD, HeadLoss(head="odd")) == pytest.approx(each.mean().item(), rel=1e-12)
    shares = np.stack([1 - ODD, ODD], axis=1).astype(float)
    assert loss(shares, HeadLoss(head="odd")) == pytest.approx(each.mean().item(), rel=1e-12)

    weights = np.array([3.0, 1.0])[ODD]
    expected = (weights * each[:, 0].numpy()).sum() / weights.sum()
    got = loss(ODD, HeadLoss(head="odd", class_weights=(3.0, 1.0)))
    assert got == pytest.approx(expected, rel=1e-12)

    smoothed = functional.binary_cross_entropy_with_logits(LOGITS["odd"], 0.8 * target + 0.1)
    got = loss(ODD, HeadLoss(head="odd", label_smoothing=0.2))
    assert got == pytest.approx(smoothed.item(), rel=1e-12)


def test_several_sigmoid_units_are_the_mean_of_theirs() -> None:
    expected = functional.binary_cross_entropy_with_logits(LOGITS["marks"], torch.from_numpy(MARKS))
    assert loss(MARKS, HeadLoss(head="marks")) == pytest.approx(expected.item(), rel=1e-12)
    one_hot = functional.one_hot(torch.tensor([0, 2, 1, 1, 0]), 3).double()
    expected = functional.binary_cross_entropy_with_logits(LOGITS["marks"], one_hot)
    got = loss(np.array([0, 2, 1, 1, 0]), HeadLoss(head="marks"))
    assert got == pytest.approx(expected.item(), rel=1e-12)


def test_unknown_labels_are_left_out_of_the_mean() -> None:
    masked = np.where([True, False, True, False, True], KINDS, -1)
    expected = functional.cross_entropy(
        LOGITS["kind"], torch.from_numpy(masked), ignore_index=-1
    ).item()
    assert loss(masked, HeadLoss(head="kind")) == pytest.approx(expected, rel=1e-12)
    assert loss(np.full(5, -1), HeadLoss(head="kind")) == 0.0


def test_heads_add_up_by_their_weights() -> None:
    losses = [HeadLoss(head="kind", weight=2.0), HeadLoss(head="odd", weight=0.25)]
    terms = batch_terms(ARCHITECTURE, losses, {"kind": KINDS, "odd": ODD}, 5, "float64")
    expected = 2 * loss(KINDS, HeadLoss(head="kind")) + loss(ODD, HeadLoss(head="odd")) / 4
    assert batch_loss(ARCHITECTURE, LOGITS, terms).item() == pytest.approx(expected, rel=1e-12)


def test_large_logits_do_not_overflow() -> None:
    logits = {"kind": torch.tensor([[1e4, -1e4, 0, 0]]), "odd": torch.tensor([[-1e4]])}
    labels = {"kind": np.array([1]), "odd": np.array([1])}
    terms = batch_terms(ARCHITECTURE, [HeadLoss(head=h) for h in labels], labels, 1)
    assert batch_loss(ARCHITECTURE, logits, terms).item() == pytest.approx(3e4)
