"""The last layer of each head solved at once, as a linear support vector machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head, logit_shapes
from convoscope.architecture.layers import Dense
from convoscope.arrays import FloatArray
from convoscope.errors import SettingsError
from convoscope.jobs.predictions import logits_of
from convoscope.jobs.prepare import Prepared
from convoscope.jobs.progress import Progress
from convoscope.network import Network
from convoscope.training.outcome import FitResult
from convoscope.transfer.svm import Solved, solve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What solving gave, and per head the machine."""

    result: FitResult
    machines: Mapping[str, Solved]

    def notes(self) -> tuple[str, ...]:
        """A sentence for each head on the C that was chosen."""
        named = len(self.machines) > 1
        return tuple(
            (f"head {head}: " if named else "")
            + f"linear SVM with C = {found.c:g}, "
            + (
                "the usual one, for there is no validation split to choose it on"
                if found.right is None
                else f"chosen on validation, where it is right on {found.right:.1%}"
            )
            for head, found in self.machines.items()
        )


def solve_heads(network: Network, prepared: Prepared, progress: Progress) -> Solution:
    """The network's parameters with the last layer of each head solved from the training images.

    Raises:
        SettingsError: if a head does not end in a dense layer with a bias.
        DataError: if the training images of a head are all of one class.
    """
    began = time.perf_counter()
    parameters = dict(network.parameters())
    values = _inputs_of_last_layers(network, prepared, progress)
    rows, dataset = prepared.splits.indices, prepared.dataset
    machines = {}
    for head in network.architecture.heads:
        last = last_dense(head)
        found = solve(
            values[head.name],
            dataset.labels[head.name],
            len(dataset.class_names[head.name]),
            train=rows["train"],
            validation=rows["validation"],
            units=logit_shapes(network.architecture)[head.name][0],
            is_balanced=prepared.settings.class_weights == "balanced",
            seed=prepared.settings.seed,
            progress=lambda done, total: progress("solving", done, total),
        )
        parameters[f"{last.name}.weight"] = found.weight
        parameters[f"{last.name}.bias"] = found.bias
        machines[head.name] = found
    result = FitResult(
        reason="solved",
        epochs=0,
        best_epoch=0,
        parameters=parameters,
        history=(),
        seconds=time.perf_counter() - began,
    )
    return Solution(result=result, machines=machines)


def check_solvable(architecture: Architecture) -> None:
    """Refuse a network whose heads do not end as a machine does.

    Raises:
        SettingsError: if one does not.
    """
    for head in architecture.heads:
        last_dense(head)


def last_dense(head: Head) -> Dense:
    """The head's last layer.

    Raises:
        SettingsError: if it is not a dense layer with a bias and no activation.
    """
    last = head.layers[-1] if head.layers else None
    if not isinstance(last, Dense) or not last.bias or last.activation is not None:
        raise SettingsError(
            f"--tune svm: the head must end in one plain dense layer, which the machine becomes, "
            f"head {head.name!r} ends in {last.kind if last else 'nothing'}: choose another "
            "--head, such as linear or flatten"
        )
    return last


def _inputs_of_last_layers(
    network: Network, prepared: Prepared, progress: Progress
) -> dict[str, FloatArray]:
    """Per head what its last layer is given for every image, (N, D)."""
    whole = network.architecture
    heads = tuple(replace(h, layers=h.layers[:-1], threshold=0.5) for h in whole.heads)
    shortened = replace(whole, heads=heads)
    last = {last_dense(head).name for head in whole.heads}
    request = prepared.request
    below = engines.build(
        shortened,
        preprocessing=network.preprocessing,
        engine=request.engine,
        parameters={
            name: array
            for name, array in network.parameters().items()
            if name.partition(".")[0] not in last
        },
        device=request.device,
        precision=request.precision,
    )
    found = logits_of(below, prepared.inputs, progress=progress)
    return {head: np.asarray(values) for head, values in found.items()}
