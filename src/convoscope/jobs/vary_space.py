"""What is varied: factors and their levels, from the command line or from a YAML file.

::

    summary: one thing at a time
    model: given-net
    settings: {epochs: 10, batch: 64}
    combine: one-at-a-time                      # or grid: every level with every other
    variations:
      filter size:
        layers.conv1.kernel_size: [7, 2, 3, 5]  # an address and its values
      pooling:                                  # or levels by name, each with its changes
        max pooling: {}
        strided convolution:
          layers: [{replace: pool1, with: [{kind: conv2d, filters: 32, stride: 2}]}]

An address is ``layers.NAME.FIELD``, ``layers`` (edits, see
:mod:`convoscope.architecture.variation`), ``model.options.OPTION``, or the name of a setting of
training, with ``training.`` before it or not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from convoscope.architecture.decoding import shown
from convoscope.architecture.documents import parse_yaml
from convoscope.errors import SettingsError, placed, unknown_name
from convoscope.jobs.request import option_text, option_value
from convoscope.runs.variations import PlannedVariant

Combine: TypeAlias = Literal["grid", "one-at-a-time"]
AS_IT_IS = "as it is"
LARGEST = 500

_KEYS = ("summary", "model", "settings", "combine", "variations")
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One thing that a factor can be: the values of some addresses; none leaves all as it is."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One thing that is varied. Where its levels are values of a single address, that is
    ``address``; the level that leaves all as it is may then be missing.
    """

    name: str
    levels: tuple[Level, ...]
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Factors, how their levels are combined, and what is changed in all variants (``fixed``)."""

    factors: tuple[Factor, ...]
    combine: Combine = "grid"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def from_sets(texts: Sequence[str]) -> Space:
    """The space of ``ADDRESS=VALUE,VALUE,...`` texts; a single value holds for all variants.

    Raises:
        SettingsError: if a text is not like that, or an address or a value is there twice.
    """
    factors: list[Factor] = []
    fixed: dict[str, Any] = {}
    for text in texts:
        address, sign, said = text.partition("=")
        values = [word.strip() for word in said.split(",")]
        if not sign or not address.strip() or not all(values):
            raise SettingsError(
                "--set: must be followed by ADDRESS=VALUE,VALUE such as "
                f"layers.conv1.kernel_size=3,5, got {text!r}: write it like that"
            )
        address = address.strip()
        if address in fixed or address in {factor.address for factor in factors}:
            raise SettingsError(
                f"--set: each address must be there once, {address!r} is there twice: keep one"
            )
        read = [_value(address, word) for word in values]
        if len(read) == 1:
            fixed[address] = read[0]
        else:
            factors.append(values_of(address, read))
    return Space(factors=_named_apart(factors), fixed=fixed)


def of_values(values: Mapping[str, Sequence[Any]]) -> Space:
    """The grid of addresses and their values.

    Raises:
        SettingsError: if an address has no value, or one twice.
    """
    return Space(
        factors=_named_apart([values_of(address, list(said)) for address, said in values.items()])
    )


def first_network(space: Space) -> dict[str, str]:
    """The setting that names the first network, where ``model`` or ``backbone`` is varied."""
    for factor in space.factors:
        named = (factor.address or "").removeprefix("training.")
        if named in ("model", "backbone"):
            assert factor.address is not None
            return {named: str(factor.levels[0].changes[factor.address])}
    return {}


def read_space(file: Path) -> Space:
    """The space that a YAML file describes.

    Raises:
        SettingsError: if there is no such file, or something in it is not what it must be.
        UnknownNameError: if a key is unknown; names the nearest.
        ArchitectureError: if it is not YAML.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file}: variations must be a readable YAML file, reading it gave {error}: name one"
        ) from error
    with placed(str(file)):
        content = parse_yaml(text)
        if not isinstance(content, Mapping):
            raise SettingsError(f"there must be a mapping with variations, got {shown(content)}")
        for key in content:
            if key not in _KEYS:
                raise unknown_name("key of variations", key, _KEYS)
        return Space(
            factors=_factors(content.get("variations")),
            combine=_combine(content.get("combine", "one-at-a-time")),
            model=_word("model", content.get("model")),
            settings=_mapping("settings", content.get("settings") or {}),
        )


def joined(first: Space, second: Space) -> Space:
    """Both spaces at once: the second's words count where both say something."""
    factors = (*first.factors, *second.factors)
    names = [factor.name for factor in factors]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(
            f"each thing that is varied must be there once, {min(twice)!r} is there twice: keep one"
        )
    return replace(
        first,
        factors=factors,
        fixed={**first.fixed, **second.fixed},
        model=second.model or first.model,
        settings={**first.settings, **second.settings},
    )


def values_of(address: str, values: Sequence[Any], *, name: str | None = None) -> Factor:
    """The factor of an address and its values.

    Raises:
        SettingsError: if there is no value, or one is there twice.
    """
    names = [value_text(value) for value in values]
    called = name or short(address)
    if not names:
        raise SettingsError(f"{called}: there must be values to try, got none: write some")
    _check_once(called, names)
    levels = tuple(
        Level(name=text, changes={address: value})
        for text, value in zip(names, values, strict=True)
    )
    return Factor(name=called, levels=levels, address=address)


def variants(factors: Sequence[Factor], combine: Combine) -> tuple[PlannedVariant, ...]:
    """Every variant, the one of all first levels first.

    Raises:
        SettingsError: if nothing is varied, or there are too many to be meant.
    """
    if not factors or all(len(factor.levels) < 2 for factor in factors):
        raise SettingsError(
            "there must be something to vary, got no address with two values: say --set "
            "layers.conv1.kernel_size=3,5 or --named FILE"
        )
    counts = [len(factor.levels) for factor in factors]
    chosen = list(itertools.islice(_choices(factors, combine), LARGEST + 1))
    if len(chosen) > LARGEST:
        raise SettingsError(
            f"there must be at most {LARGEST} variants, got {' x '.join(map(str, counts))}: vary "
            "less, or --one-at-a-time"
        )
    names: list[str] = []
    return tuple(_planned(factors, levels, names) for levels in chosen)


def value_text(value: Any) -> str:
    """A value as one writes it."""
    if value is None:
        return "none"
    is_plain = isinstance(value, (bool, int, float, str))
    return option_text(value) if is_plain else shown(value)


def short(address: str) -> str:
    """An address as one says it: ``conv1 kernel_size``."""
    for prefix in ("layers.", "training.", "model.options."):
        address = address.removeprefix(prefix)
    return address.replace(".", " ")


def _choices(factors: Sequence[Factor], combine: Combine) -> Iterator[tuple[Level, ...]]:
    if combine == "grid":
        yield from itertools.product(*(factor.levels for factor in factors))
        return
    base = tuple(factor.levels[0] for factor in factors)
    yield base
    for place, factor in enumerate(factors):
        for level in factor.levels[1:]:
            yield (*base[:place], level, *base[place + 1 :])


def _planned(
    factors: Sequence[Factor], levels: Sequence[Level], names: list[str]
) -> PlannedVariant:
    changes: dict[str, Any] = {}
    for level in levels:
        changes = merged(changes, level.changes)
    by_factor = {f.name: level.name for f, level in zip(factors, levels, strict=True)}
    told = [
        f"{f.name} {level.name}"
        for f, level in zip(factors, levels, strict=True)
        if level is not f.levels[0]
    ]
    name = _folder(" ".join(told) or AS_IT_IS, names)
    names.append(name)
    return PlannedVariant(name=name, levels=by_factor, changes=changes)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both changes; edits of layers are done one after the other."""
    edits = [*first.get("layers", ()), *second.get("layers", ())]
    return {**first, **second} | ({"layers": edits} if edits else {})


def _folder(label: str, taken: Sequence[str]) -> str:
    """A label in letters that every disk and shell takes, and unlike those before it."""
    stem = re.sub(r"[^\w.]+", "-", label).strip("-.")[:_LONGEST_NAME] or "variant"
    name, number = stem, 1
    while name.casefold() in {other.casefold() for other in taken}:
        number += 1
        name = f"{stem}-{number}"
    return name


def _factors(content: object) -> tuple[Factor, ...]:
    named = _mapping("variations", content)
    if not named:
        raise SettingsError("variations: there must be something to vary, got none: name it")
    return tuple(_factor(name, said) for name, said in named.items())


def _factor(name: str, content: object) -> Factor:
    where = f"variations: {name!r}"
    levels = _mapping(where, content)
    if len(levels) == 1 and isinstance(values := next(iter(levels.values())), list):
        with placed("variations"):
            return values_of(next(iter(levels)), values, name=name)
    return Factor(
        name=name,
        levels=tuple(
            Level(name=level, changes=_changes(f"{where}: {level!r}", changes))
            for level, changes in levels.items()
        ),
    )


def _changes(where: str, content: object) -> dict[str, Any]:
    changes = _mapping(where, {} if content is None else content)
    if "layers" in changes and not isinstance(changes["layers"], list):
        raise SettingsError(
            f"{where}: layers must be a list of edits such as {{remove: norm1}}, got "
            f"{shown(changes['layers'])}: write a list"
        )
    return changes


def _mapping(where: str, content: object) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise SettingsError(f"{where}: must hold names with what they mean, got {shown(content)}")
    return dict(content)


def _word(key: str, content: object) -> str | None:
    if content is not None and not isinstance(content, str):
        raise SettingsError(f"{key} must be a name or a file, got {shown(content)}: write a word")
    return content


def _combine(content: object) -> Combine:
    for known in get_args(Combine):
        if content == known:
            return known  # type: ignore[no-any-return]
    raise unknown_name("way to combine", str(content), get_args(Combine))


def _value(address: str, word: str) -> Any:
    is_field = address.startswith("layers.")
    return None if is_field and word in ("none", "null") else option_value(word)


def _check_once(where: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(
                f"{where}: each value must be there once, {name!r} is there "
                f"{names.count(name)} times: keep one of them"
            )


def _named_apart(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """Factors whose short names are one keep their whole addresses."""
    names = [factor.name for factor in factors]
    return tuple(
        replace(factor, name=str(factor.address)) if names.count(factor.name) > 1 else factor
        for factor in factors
    )
