"""All that is found in one image, from one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.explain import METHODS, View, effective_patch, look, patch, strongest
from convoscope.jobs.explain_images import ImageToExplain
from convoscope.jobs.explain_memory import Remembering
from convoscope.jobs.explain_request import Plan
from convoscope.jobs.explain_subject import Subject
from convoscope.jobs.predictions import label
from convoscope.metrics.predictions import HeadPredictions
from convoscope.network import ClassLogit, Neuron, ReluRule
from convoscope.runs import explanations as kept
from convoscope.runs.explanations import (
    ClassTarget,
    ExplainedImage,
    HeadSaid,
    ImageFacts,
    SeenNeuron,
    ViewFacts,
)


def explain_image(subject: Subject, plan: Plan, source: ImageToExplain) -> ExplainedImage:
    """What the network says of an image, and what in the image makes it say so.

    Raises:
        UnreadableImageError: if the image cannot be decoded.
        ExplainError: if a method cannot be used on this network.
    """
    picture = source.pixels()
    images = picture.transpose(2, 0, 1)[None]
    with look(subject.network, images, layers=plan.traced_layers, wrt=plan.ends) as view:
        view = replace(view, trace=Remembering(view.trace))
        heads = _heads(subject, view)
        targets = tuple(_targets(heads, plan, source))
        neurons = _neurons(view, plan)
        gradients = _neuron_gradients(view, [neuron for neuron, _, _ in neurons], picture)
        views = tuple(_views(view, plan, targets))
        return ExplainedImage(
            facts=ImageFacts(
                name=source.name,
                file=source.file,
                said=tuple(
                    _said(head, heads[head], plan.top, source.labels.get(head))
                    for head in plan.heads
                ),
                targets=targets,
                views=tuple(each.facts for each in views),
                neurons=tuple(
                    _seen(subject, neuron, value, is_chosen, gradient)
                    for (neuron, value, is_chosen), gradient in zip(neurons, gradients, strict=True)
                ),
            ),
            picture=picture,
            views=views,
            gradients=gradients,
            maps={layer: view.trace.activations[layer][0] for layer in plan.kept_layers},
        )


def rule_of(view: View) -> ReluRule:
    """Guided where there are ReLUs to guide the way back, else plain."""
    return "guided" if view.trace.rectifies else "plain"


def _heads(subject: Subject, view: View) -> dict[str, HeadPredictions]:
    """What every head said of the one image."""
    logits = view.trace.logits
    unknown = np.full(1, -1, dtype=np.int64)
    said = label(
        logits,
        subject.network.architecture,
        split="",
        ids=[""],
        labels=dict.fromkeys(logits, unknown),
        class_names=subject.class_names,
    )
    return dict(said.heads)


def _said(head: str, predictions: HeadPredictions, top: int, label: str | None) -> HeadSaid:
    (shares,) = predictions.probabilities()
    best = np.argsort(-shares, kind="stable")[:top]
    return HeadSaid(
        head=head,
        classes=tuple(predictions.class_names[k] for k in best),
        probabilities=tuple(float(shares[k]) for k in best),
        label=label,
    )


def _targets(
    heads: dict[str, HeadPredictions], plan: Plan, source: ImageToExplain
) -> Iterator[ClassTarget]:
    """The classes that were asked for; else of each head what it says, and the label besides."""
    for head in plan.heads:
        if plan.classes and head not in plan.classes:
            continue
        predictions = heads[head]
        (shares,) = predictions.probabilities()
        said, names = int(predictions.predicted()[0]), predictions.class_names
        label = source.labels.get(head)
        indices = plan.classes.get(head, (said,))
        if not plan.classes and label is not None and names[said] != label:
            indices = (said, names.index(label))
        for index in indices:
            why: kept.Why = (
                "said" if index == said else "label" if names[index] == label else "asked"
            )
            yield ClassTarget(
                head=head, index=index, name=names[index], probability=float(shares[index]), why=why
            )


def _views(view: View, plan: Plan, targets: Sequence[ClassTarget]) -> Iterator[kept.View]:
    """What each method shows of the classes; methods that look at a layer do so at each."""
    logits = [ClassLogit(target.head, target.index) for target in targets]
    for name in plan.methods:
        method = METHODS[name]
        for layer in plan.heat_layers if method.needs_layer else ("",):
            looked = replace(view, layer=layer or None)
            values = method.explain(looked, logits)
            facts = ViewFacts(method=name, kind=method.gives, layer=layer)
            yield kept.View(facts=facts, values=values[:, 0])


def _neurons(view: View, plan: Plan) -> list[tuple[Neuron, float, bool]]:
    """The strongest neurons of each layer, then the chosen ones: where, what value, chosen?"""
    found = [
        (strong.neuron, strong.value, False)
        for layer in plan.neuron_layers
        for strong in strongest(
            layer, view.trace.activations[layer][0], plan.neurons, one_per=plan.one_per
        )
    ]
    for neuron in plan.chosen:
        maps = view.trace.activations[neuron.layer]
        value = float(maps[0, neuron.channel, neuron.row, neuron.column])
        found.append((neuron, value, True))
    return found


def _neuron_gradients(view: View, neurons: Sequence[Neuron], picture: ByteArray) -> FloatArray:
    """The gradient image of each neuron, (M, C, H, W)."""
    height, width, channels = picture.shape
    if not neurons:
        return np.zeros((0, channels, height, width), dtype=np.float32)
    gradients: FloatArray = view.trace.gradient(neurons, relu_rule=rule_of(view))[:, 0]
    return gradients


def _seen(
    subject: Subject, neuron: Neuron, value: float, is_chosen: bool, gradient: FloatArray
) -> SeenNeuron:
    row, column, channel = neuron.row, neuron.column, neuron.channel
    assert isinstance(row, int), "one image has one row"
    assert isinstance(column, int), "one image has one column"
    assert isinstance(channel, int), "one image has one channel"
    return SeenNeuron(
        layer=neuron.layer,
        row=row,
        column=column,
        channel=channel,
        value=value,
        exact=patch(subject.network, neuron.layer, row, column),
        effective=effective_patch(gradient) if gradient.any() else None,
        is_chosen=is_chosen,
    )
