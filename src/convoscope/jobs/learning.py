"""A prepared run's network taught: where it starts from, the loop or the solver, the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from convoscope import engines
from convoscope.engines.learning import multipliers
from convoscope.errors import WeightsError
from convoscope.jobs.lessons import phases, stage_network
from convoscope.jobs.prepare import Prepared
from convoscope.jobs.probe import Keep, Probe, check_probed
from convoscope.jobs.progress import Progress
from convoscope.jobs.recorder import Recorder
from convoscope.jobs.solving import check_solvable, solve_heads
from convoscope.network import Network
from convoscope.runs import open_run
from convoscope.training.outcome import FitResult
from convoscope.training.phases import fit_phases

FreshNetwork: TypeAlias = tuple[Network, tuple[str, ...]]
"""A network to train, and sentences on where its parameters come from."""

Taught: TypeAlias = tuple[FitResult, tuple[str, ...]]
"""What training gave, and sentences on what was chosen."""


def fresh_network(prepared: Prepared) -> FreshNetwork:
    """The network that training starts from.

    Of one that has learnt before it is what its frozen front leaves to be taught in the end.

    Raises:
        WeightsError: if the run to start from has no parameter that fits.
        UnknownNameError: if a learning rate is for parameters that are not there.
        SettingsError: if its heads are to be solved, and cannot be, or probe images are asked for
            and it does not see images.
    """
    network, said = _fresh(prepared)
    check_probed(prepared, network)
    return network, said


def _fresh(prepared: Prepared) -> FreshNetwork:
    request, adapted = prepared.request, prepared.adapted
    if adapted is not None:
        if adapted.is_solved:
            check_solvable(prepared.architecture)
        return stage_network(prepared, adapted.last), adapted.said_of_start()
    network = engines.build(
        prepared.architecture,
        preprocessing=prepared.preprocessing,
        engine=request.engine,
        seed=request.seed,
        device=request.device,
        precision=request.precision,
    )
    # The learner checks them too, but only when the run has its folder.
    multipliers(prepared.architecture, tuple(network.parameters()), request.rate)
    if request.from_run is None:
        return network, ()
    return _started_from(network, Path(request.from_run))


def teach(
    network: Network,
    prepared: Prepared,
    recorder: Recorder,
    should_stop: Callable[[], bool],
    progress: Progress,
) -> Taught:
    """Train the network, from the recorder's checkpoint if it has one; or solve its heads."""
    if prepared.adapted is not None and prepared.adapted.is_solved:
        solution = solve_heads(network, prepared, progress)
        return solution.result, solution.notes()
    lessons, start = phases(prepared, network), recorder.start()
    keep: Keep = recorder.keep
    if prepared.request.probe:
        probe = Probe(recorder.run, prepared, network)
        lessons, keep = tuple(map(probe.follow, lessons)), probe.before(recorder.keep)
        probe.begin(network, start)
    # A loss that overflows is found and said by the loop; NumPy's warnings would only be noise.
    with np.errstate(over="ignore", invalid="ignore"):
        result = fit_phases(
            lessons,
            listen=recorder.listen,
            keep=keep,
            recall=recorder.recall,
            start=start,
            should_stop=should_stop,
        )
    return _whole(result, network), ()


def _whole(result: FitResult, network: Network) -> FitResult:
    """The result with the parameters that the phase of its best epoch left as they began."""
    if result.parameters is None:
        return result
    began = network.parameters()
    if result.parameters.keys() == began.keys():
        return result
    return replace(result, parameters={**began, **result.parameters})


def _started_from(network: Network, path: Path) -> FreshNetwork:
    theirs, ours = open_run(path).parameters(), network.parameters()
    taken = {
        name: array
        for name, array in theirs.items()
        if name in ours and ours[name].shape == array.shape
    }
    if not taken:
        raise WeightsError(
            f"{path}: to start from a run, some of its parameters must have the name and shape of "
            f"{network.architecture.name}'s, none of its {len(theirs)} has: choose another run"
        )
    fresh = sorted({name.rpartition(".")[0] for name in ours if name not in taken})
    rest = f"; freshly initialised: {', '.join(fresh)}" if fresh else ""
    note = f"started from the parameters of {path} ({len(taken)} of {len(ours)}){rest}"
    return network.with_parameters(taken), (note,)
