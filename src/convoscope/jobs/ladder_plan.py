"""What a ladder is asked, and the rungs that follow from it: checked, and their time estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convoscope.data.dataset import SplitName
from convoscope.errors import ConvoscopeError, SettingsError, WeightsError
from convoscope.jobs.adapted import Adapted, adapt
from convoscope.jobs.ladder_estimate import seconds_per_image, tuned_seconds
from convoscope.jobs.ladder_trainings import budget_seconds
from convoscope.jobs.prepare import Prepared, choose_architecture
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.settings import gathered
from convoscope.jobs.source import asked_dataset
from convoscope.jobs.starting import asked_start
from convoscope.jobs.trained import check_has_network
from convoscope.runs import open_run
from convoscope.runs.ladder import PlannedRung
from convoscope.transfer.catalogue import backbone
from convoscope.transfer.store import needed
from convoscope.transfer.strategies import STRATEGIES, tuning

USUAL = ("svm", "last", "last:3", "layerwise", "freeze-then-tune", "all")
"""The strategies that are climbed unless others are named."""

OWN = tuple(
    sorted(
        {"backbone", "from_run", "tune", "head", "views", "augment"}
        | {name for row in STRATEGIES.values() for name in row.defaults}
    )
)
"""Settings in which the rungs of a ladder may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A network that has learnt before: its ``name``, and the ``settings`` that ask for it."""

    name: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a ladder is asked: from which ``backbones``, and from the networks of which ``runs``.

    ``words`` are those of the command line that say it.
    """

    backbones: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    strategies: tuple[str, ...] = USUAL
    seeds: int = 3
    budget: str | None = None
    climbs_all: bool = False
    words: tuple[str, ...] = ()

    @property
    def beginnings(self) -> tuple[Beginning, ...]:
        """All that strategies start from; a run is called by its folder's name."""
        return (
            *(Beginning(name=name, settings={"backbone": name}) for name in self.backbones),
            *(
                Beginning(name=path.name, settings={"from_run": str(path)})
                for path in (Path(run).expanduser().absolute() for run in self.runs)
            ),
        )


def check_asked(asked: Asked) -> float | None:
    """Refuse what is no ladder; the budget in seconds.

    Raises:
        SettingsError: if a number or a list of names is none.
        UnknownNameError: if there is no such backbone or strategy; names the nearest.
        RunError: if a run to start from has no network.
        WeightsError: if the weights of a backbone are not at hand; says how to get them.
    """
    budget = budget_seconds(asked.budget)
    if asked.seeds < 1:
        raise SettingsError(f"--seeds must be at least 1, got {asked.seeds}: 3 show luck")
    if not asked.beginnings:
        raise SettingsError(
            "--backbone: a ladder starts from networks that have learnt before, got none: name "
            "one or more, such as vgg19,squeezenet1_0, or runs of your own by --from"
        )
    starts = tuple(beginning.name for beginning in asked.beginnings)
    for option, names in (("--backbone and --from", starts), ("--strategies", asked.strategies)):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SettingsError(
                f"{option}: each must be there once, {twice!r} is there twice: keep one"
            )
    for strategy in asked.strategies:
        tuning(strategy)
    for name in asked.backbones:
        needed(backbone(name).name)
    for run in asked.runs:
        check_has_network(open_run(run))
    return budget


def planned(
    asked: Asked,
    data: str | Path | None,
    settings_file: str | Path | None,
    settings: Mapping[str, Any],
) -> list[tuple[PlannedRung, TrainRequest | None]]:
    """Each strategy from each beginning, with its request where it can be.

    Raises:
        SettingsError: if none of them can be.
        ConvoscopeError: if a setting is wrong for all of them.
    """
    found = [
        _planned(one, strategy, data, settings_file, settings)
        for one in asked.beginnings
        for strategy in asked.strategies
    ]
    if all(request is None for _, request in found):
        raise SettingsError(f"no rung of this ladder can be: {found[0][0].refusal}")
    return found


def estimated(
    rungs: Sequence[tuple[PlannedRung, TrainRequest | None]], whole: Prepared, seeds: int
) -> tuple[PlannedRung, ...]:
    """Each with about how long it takes, the cheapest first; those that cannot be come last."""
    found = list(_estimated(rungs, whole, seeds))
    return tuple(sorted(found, key=lambda rung: (rung.refusal is not None, rung.seconds)))


def counts_of(prepared: Prepared) -> dict[SplitName, int]:
    """Images by split."""
    return {split: len(rows) for split, rows in prepared.splits.indices.items()}


def adapted_for(request: TrainRequest) -> Adapted:
    """The network that has learnt before which a request asks for, before any image is decoded.

    Raises:
        ConvoscopeError: if it cannot be.
    """
    start, dataset = asked_start(request), asked_dataset(request)
    assert start is not None, "a rung starts from a network that has learnt before"
    return adapt(request, start, choose_architecture(request, dataset), dataset)


def suited(strategy: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings for all that mean something to a strategy.

    Few epochs leave some for each of its stages; a machine that is solved once varies nothing.
    """
    row = tuning(strategy).strategy
    own = dict(settings)
    if row.learns == "solved head":
        return {name: value for name, value in own.items() if name not in ("augment", "views")}
    first, epochs = row.defaults.get("head_epochs", 0), own.get("epochs")
    if epochs is not None and "head_epochs" not in own and first >= int(epochs):
        own["head_epochs"] = max(1, int(epochs) // 3)
    return own


def folder_word(text: str) -> str:
    """A network's or strategy's name in letters that every disk takes."""
    return text.replace(":", "-").replace("/", "-").replace(" ", "")


def _planned(
    beginning: Beginning,
    strategy: str,
    data: str | Path | None,
    settings_file: str | Path | None,
    settings: Mapping[str, Any],
) -> tuple[PlannedRung, TrainRequest | None]:
    rung = PlannedRung(
        folder=f"rungs/{folder_word(beginning.name)}/{folder_word(strategy)}",
        backbone=beginning.name,
        strategy=strategy,
        settings={},
    )
    own = suited(strategy, settings) | {**beginning.settings, "tune": strategy}
    request = gathered(data, None, settings_file, own)
    asked_dataset(request)
    try:
        adapted_for(request)
    except WeightsError:
        raise
    except ConvoscopeError as error:
        return replace(rung, refusal=str(error)), None
    return replace(rung, settings={name: getattr(request, name) for name in OWN}), request


def _estimated(
    rungs: Sequence[tuple[PlannedRung, TrainRequest | None]], whole: Prepared, seeds: int
) -> Iterator[PlannedRung]:
    pace: dict[str, float] = {}
    for rung, request in rungs:
        if request is None:
            yield rung
            continue
        adapted = adapted_for(request)
        if rung.backbone not in pace:
            pace[rung.backbone] = seconds_per_image(
                adapted.architecture, adapted.preprocessing, request
            )
        features, rest = tuned_seconds(
            adapted, per_image=pace[rung.backbone], counts=counts_of(whole)
        )
        yield replace(
            rung,
            seconds=features + seeds * rest,
            feature_seconds=features,
            front=_front(adapted),
        )


def _front(adapted: Adapted) -> str:
    """What decides the features of an image: rungs that agree in it share them."""
    layers = sorted({stage.front.layer for stage in adapted.stages if stage.front is not None})
    request = adapted.request
    views = [f"{request.views} views", request.augment] if request.views > 1 else []
    return " ".join([adapted.start.name, *layers, *views]) if layers else ""
