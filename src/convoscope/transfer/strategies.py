"""How much of a network that has learnt before learns again: the strategies of fine-tuning.

A strategy is a row of :data:`STRATEGIES`: what of the network learns, and the settings that suit
it, which whatever a person says overrides. ``--tune last:3`` names the row ``last:K`` with an
argument. Which rates follow for which parameter is worked out in :mod:`convoscope.transfer.rates`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from convoscope.errors import SettingsError, unknown_name

Learns: TypeAlias = Literal["solved head", "head", "last layers", "rates by depth", "everything"]

DECAY = 0.7
"""What ``layerwise`` multiplies the learning rate by from block to block towards the image.
Clark et al. 2020 (https://arxiv.org/abs/2003.10555) take 0.8 for transformers of 12 blocks, Howard
and Ruder 2018 (https://arxiv.org/abs/1801.06146) 1 / 2.6 for a network of three layers."""

FROM_RUN = ("head",)
"""Settings of a strategy that are for a backbone: a network from a run keeps its own head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A way to fine-tune: its ``name`` on the command line, ``title`` in tables, one ``sentence``.

    ``learns`` is what of the network learns in the end; ``trained`` says it in words.
    ``defaults`` are the settings of a training run (names as in ``TrainRequest``) where they
    differ from the usual ones.
    """

    name: str
    title: str
    sentence: str
    learns: Learns
    trained: str
    defaults: Mapping[str, Any]


_GENTLE: Mapping[str, Any] = {
    "learning_rate": 0.003,
    "optimiser": "adamw",
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 1,
    "pretrained_rate": 0.03,
}
"""What keeps a pretrained layer from being overwritten: a rise from 0, a small part of the head's
rate (about 0.0001 in all), a fall to 0, and decay apart from the gradient."""

_ROWS = (
    Strategy(
        name="svm",
        title="linear SVM",
        sentence="A linear support vector machine on the features, its C chosen on validation, "
        "written into the network as a dense layer.",
        learns="solved head",
        trained="a new last layer, solved",
        defaults={},
    ),
    Strategy(
        name="last",
        title="new head",
        sentence="Everything pretrained stays as it is and is computed once; a new head learns.",
        learns="head",
        trained="the new head",
        defaults={"epochs": 100, "learning_rate": 0.003},
    ),
    Strategy(
        name="last:K",
        title="last layers",
        sentence="The last K layers with weights learn, or the last K blocks (last:2blocks), or "
        "those from a named one on (last:block5); what lies below is computed once.",
        learns="last layers",
        trained="the last K layers",
        defaults={**_GENTLE, "epochs": 30},
    ),
    Strategy(
        name="layerwise",
        title="rates by depth",
        sentence="Everything learns, at a rate that falls with each block towards the image.",
        learns="rates by depth",
        trained="everything, the lower the slower",
        defaults={**_GENTLE, "epochs": 20, "patience": 5},
    ),
    Strategy(
        name="freeze-then-tune",
        title="head, then all",
        sentence="A small head of two layers learns on the frozen network, then everything does "
        "at a small rate.",
        learns="everything",
        trained="a two-layer head, then everything",
        defaults={
            **_GENTLE,
            "head": "avg-512",
            "head_epochs": 20,
            "epochs": 30,
            "patience": 5,
            "pretrained_rate": 1.0,
            "tune_rate": 0.003,
        },
    ),
    Strategy(
        name="all",
        title="everything",
        sentence="Everything learns from the start, what is pretrained at a fraction of the rate.",
        learns="everything",
        trained="everything",
        defaults={**_GENTLE, "epochs": 20, "patience": 5},
    ),
)

STRATEGIES: Mapping[str, Strategy] = {row.name: row for row in _ROWS}
"""Strategies by name, cheapest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A strategy with what was said after its colon.

    Of ``last:K`` one of ``layers`` and ``blocks`` is a number and the other 0, or ``first`` is the
    name of the block or layer that learning begins with; ``decay`` is for ``layerwise``.
    """

    strategy: Strategy
    layers: int = 0
    blocks: int = 0
    first: str = ""
    decay: float = DECAY

    @property
    def trained(self) -> str:
        """What learns, in words."""
        if self.layers or self.blocks:
            count, unit = (self.layers, "layer") if self.layers else (self.blocks, "block")
            return f"the last {unit}" if count == 1 else f"the last {count} {unit}s"
        return f"everything from {self.first} on" if self.first else self.strategy.trained


def tuning(text: str) -> Tuning:
    """What ``last:3``, ``last:2blocks``, ``last:block5``, ``layerwise:0.8`` or a strategy's name
    means.

    Raises:
        UnknownNameError: if there is no such strategy; names the nearest.
        SettingsError: if what follows the colon does not belong there, or is out of its range.
    """
    name, colon, argument = text.partition(":")
    if name not in STRATEGIES:
        raise unknown_name("strategy", text, [*STRATEGIES])
    if name == "last" and colon:
        return _last(text, argument)
    if name == "layerwise" and colon:
        return Tuning(strategy=STRATEGIES[name], decay=_decay(text, argument))
    if colon:
        raise SettingsError(
            f"--tune {text}: strategy {name!r} takes nothing after it, got {argument!r}: write "
            f"--tune {name}"
        )
    return Tuning(strategy=STRATEGIES[name])


def tuned_defaults(text: str | None, *, is_from_run: bool) -> dict[str, Any]:
    """The settings that suit ``--tune text`` (``None``: no strategy), where they differ from the
    usual ones; none for a text that means nothing, which is told elsewhere.
    """
    try:
        found = {} if text is None else dict(tuning(text).strategy.defaults)
    except (LookupError, ValueError):
        return {}
    return {k: v for k, v in found.items() if not (is_from_run and k in FROM_RUN)}


def _last(text: str, argument: str) -> Tuning:
    strategy = STRATEGIES["last:K"]
    number = re.fullmatch(r"(-?\d+) *(layers?|blocks?)?", argument)
    if number is None and argument:
        return Tuning(strategy=strategy, first=argument)
    count = int(number[1]) if number else 0
    if count < 1:
        raise SettingsError(
            f"--tune {text}: at least the last layer must learn, got {argument or 'no number'}: "
            "write last:1 or more, or last for a new head alone"
        )
    if number is not None and (number[2] or "").startswith("block"):
        return Tuning(strategy=strategy, blocks=count)
    return Tuning(strategy=strategy, layers=count)


def _decay(text: str, argument: str) -> float:
    try:
        decay = float(argument)
    except ValueError:
        decay = 0.0
    if not 0 < decay <= 1:
        raise SettingsError(
            f"--tune {text}: the rate must be multiplied by a number above 0 and at most 1 from "
            f"block to block, got {argument!r}: {DECAY} is usual"
        )
    return decay
