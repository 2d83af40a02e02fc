"""The words by which people name the training, validation and test part of their data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from convoscope.data.dataset import SplitName

SPLIT_WORDS: Mapping[str, SplitName] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "trn": "train",
        "val": "validation",
        "valid": "validation",
        "validation": "validation",
        "validate": "validation",
        "dev": "validation",
        "test": "test",
        "testing": "test",
        "tst": "test",
        "t10k": "test",
        "eval": "test",
        "evaluation": "test",
    }
)


def split_named(word: str) -> SplitName | None:
    """The split that people mean by ``word``, whatever its case and signs; None if it is none."""
    return SPLIT_WORDS.get(plain(word))


def plain(word: str) -> str:
    """The letters and digits of ``word`` in lower case: ``"Image_Path"`` is ``"imagepath"``."""
    return re.sub(r"[\W_]+", "", word).casefold()
