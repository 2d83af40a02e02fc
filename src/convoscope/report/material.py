"""What the run was made of: its data, its network, its machine, and the command to repeat it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from convoscope.architecture.analysis import (
    EVERYTHING,
    MAC_CONVENTION,
    MEMORY_CONVENTION,
    Analysis,
)
from convoscope.metrics.mistakes import class_samples
from convoscope.pictures.diagram import Block, network_diagram
from convoscope.report import wording
from convoscope.report.heads import Thumbnail, thumbnail
from convoscope.report.reading import Contents

_UNSEEN = ("activation", "dropout", "batch_norm", "flatten")
_JOINING = ("residual", "parallel")

STATUS_NOTES = {
    "running": "This run has not ended: the figures are those of what is there so far.",
    "interrupted": "This run was interrupted: the figures are those of the best epoch until then.",
    "diverged": "The loss of this run was no longer a finite number: the figures are those of the "
    "last good weights.",
    "failed": "This run failed: the figures are those of what had been saved before.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """How many images of a class each split has; ``samples`` are a few of them."""

    name: str
    counts: tuple[int, ...]
    samples: tuple[Thumbnail, ...]

    @property
    def total(self) -> int:
        """Images of the class in all splits."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadData:
    """The images per class of one head; ``unknown`` have no label, per split."""

    head: str
    classes: tuple[ClassCounts, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """A layer as the table says it; ``indent`` counts the branches around it."""

    name: str
    kind: str
    output: str
    parameters: int
    macs: int
    memory: str
    sees: str
    jump: str
    head: str
    indent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network's table with its totals and its conventions."""

    rows: tuple[LayerRow, ...]
    input: str
    parameters: int
    macs: int
    memory: str
    diagram: Markup
    conventions: tuple[str, ...]


def banners(contents: Contents) -> tuple[str, ...]:
    """Sentences that nobody should overlook: how the run ended, and its notes."""
    status = STATUS_NOTES.get(contents.record.status)
    data_notes = contents.record.data.get("notes", ())
    notes = [*contents.record.notes, *(str(note) for note in data_notes)]
    return tuple(dict.fromkeys([*([status] if status else []), *notes]))


def head_data(contents: Contents) -> tuple[HeadData, ...]:
    """Images per class and split of each head, counted in the saved predictions."""
    return tuple(_head_data(contents, head) for head in contents.heads)


def network(contents: Contents) -> Network:
    """The table of the architecture."""
    analysis = contents.analysis
    rows = [
        LayerRow(
            name=row.name,
            kind=row.kind.replace("2d", "").replace("_", " "),
            output=wording.shape(row.output_shape),
            parameters=row.parameters,
            macs=row.macs,
            memory=wording.data_size(row.activation_bytes),
            sees=wording.shape(row.field) if row.field else EVERYTHING,
            jump=wording.shape(row.jump) if row.field else wording.UNKNOWN,
            head=row.head or "",
            indent=row.depth,
        )
        for row in analysis.rows
    ]
    return Network(
        rows=tuple(rows),
        input=wording.shape(analysis.input_shape),
        parameters=analysis.parameters,
        macs=analysis.macs,
        memory=wording.data_size(analysis.activation_bytes),
        diagram=network_diagram(_blocks(analysis, _still(contents))),
        conventions=(MAC_CONVENTION, MEMORY_CONVENTION),
    )


def preprocessing(contents: Contents) -> str:
    """One sentence on how a file becomes what the network sees; empty where it is not known."""
    said = contents.model.get("preprocessing")
    if not isinstance(said, Mapping):
        return ""
    how = {
        "squash": "squashed to",
        "crop": "cropped in the middle to",
        "pad": "padded with black to",
    }.get(str(said.get("resize")), "resized to")
    size = wording.shape(said.get("size", ()))
    order = {"rgb": "colour", "bgr": "colour (blue first)", "gray": "gray"}
    numbers = f"mean {_listed(said.get('mean'))}, standard deviation {_listed(said.get('sd'))}"
    return (
        f"Every picture is {how} {size} pixels, read as {order.get(str(said.get('order')), 'is')} "
        f"in [0, 1] and standardised with {numbers}."
    )


def pretrained(contents: Contents) -> str:
    """What the network was before and what of it has learnt; empty for one trained from scratch."""
    said = contents.model.get("backbone")
    if not isinstance(said, Mapping):
        return ""
    return _came_from(said) + _kept_and_learnt(said) + _in_stages(contents, said)


def _came_from(said: Mapping[str, Any]) -> str:
    """Where a pretrained network is from."""
    sha256, licence = str(said.get("weights_sha256"))[:12], said.get("licence")
    if str(said.get("source")).startswith("run/"):
        head = said.get("head")
        new = "with its own head" if head == "its own" else f"with a new head, {head}"
        return f"The network goes on from {said.get('name')} (SHA-256 {sha256}), {new}."
    return (
        f"The network is pretrained: {said.get('name')} with the weights of {said.get('origin')} "
        f"(SHA-256 {sha256}, licence: {licence}), and a new head, {said.get('head')}."
    )


def _kept_and_learnt(said: Mapping[str, Any]) -> str:
    """What of it stayed as it was, and what has learnt."""
    frozen, parameters = said.get("frozen_up_to"), said.get("frozen_parameters", 0)
    still = (
        f"Everything up to {frozen} stayed as it was and was computed once; what comes after it"
        if frozen
        else "All of it"
        if not parameters
        else "A part of it"
    )
    kept = wording.counted(parameters, "parameter")
    learnt = wording.counted(said.get("learnt_parameters", 0), "parameter")
    return f" {still} has learnt from these images ({learnt}; {kept} kept)."


def _in_stages(contents: Contents, said: Mapping[str, Any]) -> str:
    """By which strategy it learnt, and where one stage of it ended; empty where none was named."""
    tune = contents.record.settings.get("tune")
    if not tune:
        return ""
    ends = {str(row.get("phase")): int(row["epoch"]) for row in contents.history if "phase" in row}
    stages = [f"{wording.phase(name)} (until epoch {epoch})" for name, epoch in ends.items()]
    order = f", in stages: {', then '.join(stages)}" if stages else ""
    return f" The strategy was {tune}: {said.get('trained')}{order}."


def command(contents: Contents) -> str:
    """The exact command that makes the run again, as one types it into a shell."""
    return shlex.join(contents.record.command)


def environment(contents: Contents) -> tuple[tuple[str, str], ...]:
    """What computed, and when: names and values."""
    record = contents.record
    facts: dict[str, Any] = {"started": record.started}
    facts["engine"] = contents.model.get("engine")
    facts |= {**record.machine, **record.versions}
    facts["data fingerprint"] = record.data.get("fingerprint")
    return tuple(
        (key.replace("_bytes", "").replace("_", " "), _fact(key, value))
        for key, value in facts.items()
        if value not in (None, "")
    )


def settings(contents: Contents) -> tuple[tuple[str, str], ...]:
    """Every setting of the run, as names and values."""
    return tuple(
        (key.replace("_", " "), _fact(key, value))
        for key, value in contents.record.settings.items()
    )


def _still(contents: Contents) -> frozenset[str]:
    """The layers that a pretrained network kept as they were."""
    said = contents.model.get("backbone")
    frozen = said.get("frozen_up_to") if isinstance(said, Mapping) else None
    names = [row.name for row in contents.analysis.rows]
    return frozenset(names[: names.index(frozen) + 1]) if frozen in names else frozenset()


def _blocks(analysis: Analysis, still: frozenset[str]) -> list[Block]:
    """The image and every layer that changes a shape or joins branches."""
    image = Block(name="image", kind="input", shape=analysis.input_shape)
    return [image] + [
        Block(
            name=row.name,
            kind=row.kind,
            shape=row.output_shape,
            learns=row.name not in still and (row.kind in _JOINING or row.parameters > 0),
            head=row.head or "",
        )
        for row in analysis.rows
        if row.depth == 0 and row.kind not in _UNSEEN
    ]


def _head_data(contents: Contents, head: str) -> HeadData:
    labels = [contents.predictions[split].heads[head].labels for split in contents.splits]
    names = contents.predictions[contents.main_split].heads[head].class_names
    counts = [np.bincount(known[known >= 0], minlength=len(names)) for known in labels]
    shown = class_samples(contents.predictions[contents.splits[0]], head)
    return HeadData(
        head=head,
        classes=tuple(
            ClassCounts(
                name=name,
                counts=tuple(int(of_split[k]) for of_split in counts),
                samples=_thumbnails(contents, shown[k]),
            )
            for k, name in enumerate(names)
        ),
        unknown=tuple(int((known < 0).sum()) for known in labels),
    )


def _thumbnails(contents: Contents, ids: tuple[str, ...]) -> tuple[Thumbnail, ...]:
    found = (thumbnail(contents.samples, id_) for id_ in ids)
    return tuple(picture for picture in found if picture is not None)


def _listed(values: object) -> str:
    if not isinstance(values, list | tuple):
        return wording.UNKNOWN
    return ", ".join(f"{value:.3g}" for value in values)


def _fact(key: str, value: object) -> str:
    if key.endswith("_bytes") and isinstance(value, int):
        return wording.data_size(value)
    if value is None:
        return wording.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False) if value else wording.UNKNOWN
    return str(value)
