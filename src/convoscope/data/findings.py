"""What a data check says: findings as values, each one sentence with the images that prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from convoscope.data.shortcuts import Shortcut

Severity: TypeAlias = Literal["wrong", "look"]
"""``wrong``: figures of a network trained on this would mislead, or training would stop.
``look``: may well be meant like that.
"""

Kind: TypeAlias = Literal[
    "unreadable",
    "leak",
    "near_leak",
    "group_leak",
    "conflict",
    "near_conflict",
    "duplicate",
    "near_duplicate",
    "shortcut",
    "empty_class",
    "untrained_class",
    "untested_class",
    "few_images",
    "imbalance",
    "tiny",
    "size",
    "aspect",
    "mode",
]

_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Images, by their ids, that belong together: to be looked at side by side."""

    caption: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many images have a trait between two neighbouring ``edges``: of a class, and others."""

    edges: tuple[float, ...]
    of_class: tuple[int, ...]
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """A trait that alone gives a class away, in a sentence and as a distribution."""

    shortcut: Shortcut
    sentence: str
    histogram: Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a person should know.

    ``count`` says how many images, groups of images or classes it is about; all images are in
    ``groups``, except those of a shortcut, of which some are. ``head`` is there where it is about
    classes, ``clues`` where shortcuts give one away, the best first.
    """

    kind: Kind
    severity: Severity
    sentence: str
    count: int
    groups: tuple[Group, ...] = ()
    head: str | None = None
    clues: tuple[Clue, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that ``data check --json`` prints for it."""
        content: dict[str, Any] = {
            "kind": self.kind,
            "severity": self.severity,
            "sentence": self.sentence,
            "count": self.count,
            "groups": [{"caption": group.caption, "ids": list(group.ids)} for group in self.groups],
        }
        if self.head is not None:
            content["head"] = self.head
        if self.clues:
            content["clues"] = [
                {
                    **shortcut_json(clue.shortcut),
                    "sentence": clue.sentence,
                    "histogram": asdict(clue.histogram),
                }
                for clue in self.clues
            ]
        return content


def shortcut_json(shortcut: Shortcut) -> dict[str, Any]:
    """A shortcut as an object."""
    return {
        "trait": shortcut.trait,
        "class": shortcut.class_name,
        "accuracy": shortcut.accuracy.to_json(),
        "median": shortcut.typical,
        "median_of_others": shortcut.others,
        "is_suspicious": shortcut.is_suspicious,
    }


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 picture``, ``1,250 pictures``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], at_most: int = _NAMED_AT_MOST) -> str:
    """``a, b and c``, or the first few ``and 4 more``."""
    shown = list(names[:at_most])
    if len(names) > at_most:
        return f"{', '.join(shown)} and {len(names) - at_most:,} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
