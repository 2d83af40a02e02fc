"""What a person says of a source that does not say it itself: columns of a table, shapes of arrays.

Every option is understood by one kind of source, and refused for any other: an option that is
silently left aside would be a wrong result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from convoscope.data.pixel_arrays import ImageShape, Layout
from convoscope.errors import SettingsError

Kind: TypeAlias = Literal["folder", "table", "npz", "idx", "named"]

_KINDS: Mapping[Kind, str] = {
    "folder": "a folder of images",
    "table": "a table",
    "npz": "an .npz file",
    "idx": "a set of idx files",
    "named": "a named set",
}
OPTIONS: Mapping[str, Kind] = MappingProxyType(
    {
        "image_column": "table",
        "label_column": "table",
        "label_pattern": "folder",
        "split_column": "table",
        "image_root": "table",
        "image_shape": "npz",
        "image_layout": "npz",
    }
)
"""Each option, by its name in Python and on the command line, and the kind it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """``image_root`` is the folder that a table's paths start from, its own where it is not said.

    The columns are those of :func:`~convoscope.data.tables.read_table`, the image's shape and
    layout those of :func:`~convoscope.data.npz.read_npz`, the pattern that of
    :mod:`convoscope.data.name_labels`. ``combine_labels`` makes one class of each combination of
    labels, whatever the source is.
    """

    image_column: str | None = None
    label_column: tuple[str, ...] = ()
    label_pattern: str | None = None
    combine_labels: bool = False
    split_column: str | None = None
    image_root: Path | None = None
    image_shape: ImageShape | None = None
    image_layout: Layout | None = None

    def check(self, place: str, kind: Kind) -> None:
        """Refuse what a source of that kind does not understand.

        Raises:
            SettingsError: names the first such option.
        """
        for name, meant in OPTIONS.items():
            if getattr(self, name) and meant != kind:
                raise SettingsError(
                    f"{place}: --{name.replace('_', '-')} is for {_KINDS[meant]}, this is "
                    f"{_KINDS[kind]}: leave it out"
                )


AS_FOUND = Reading()
"""Nothing said: everything is found in the source."""
