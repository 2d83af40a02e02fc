"""The loss of a batch, computed in the learner's precision or better."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from convoscope.architecture.graph import Architecture, Output
from convoscope.engines.learning import LossTerms


def batch_loss(
    architecture: Architecture, logits: Mapping[str, Tensor], terms: Mapping[str, LossTerms]
) -> Tensor:
    """The sum over the heads that have terms; a scalar on the logits' device."""
    parts = []
    for name, term in terms.items():
        device = logits[name].device
        targets = torch.from_numpy(term.targets).to(device)
        weights = torch.from_numpy(term.weights).to(device)
        losses = image_losses(logits[name], targets, architecture.head(name).output)
        parts.append((losses * weights).sum())
    return torch.stack(parts).sum()


def image_losses(logits: Tensor, targets: Tensor, output: Output) -> Tensor:
    """Per image (N,) the cross-entropy of logits against targets, both (N, units).

    Categorical for softmax; for sigmoid the binary one, its mean over the units.
    """
    if output == "softmax":
        return -(targets * functional.log_softmax(logits, dim=1)).sum(dim=1)
    binary = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return binary.mean(dim=1)
