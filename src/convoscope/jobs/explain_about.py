"""What the manifest of an explanation says before any image: network, methods, layers, filters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from convoscope.architecture.receptive_field import receptive_field
from convoscope.arrays import FloatArray
from convoscope.explain import METHODS
from convoscope.explain.filters import convolutions
from convoscope.jobs import environment
from convoscope.jobs.explain_images import ImagesToExplain
from convoscope.jobs.explain_request import Plan
from convoscope.jobs.explain_subject import Subject
from convoscope.network import Network
from convoscope.runs.explanations import About, LayerSaid, MethodSaid


def about(subject: Subject, wanted: Plan, chosen: ImagesToExplain, command: Sequence[str]) -> About:
    """What is explained and how."""
    network = subject.network
    channels, height, width = network.architecture.input_shape
    return About(
        network=network.architecture.name,
        source=subject.source,
        engine=network.engine,
        input_shape=(channels, height, width),
        class_names=subject.class_names,
        methods=tuple(
            MethodSaid(name=name, title=METHODS[name].title, sentence=METHODS[name].sentence)
            for name in wanted.methods
        ),
        heat_layers=wanted.heat_layers,
        layers=_layers(network, wanted.traced_layers),
        images_of=chosen.sentence,
        command=tuple(command),
        versions=environment.versions(),
        machine=environment.machine(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def filters_of(network: Network, wanted: Plan) -> dict[str, FloatArray]:
    """The filters (F, C, k, k) of those layers whose maps are kept that have some."""
    if not wanted.kept_layers:
        return {}
    have = convolutions(network)
    return {layer: have[layer] for layer in wanted.kept_layers if layer in have}


def _layers(network: Network, names: Sequence[str]) -> tuple[LayerSaid, ...]:
    fields = receptive_field(network.architecture)
    return tuple(
        LayerSaid(
            name=name,
            shape=tuple(network.layer_shapes[name]),
            field=fields[name].size if name in fields else None,
        )
        for name in names
    )
