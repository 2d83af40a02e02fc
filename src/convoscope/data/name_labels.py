r"""Image folders whose labels stand in the files' names, read by a pattern.

``{length}_{width}_{angle}_{colour}_{id}`` reads ``1_1_9_0_3.jpg``: each name in braces is a field,
and every field is a head. ``{id}`` is a number and ``{_}`` any text: both are no labels.
``{split}`` says what the image is for; without it the first folder says that, where it is named
train, test and so on for all images. A pattern with slashes is compared with as many of the last
folders as it has slashes. What braces cannot say a regular expression can, with the fields as its
named groups: ``(?P<species>[a-z]+)-?\d*``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convoscope.data.class_indices import number_words
from convoscope.data.dataset import Dataset, SplitName
from convoscope.data.folders import images_below, path_text
from convoscope.data.split_words import split_named
from convoscope.errors import DataError, SettingsError, placed

_FIELD = re.compile(r"\{([^{}]*)\}")
_NUMBER, _ANYTHING, _SPLIT = "id", "_", "split"
_NAMED_AT_MOST = 3
_EXAMPLE = "'{length}_{width}_{id}'"


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern, understood: ``text`` as given, ``fields`` that are labels, in their order."""

    text: str
    expression: re.Pattern[str]
    fields: tuple[str, ...]
    folders: int

    def read(self, path: PurePosixPath) -> dict[str, str] | None:
        """The fields of an image by its path below the data folder; ``None`` if it has none."""
        parts = path.with_suffix("").parts[-self.folders - 1 :]
        found = self.expression.fullmatch("/".join(parts))
        return None if found is None else found.groupdict()


def name_pattern(text: str) -> NamePattern:
    """The pattern that a person writes.

    Raises:
        SettingsError: if it has no field that is a label, a field twice, or cannot be read.
    """
    with placed(f"label_pattern {text!r}"):
        is_expression = "(?P<" in text
        expression = text if is_expression else _translated(text)
        try:
            compiled = re.compile(expression)
        except re.error as error:
            raise SettingsError(
                f"a pattern must be readable, and each field be there once, reading it gave "
                f"{error}: mend it"
            ) from error
        fields = tuple(f for f in compiled.groupindex if f not in (_NUMBER, _SPLIT))
        if not fields:
            raise SettingsError(
                "a pattern must have a field in braces for each label, besides {id}, {_} and "
                f"{{split}}, got none: write it like {_EXAMPLE}"
            )
        return NamePattern(text, compiled, fields, text.count("/"))


def read_named(root: Path, pattern: str, *, name: str | None = None) -> Dataset:
    """The images below ``root`` whose names fit the pattern, a head per field.

    A single field is a head of its own name too. Images whose names do not fit are left out, with
    a note. Nothing is decoded.

    Raises:
        SettingsError: as :func:`name_pattern` does.
        DataError: if there is no such folder, no image fits, or a field has one value only.
    """
    understood = name_pattern(pattern)
    files, notes = images_below(root)
    with placed(str(root)):
        paths = [PurePosixPath(path_text(root, file)) for file in files]
        read = [understood.read(path) for path in paths]
        kept = [row for row, fields in enumerate(read) if fields is not None]
        _check_found(pattern, paths, kept)
        values = [fields for fields in read if fields is not None]
        heads = {field: number_words([v[field] for v in values]) for field in understood.fields}
        for field, (_, names) in heads.items():
            _check_varies(pattern, field, names)
        ids = [str(paths[row]) for row in kept]
        return Dataset(
            name=name or root.resolve().name,
            root=root,
            ids=tuple(ids),
            labels={field: indices for field, (indices, _) in heads.items()},
            class_names={field: names for field, (_, names) in heads.items()},
            files=tuple(files[row] for row in kept),
            given_split=_splits(ids, values),
            notes=(*notes, *_left_out(pattern, paths, kept)),
        )


def _translated(text: str) -> str:
    """A pattern in braces as a regular expression.

    Raises:
        SettingsError: if a field's name is none, or there twice, or two fields touch.
    """
    literals, names = _FIELD.split(text)[::2], _FIELD.findall(text)
    for literal in literals:
        if {"{", "}"} & set(literal):
            raise SettingsError(
                f"each {{ must have its }}, got {literal!r} outside the fields: close the brace"
            )
    for name in names:
        if not name.isidentifier():
            raise SettingsError(
                "a field's name must be letters, digits and _ and begin with no digit, got "
                f"{{{name}}}: rename it, or write {{_}} for text that is no label"
            )
    twice = [n for n, count in Counter(names).items() if count > 1 and n != _ANYTHING]
    if twice:
        raise SettingsError(
            f"each field must be there once, {{{twice[0]}}} is there {names.count(twice[0])} "
            "times: rename one, or write {_} for text that is no label"
        )
    if "" in literals[1:-1]:
        raise SettingsError(
            "between two fields must stand some text that tells where one ends, got two that "
            f"touch: write it like {_EXAMPLE}, or a regular expression with (?P<name>...)"
        )
    parts = [re.escape(literals[0])]
    for name, literal in zip(names, literals[1:], strict=True):
        parts += [_expression(name), re.escape(literal)]
    return "".join(parts)


def _expression(name: str) -> str:
    if name == _ANYTHING:
        return "[^/]*?"
    return rf"(?P<{name}>\d+)" if name == _NUMBER else f"(?P<{name}>[^/]+?)"


def _splits(
    ids: Sequence[str], values: Sequence[Mapping[str, str]]
) -> tuple[SplitName, ...] | None:
    """What each image is for, where its name or its first folder says so."""
    if _SPLIT in values[0]:
        words = [found[_SPLIT] for found in values]
        for id_, word in zip(ids, words, strict=True):
            if split_named(word) is None:
                raise DataError(
                    f"{id_}: the field split must be a word such as train, validation or test, "
                    f"got {word!r}: rename the file, or write {{_}} in the pattern"
                )
    else:
        words = [PurePosixPath(id_).parts[0] for id_ in ids]
    found = tuple(split for word in words if (split := split_named(word)) is not None)
    return found if len(found) == len(ids) and "train" in found else None


def _check_found(pattern: str, paths: Sequence[PurePosixPath], kept: Sequence[int]) -> None:
    if kept:
        return
    if not paths:
        raise DataError("there must be images in the folder, found none: check the path")
    raise DataError(
        f"label_pattern {pattern!r} must fit the images' names without their suffix, it fits none "
        f"of {len(paths)}, such as {str(paths[0])!r}: mend it"
    )


def _check_varies(pattern: str, field: str, names: Sequence[str]) -> None:
    if len(names) < 2:
        raise DataError(
            f"label_pattern {pattern!r}: a label must have at least two values to tell apart, "
            f"{{{field}}} is {names[0]!r} in every name: write {{_}} there, or add images"
        )


def _left_out(pattern: str, paths: Sequence[PurePosixPath], kept: Sequence[int]) -> tuple[str, ...]:
    others = [str(paths[row]) for row in sorted(set(range(len(paths))) - set(kept))]
    if not others:
        return ()
    more = ", ..." if len(others) > _NAMED_AT_MOST else ""
    return (
        f"{len(others)} of {len(paths)} images were left out, their names do not fit "
        f"{pattern!r}: {', '.join(others[:_NAMED_AT_MOST])}{more}",
    )
