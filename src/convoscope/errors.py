"""Every exception of convoscope, in one tree.

::

    ConvoscopeError
    ├── ShapeError          (ValueError)    sizes that do not fit together
    ├── ArchitectureError   (ValueError)    a network description that says something impossible
    ├── SettingsError       (ValueError)    a setting or an argument out of its range
    ├── UnknownNameError    (LookupError)   a name nobody knows, with the nearest known one
    ├── DataError           (ValueError)    a data set that cannot be used as it is
    │   ├── UnreadableImageError            an image file that cannot be decoded
    │   └── LeakError                       the same picture in two splits
    ├── WeightsError        (ValueError)    parameters that do not belong to the network
    ├── RunError            (ValueError)    a run folder that is missing, half-written or newer
    ├── DivergedError       (ArithmeticError)  a loss that is no longer a finite number
    ├── StorageError        (OSError)       a disk that is full or cannot be written
    ├── DownloadError       (OSError)       a file that no address gives as it should be
    ├── ExplainError        (ValueError)    an explanation that this network or layer cannot give
    ├── ReconciliationError (AssertionError)   two figures of one report that disagree
    └── MissingDependencyError (ImportError)   an optional library that is not installed

Each is also the built-in it is, so ``except ValueError`` works. A message has four parts
in one sentence: where - the law - what was found - what to do. Inner code knows the law
and the values; a caller that knows *where* adds it with :func:`placed`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class ConvoscopeError(Exception):
    """A mistake that one sentence explains; the command line shows it without a traceback."""


class ShapeError(ConvoscopeError, ValueError):
    """Sizes that do not fit together."""


class ArchitectureError(ConvoscopeError, ValueError):
    """A network description that says something impossible."""


class SettingsError(ConvoscopeError, ValueError):
    """A setting or an argument out of its range."""


class UnknownNameError(ConvoscopeError, LookupError):
    """A name nobody knows; the message ends with the nearest known one."""


class DataError(ConvoscopeError, ValueError):
    """A data set that cannot be used as it is."""


class UnreadableImageError(DataError):
    """An image file that cannot be decoded."""


class LeakError(DataError):
    """The same picture in two splits."""


class WeightsError(ConvoscopeError, ValueError):
    """Parameters that do not belong to the network."""


class RunError(ConvoscopeError, ValueError):
    """A run folder that is missing, half-written or of a newer version."""


class DivergedError(ConvoscopeError, ArithmeticError):
    """A loss that is no longer a finite number."""


class StorageError(ConvoscopeError, OSError):
    """A disk that is full or cannot be written."""


class DownloadError(ConvoscopeError, OSError):
    """A file that could not be fetched, or is not the right one."""


class ExplainError(ConvoscopeError, ValueError):
    """An explanation that this network or layer cannot give."""


class ReconciliationError(ConvoscopeError, AssertionError):
    """Two figures of one report that disagree."""


class MissingDependencyError(ConvoscopeError, ImportError):
    """An optional library that is not installed."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for ``name``, which is no known ``what``; names the nearest one, or all of them."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    advice = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(names)}"
    return UnknownNameError(f"there is no {what} {name!r}: {advice}")


def first_few(names: Sequence[str], at_most: int = 3) -> str:
    """``a, b, c and 4 more``: names for a sentence."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return f"{', '.join(names[:at_most])}{more}"


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Prefix the message of a :class:`ConvoscopeError` raised inside with ``where: ``."""
    try:
        yield
    except ConvoscopeError as error:
        raise type(error)(f"{where}: {error}") from error
