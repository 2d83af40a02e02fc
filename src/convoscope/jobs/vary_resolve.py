"""From planned variants to trainings: each one's request and network, or why it cannot be.

All of it is arithmetic: nothing is decoded or computed before every variant is known to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from convoscope.architecture.files import to_yaml
from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.variation import varied
from convoscope.data.augment import POLICIES
from convoscope.data.dataset import Dataset
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.learning import multipliers
from convoscope.errors import ConvoscopeError, SettingsError, UnknownNameError, unknown_name
from convoscope.jobs import settings
from convoscope.jobs.adapted import adapt
from convoscope.jobs.prepare import choose_architecture, preprocessing_for
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.starting import asked_start
from convoscope.jobs.vary_address import changed, own_value
from convoscope.jobs.vary_space import AS_IT_IS, Factor, Level, Space, value_text
from convoscope.runs.variations import PlannedVariant


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resolved:
    """A variant that can be trained; ``is_changed`` says that its layers are not its model's."""

    planned: PlannedVariant
    request: TrainRequest
    architecture: Architecture
    preprocessing: Preprocessing
    is_changed: bool


def with_bases(space: Space, base: TrainRequest, dataset: Dataset) -> tuple[Factor, ...]:
    """The factors with the level first that the others are compared with.

    That is the value that stands there anyway, or the level without changes. Where none of a
    factor's levels is that, one at a time gets it as a further level; a grid starts with the first
    one written.

    Raises:
        UnknownNameError: if an address names nothing.
    """

    @cache
    def architecture() -> Architecture:
        # Made where a layer is asked for alone: options may be what makes it possible at all.
        return choose_architecture(base, dataset)

    return tuple(_with_base(factor, space, base, architecture) for factor in space.factors)


def resolve_each(
    planned: Sequence[PlannedVariant], base: TrainRequest, dataset: Dataset
) -> tuple[tuple[Resolved, ...], tuple[PlannedVariant, ...]]:
    """The variants that can be trained, and those that cannot, each with its sentence.

    Raises:
        UnknownNameError: if an address names nothing in any variant that has it.
        SettingsError: if no variant can be trained, or two are the same.
    """
    good: list[Resolved] = []
    refused: list[PlannedVariant] = []
    errors: dict[str, ConvoscopeError] = {}
    for variant in planned:
        try:
            good.append(resolved(variant, base, dataset))
        except ConvoscopeError as error:
            refused.append(replace(variant, refusal=str(error)))
            errors[variant.name] = error
    _check_addresses(planned, good, errors)
    if not good:
        reasons = "; ".join(f"{variant.label}: {variant.refusal}" for variant in refused)
        raise SettingsError(
            f"at least one variant must be possible, none of {len(planned)} is: {reasons}"
        )
    _check_differ(good)
    return tuple(good), tuple(refused)


def resolved(planned: PlannedVariant, base: TrainRequest, dataset: Dataset) -> Resolved:
    """The training of one variant.

    Raises:
        ConvoscopeError: if it cannot be; says why.
    """
    change = changed(base.to_json(), planned.changes)
    request = settings.request(change.settings)
    if request.augment not in POLICIES:
        raise unknown_name("augmentation", request.augment, POLICIES)
    architecture = choose_architecture(request, dataset)
    if change.is_architecture:
        architecture = varied(architecture, change.values, change.edits)
    names = [
        f"{place.layer.name}.{parameter}"
        for place in walk(architecture)
        for parameter in place.layer.parameter_shapes(place.input_shape)
    ]
    multipliers(architecture, names, request.rate)
    if (start := asked_start(request)) is not None:
        adapt(request, start, architecture, dataset)  # refuses stages and views that cannot be
    return Resolved(
        planned=planned,
        request=request,
        architecture=architecture,
        preprocessing=preprocessing_for(architecture, request),
        is_changed=change.is_architecture,
    )


def _with_base(
    factor: Factor, space: Space, base: TrainRequest, architecture: Callable[[], Architecture]
) -> Factor:
    if factor.address is not None:
        try:
            own = own_value(factor.address, base, architecture)
        except UnknownNameError:
            if _varies_model(space):  # it may be in another network
                return factor
            raise
        name = AS_IT_IS if own is None and factor.address.startswith("model") else value_text(own)
    else:
        empty = [level.name for level in factor.levels if not level.changes]
        name = empty[0] if empty else AS_IT_IS
    first = [level for level in factor.levels if level.name == name]
    if not first and space.combine == "grid":
        return factor
    rest = [level for level in factor.levels if level.name != name]
    return replace(factor, levels=(*(first or [Level(name=name)]), *rest))


def _varies_model(space: Space) -> bool:
    changes = (level.changes for factor in space.factors for level in factor.levels)
    return any("model" in change for change in changes)


def _check_addresses(
    planned: Sequence[PlannedVariant],
    good: Sequence[Resolved],
    errors: dict[str, ConvoscopeError],
) -> None:
    """An address at which nothing ever is was misspelt; it is no impossible variant."""
    possible = {address for one in good for address in one.planned.changes}
    for variant in planned:
        error = errors.get(variant.name)
        if isinstance(error, UnknownNameError) and not variant.changes.keys() & possible:
            raise error


def _check_differ(good: Sequence[Resolved]) -> None:
    seen: dict[str, PlannedVariant] = {}
    for one in good:
        key = f"{_without_model(one.request)}{to_yaml(one.architecture)}"
        if key in seen:
            raise SettingsError(
                f"each variant must be another training, {one.planned.label!r} and "
                f"{seen[key].label!r} are the same: leave one out"
            )
        seen[key] = one.planned


def _without_model(request: TrainRequest) -> dict[str, Any]:
    return {k: v for k, v in request.to_json().items() if k not in ("model", "set")}
