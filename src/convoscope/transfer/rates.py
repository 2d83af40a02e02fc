"""From a strategy to the rate at which each parameter learns, for any network that has learnt.

A multiplier of 0 is frozen, bytes and all. Parameters that are fresh always learn at the full rate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from convoscope.architecture.graph import Architecture
from convoscope.engines.learning import multipliers
from convoscope.errors import SettingsError, unknown_name
from convoscope.transfer.depth import (
    Unit,
    blocks_of,
    head_units,
    shapes_in_order,
    trunk_units,
)
from convoscope.transfer.freezing import is_statistic
from convoscope.transfer.strategies import Tuning

Norms: TypeAlias = Literal["layer", "still", "adapt"]
"""Whether a pretrained batch norm moves: as its ``layer`` does, never (``still``), or always."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depths:
    """A network by depth: the ``units`` of its trunk and of each head, the nearest to the image
    first; ``fresh`` are the parameters that have not learnt before.
    """

    architecture: Architecture
    units: tuple[Unit, ...]
    heads: Mapping[str, tuple[Unit, ...]]
    names: tuple[str, ...]
    fresh: frozenset[str]

    @property
    def head_names(self) -> frozenset[str]:
        """The parameters of all heads."""
        return _names(unit for units in self.heads.values() for unit in units)

    @property
    def blocks(self) -> tuple[tuple[str, tuple[Unit, ...]], ...]:
        """The blocks of the trunk."""
        return blocks_of(self.units)


def depths(architecture: Architecture, known: Collection[str]) -> Depths:
    """The network by depth, with those parameters ``known`` from before."""
    names = tuple(shapes_in_order(architecture))
    return Depths(
        architecture=architecture,
        units=trunk_units(architecture),
        heads=head_units(architecture),
        names=names,
        fresh=frozenset(names) - frozenset(known),
    )


def tuned_rates(
    depth: Depths,
    tuning: Tuning,
    *,
    pretrained: float = 1.0,
    norms: Norms = "layer",
    asked: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """The multiplier of the learning rate of every parameter.

    What has learnt before learns at ``pretrained`` times the rate, as far as the strategy lets it;
    ``asked`` are a person's own multipliers by prefix, which override.

    Raises:
        SettingsError: if more layers or blocks are to learn than there are.
        UnknownNameError: if learning is to begin at what is not there, or a rate is for it.
    """
    rates = dict.fromkeys(depth.names, 0.0) | _by_strategy(depth, tuning, pretrained)
    normed = _norms(depth)
    if norms != "layer":
        rates |= dict.fromkeys(normed - depth.fresh, pretrained if norms == "adapt" else 0.0)
    rates |= dict.fromkeys(depth.fresh, 1.0)
    return rates | _overriding(depth, asked or {})


def head_rates(depth: Depths, rates: Mapping[str, float]) -> dict[str, float]:
    """The same rates with the whole trunk frozen."""
    return _only(rates, depth.head_names | depth.fresh)


def gradual_rates(depth: Depths, rates: Mapping[str, float]) -> Iterator[dict[str, float]]:
    """The same rates with the trunk's last block that learns unfrozen, then the last two, and so
    on up to all but one of them (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, 3.3).
    """
    blocks = [_names(units) for _, units in depth.blocks]
    learning = [names for names in blocks if any(rates[name] for name in names)]
    unfrozen = depth.head_names | depth.fresh
    for names in learning[:0:-1]:
        unfrozen |= names
        yield _only(rates, unfrozen)


def _by_strategy(depth: Depths, tuning: Tuning, pretrained: float) -> dict[str, float]:
    """The rates of what has learnt before and learns again."""
    match tuning.strategy.learns:
        case "solved head":
            return {}
        case "head":
            return dict.fromkeys(_last_layers(depth, 1), 1.0)
        case "last layers":
            return dict.fromkeys(_last(depth, tuning), pretrained)
        case "everything":
            return dict.fromkeys(depth.names, pretrained)
        case "rates by depth":
            rates = dict.fromkeys(depth.names, pretrained)
            for distance, (_, units) in enumerate(reversed(depth.blocks)):
                rates |= dict.fromkeys(_names(units), pretrained * tuning.decay**distance)
            return rates


def _last(depth: Depths, tuning: Tuning) -> frozenset[str]:
    """The parameters of the last layers or blocks that are asked for."""
    if tuning.first:
        return _from(depth, tuning.first)
    if tuning.layers:
        return _last_layers(depth, tuning.layers)
    blocks = depth.blocks
    _check_count(depth, "block", tuning.blocks, len(blocks))
    of_trunk = (unit for _, units in blocks[-tuning.blocks :] for unit in units)
    return depth.head_names | _names(of_trunk)


def _last_layers(depth: Depths, count: int) -> frozenset[str]:
    """The last ``count`` layers with weights, those of all heads side by side counted once."""
    deepest = max((len(units) for units in depth.heads.values()), default=0)
    _check_count(depth, "layer", count, deepest + len(depth.units))
    of_heads = (unit for units in depth.heads.values() for unit in units[-count:])
    below = count - deepest
    return _names(of_heads) | (_names(depth.units[-below:]) if below > 0 else frozenset())


def _from(depth: Depths, first: str) -> frozenset[str]:
    """The parameters from the layer or block of that name on."""
    for position, unit in enumerate(depth.units):
        if first in (unit.name, unit.block):
            return depth.head_names | _names(depth.units[position:])
    known = dict.fromkeys(name for unit in depth.units for name in (unit.block, unit.name))
    raise unknown_name("block or layer", first, known)


def _check_count(depth: Depths, what: str, asked: int, there: int) -> None:
    if asked > there:
        raise SettingsError(
            f"--tune last:{asked}{'blocks' if what == 'block' else ''}: {depth.architecture.name} "
            f"has {there} {what}s with weights, got {asked}: ask for fewer, or write --tune all"
        )


def _norms(depth: Depths) -> frozenset[str]:
    """The parameters and statistics of batch norms."""
    owners = {name.rpartition(".")[0] for name in depth.names if is_statistic(name)}
    return frozenset(name for name in depth.names if name.rpartition(".")[0] in owners)


def _overriding(depth: Depths, asked: Mapping[str, float]) -> dict[str, float]:
    """What a person's multipliers say, of the parameters that they say something of."""
    low, high = (
        multipliers(depth.architecture, depth.names, {"": usual, **asked}) for usual in (0.0, 1.0)
    )
    return {name: rate for name, rate in low.items() if rate == high[name]}


def _only(rates: Mapping[str, float], unfrozen: Collection[str]) -> dict[str, float]:
    return {name: rate if name in unfrozen else 0.0 for name, rate in rates.items()}


def _names(units: Iterator[Unit] | Sequence[Unit]) -> frozenset[str]:
    return frozenset(name for unit in units for name in unit.parameters)
