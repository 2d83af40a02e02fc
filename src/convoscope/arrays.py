"""Names of arrays, and generators whose numbers depend on a seed and on what they are for.

Randomness is counter-based: the generator for ``(seed, "augment", epoch, index)`` gives the
same numbers whatever was drawn before it, in whatever process, so that a resumed run, or one
with another number of workers, sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
ByteArray: TypeAlias = NDArray[np.uint8]


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator for one purpose: the same ``(seed, *purpose)`` always gives the same numbers."""
    words = "\x1f".join([str(seed), *map(str, purpose)])
    digest = hashlib.blake2b(words.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def as_unit_float(images: Array) -> Array:
    """Images as float in [0, 1]: ``uint8`` is read as v / 255, floats pass unchanged, but for those
    of half precision, whose sums would be coarse: they become float32.
    """
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    return images.astype(np.float32) if images.dtype == np.float16 else images
