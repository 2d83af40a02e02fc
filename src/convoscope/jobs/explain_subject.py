"""The network that is looked into: a run's, a pretrained one, or any other, with its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convoscope.architecture.graph import class_count, logit_shapes
from convoscope.errors import RunError, SettingsError, ShapeError
from convoscope.jobs.trained import class_names as names_of_run
from convoscope.jobs.trained import trained_network
from convoscope.network import Engine, Network
from convoscope.runs import Run, open_run
from convoscope.transfer.imagenet import CLASSES
from convoscope.transfer.imagenet import class_names as names_of_imagenet
from convoscope.transfer.pretrained import pretrained


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A network, its class names by head, where it comes from, and the run it is of, if any."""

    network: Network
    class_names: Mapping[str, tuple[str, ...]]
    source: str
    run: Run | None = None


def subject_of(
    of: Run | Network | str | Path | None,
    *,
    backbone: str | None = None,
    class_names: Mapping[str, Sequence[str]] | None = None,
    engine: Engine | None = None,
    device: str = "auto",
) -> Subject:
    """A run, or the folder of one; a network; or the backbone of that name.

    Raises:
        SettingsError: if both or neither of a run and a backbone are named.
        RunError: if the run has no trained model.
        UnknownNameError, WeightsError: if there is no such backbone, or its weights are not here.
        ShapeError: if the class names are not as many as the network's classes.
    """
    if (of is None) == (backbone is None):
        raise SettingsError(
            "explain needs one network, got "
            + ("none" if of is None else f"a run and the backbone {backbone!r}")
            + ": name a run, or a backbone with --backbone"
        )
    if backbone is not None:
        network = pretrained(backbone, engine=engine or "torch", device=device)
        return Subject(network=network, class_names=_checked(network, class_names), source=backbone)
    if isinstance(of, Run | str | Path):
        run = of if isinstance(of, Run) else open_run(of)
        network = trained_network(run, engine=engine, device=device)
        return Subject(
            network=network, class_names=names_of_run(run), source=str(run.path), run=run
        )
    assert of is not None
    name = of.architecture.name
    return Subject(network=of, class_names=_checked(of, class_names), source=name)


def _checked(
    network: Network, class_names: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """The class names of every head: those given, ImageNet's for a thousand, else numbers."""
    architecture = network.architecture
    found: dict[str, tuple[str, ...]] = {}
    for head, (units,) in logit_shapes(architecture).items():
        count = class_count(architecture.head(head), units)
        usual = names_of_imagenet() if count == CLASSES else tuple(map(str, range(count)))
        found[head] = tuple((class_names or {}).get(head, usual))
        if len(found[head]) != count:
            raise ShapeError(
                f"head {head!r}: class_names must name its {count} classes, got "
                f"{len(found[head])} names: give one for each, in the order of the logits"
            )
    if not found:
        raise RunError(
            f"network {architecture.name!r}: only a network with a head says what it sees, this "
            "one has none: use it with its top"
        )
    return found
