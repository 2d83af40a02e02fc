"""A data check as one HTML file: what is wrong, with the pictures that prove it side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from markupsafe import Markup

from convoscope import disk
from convoscope.arrays import ByteArray
from convoscope.data.audit import Audit
from convoscope.data.findings import Clue, Finding, Group, Kind
from convoscope.data.shortcuts import Shortcut
from convoscope.data.traits import TRAITS, named
from convoscope.pictures.bars import interval_bar
from convoscope.pictures.histograms import two_histograms
from convoscope.report import wording
from convoscope.report.heads import Thumbnail, thumbnail
from convoscope.report.shell import fill

GROUPS_SHOWN = 12
PICTURES_SHOWN = 6
SHORTCUTS_SHOWN = 20

TITLES: Mapping[Kind, str] = MappingProxyType(
    {
        "unreadable": "Unreadable files",
        "leak": "The same picture in two splits",
        "near_leak": "Nearly the same picture in two splits",
        "group_leak": "A group in several splits",
        "conflict": "One picture, two labels",
        "near_conflict": "Nearly one picture, two labels",
        "duplicate": "The same picture twice",
        "near_duplicate": "Nearly the same pictures",
        "shortcut": "A shortcut",
        "empty_class": "A class without pictures",
        "untrained_class": "A class that is never trained",
        "untested_class": "A class that is missing in a split",
        "few_images": "Very few pictures",
        "imbalance": "Classes of unequal size",
        "tiny": "Tiny pictures",
        "size": "Unusual sizes",
        "aspect": "Unusual shapes",
        "mode": "Unusual colour modes",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image by its id, as far as it can be shown, with what it is said to be."""

    id: str
    label: str
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Pictures side by side, and how many more there are."""

    caption: str
    pictures: tuple[Picture, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A finding as the page shows it; ``more`` counts the strips that are not there, ``charts``
    are a sentence and a drawing for each clue.
    """

    finding: Finding
    anchor: str
    title: str
    strips: tuple[Strip, ...]
    more: int
    charts: tuple[tuple[str, Markup], ...]

    @property
    def widest(self) -> int:
        """Pictures in the longest strip."""
        return max((len(strip.pictures) for strip in self.strips), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutRow:
    """A row of the table of traits."""

    shortcut: Shortcut
    bar: Markup
    typical: str
    others: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """A row of the table of classes."""

    name: str
    counts: tuple[int, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTables:
    """The tables of one head; ``more`` counts the traits and classes that are not shown."""

    name: str
    classes: tuple[ClassRow, ...]
    shortcuts: tuple[ShortcutRow, ...]
    more: int


def shown_ids(audit: Audit) -> tuple[str, ...]:
    """The images of which the page shows a picture, each once."""
    groups = [group for finding in audit.findings for group in _groups(finding)]
    ids = [id_ for group in groups for id_ in group.ids[:PICTURES_SHOWN]]
    for samples in audit.samples.values():
        ids += [id_ for of_class in samples.values() for id_ in of_class]
    return tuple(dict.fromkeys(ids))


def write(
    path: Path,
    audit: Audit,
    *,
    pictures: Mapping[str, ByteArray],
    described: Mapping[str, str],
) -> Path:
    """Write the page, all of it or nothing, and return its path.

    ``pictures`` (H, W, C) uint8 and ``described``, the labels in words, are those of
    :func:`shown_ids`, by id; a picture that is not there is said to be missing.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    disk.write_text(path, render(audit, pictures=pictures, described=described))
    return path


def render(audit: Audit, *, pictures: Mapping[str, ByteArray], described: Mapping[str, str]) -> str:
    """The page as text."""
    album = {
        id_: Picture(id=id_, label=described.get(id_, ""), thumbnail=thumbnail(pictures, id_))
        for id_ in shown_ids(audit)
    }
    findings = tuple(_shown(n, finding, album) for n, finding in enumerate(audit.findings, 1))
    return fill(
        "data_check.html",
        styles=("data_check.css",),
        run=audit,
        headline=headline(audit),
        wrong=[each for each in findings if each.finding.severity == "wrong"],
        look=[each for each in findings if each.finding.severity == "look"],
        heads=tuple(_tables(audit, head, album) for head in audit.counts),
        facts=tuple(_facts(audit)),
    )


def headline(audit: Audit) -> str:
    """The outcome in half a sentence."""
    wrong, look = len(audit.wrong), len(audit.findings) - len(audit.wrong)
    looks = f"{wording.count(look)} {'needs' if look == 1 else 'need'} a look"
    if wrong:
        things = "thing is" if wrong == 1 else "things are"
        return f"{wording.count(wrong)} {things} wrong" + (f" and {looks}" if look else "")
    if look:
        return f"nothing is wrong, {wording.counted(look, 'thing')} {looks.split(' ', 1)[1]}"
    return "nothing is wrong"


def _shown(number: int, finding: Finding, album: Mapping[str, Picture]) -> Shown:
    groups = _groups(finding)
    return Shown(
        finding=finding,
        anchor=f"finding-{number}",
        title=_title(finding),
        strips=tuple(_strip(group, album) for group in groups),
        more=len(finding.groups) - len(groups),
        charts=tuple((clue.sentence, _chart(clue)) for clue in finding.clues),
    )


def _groups(finding: Finding) -> Sequence[Group]:
    return finding.groups[:GROUPS_SHOWN]


def _strip(group: Group, album: Mapping[str, Picture]) -> Strip:
    ids = group.ids[:PICTURES_SHOWN]
    return Strip(
        caption=group.caption,
        pictures=tuple(album[id_] for id_ in ids),
        more=len(group.ids) - len(ids),
    )


def _title(finding: Finding) -> str:
    if finding.clues:
        traits = [named(clue.shortcut.trait) for clue in finding.clues]
        return f"{finding.clues[0].shortcut.class_name} is given away by {_either(traits)}"
    return TITLES[finding.kind]


def _either(words: Sequence[str]) -> str:
    return wording.together(words).replace(" and ", " or ") if len(words) > 1 else words[0]


def _chart(clue: Clue) -> Markup:
    trait = TRAITS[clue.shortcut.trait]
    return two_histograms(
        clue.histogram.edges,
        clue.histogram.of_class,
        clue.histogram.others,
        names=(clue.shortcut.class_name, "other classes"),
        trait=trait.meaning,
        written=trait.written,
    )


def _tables(audit: Audit, head: str, album: Mapping[str, Picture]) -> HeadTables:
    shortcuts = audit.shortcuts[head]
    return HeadTables(
        name=head,
        classes=tuple(
            ClassRow(
                name=name,
                counts=tuple(counts.values()),
                pictures=tuple(album[id_] for id_ in audit.samples[head][name]),
            )
            for name, counts in audit.counts[head].items()
        ),
        shortcuts=tuple(_shortcut_row(shortcut) for shortcut in shortcuts[:SHORTCUTS_SHOWN]),
        more=max(0, len(shortcuts) - SHORTCUTS_SHOWN),
    )


def _shortcut_row(shortcut: Shortcut) -> ShortcutRow:
    figure, written = shortcut.accuracy, TRAITS[shortcut.trait].written
    assert figure.value is not None
    assert figure.low is not None
    assert figure.high is not None
    return ShortcutRow(
        shortcut=shortcut,
        bar=interval_bar(figure.value, figure.low, figure.high),
        typical=written(shortcut.typical),
        others=written(shortcut.others),
    )


def _facts(audit: Audit) -> Iterator[tuple[str, str]]:
    """What the files are like, as names and values."""
    yield "data", audit.place
    yield (
        "pictures that can be read",
        f"{wording.count(audit.images)} of {wording.count(audit.files)}",
    )
    for name, spread in (("width", audit.width), ("height", audit.height)):
        low, middle, high = (
            wording.count(round(value)) for value in (spread.least, spread.median, spread.largest)
        )
        same = spread.least == spread.largest
        yield name, f"{low} px" if same else f"{low} to {high} px, half of them below {middle}"
    modes = (f"{mode} {wording.count(count)}" for mode, count in audit.modes.items())
    yield "colour modes of the files", ", ".join(modes)
    yield "gray (red = green = blue)", wording.count(audit.gray)
