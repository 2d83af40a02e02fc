"""The experiments that come along: each a row of published figures that one command repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convoscope.errors import unknown_name
from convoscope.experiments import row_4, row_11
from convoscope.report.vary_page import Extra
from convoscope.runs import RunRecord
from convoscope.runs.variations import Variations


def _nothing(found: Variations) -> tuple[Extra, ...]:
    return ()


def _no_facts(found: Variations) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Variations by name, and what their page says besides.

    ``data`` says which images it is for; ``extras`` are further sections, ``facts`` further keys
    of its JSON.
    """

    summary: str
    variations: str
    data: str
    extras: Callable[[Variations], tuple[Extra, ...]] = _nothing
    facts: Callable[[Variations], dict[str, Any]] = _no_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A trained network looked into, or one that is trained first: on which images, ``settings``
    say as which network and how.
    """

    summary: str
    data: str
    settings: Mapping[str, Any]


EXPERIMENTS: dict[str, Experiment | Look] = {
    "row-4": Experiment(
        summary="three small networks on photographs, beside the published figures",
        variations="row-4",
        data="five classes of Caltech-101, split into train, val and test",
        extras=row_4.extras,
        facts=lambda found: row_4.outcome(found).to_json(),
    ),
    "row-9d": Experiment(
        summary="what each part of the given network is worth, one thing at a time",
        variations="row-9d",
        data="MNIST, or lines",
    ),
    "row-11": Look(
        summary="what every layer makes of images, what every filter looks for, where answers "
        "come from",
        data="a trained run; or MNIST, or lines",
        settings=row_11.TRAINING,
    ),
}


def experiment(name: str) -> Experiment | Look:
    """The experiment of that name.

    Raises:
        UnknownNameError: if there is none; names the nearest.
    """
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def experiment_of(record: RunRecord) -> Experiment | None:
    """The experiment that a run of variations repeats as it is; ``None`` if it is another one."""
    words = record.command
    if "--named" not in words or "--set" in words:
        return None
    named = words[words.index("--named") + 1]
    varied = (one for one in EXPERIMENTS.values() if isinstance(one, Experiment))
    return next((one for one in varied if one.variations == named), None)
