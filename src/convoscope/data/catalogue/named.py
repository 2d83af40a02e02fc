"""What a named data set is: its files, who made it, what may be done with it, how it is read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from convoscope.data.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to download, the same at every one of ``urls``.

    ``sha256`` and ``md5`` are as its publisher or a well-known library states them, and ``None``
    where nobody does. ``content_md5`` is that of the file within a ``.gz``, by which a copy that
    somebody has packed again can be told. ``is_archive``: it is unpacked and then thrown away;
    of an archive that holds another one, only what ``inner_archive`` holds is kept.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    content_md5: str | None = None
    is_archive: bool = False
    inner_archive: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether a wrong file would be found out."""
        return self.sha256 is not None or self.md5 is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSet:
    """A row of the catalogue.

    ``images`` and ``classes`` count the whole set. Without ``files`` the set is embedded or
    generated: ``reader``, ``"module:function"``, is called without arguments; else with the folder
    that holds the files. ``counts`` says what the numbers after ``@`` mean. ``class_names``, where
    given, are the only ones that a copy may have; ``pattern`` is the name of the files that belong
    to the set where its images do not lie in files of their own. ``has_own_words``: the reader of a
    set without files is given the whole name, with the words after ``:`` and ``@``.
    """

    name: str
    title: str
    images: int
    classes: int
    pixels: str
    licence: str
    citation: str
    homepage: str
    reader: str
    files: tuple[RemoteFile, ...] = ()
    counts: Literal["in all", "of each class"] = "in all"
    class_names: tuple[str, ...] | None = None
    pattern: str = "*"
    has_own_words: bool = False

    @property
    def is_fetched(self) -> bool:
        """Whether it must be downloaded or copied before it can be used."""
        return bool(self.files)

    @property
    def download_bytes(self) -> int | None:
        """Bytes of all files; ``None`` if a publisher does not say."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def read(self, folder: Path) -> Dataset:
        """The whole set from its files.

        Raises:
            DataError: if the folder does not hold the set.
        """
        return self._named(self._reader()(folder))

    def make(self, words: str) -> Dataset:
        """The set that comes with the program, or is drawn as ``words`` say.

        Raises:
            ConvoscopeError: if the reader does not understand the words.
        """
        if self.has_own_words:
            return self._reader()(words)
        return self._named(self._reader()())

    def _reader(self) -> Callable[..., Dataset]:
        module, function = self.reader.split(":")
        # Imported when asked for: scikit-learn, which has the digits, takes a second.
        reader: Callable[..., Dataset] = getattr(importlib.import_module(module), function)
        return reader

    def _named(self, dataset: Dataset) -> Dataset:
        return replace(dataset, name=self.name)
