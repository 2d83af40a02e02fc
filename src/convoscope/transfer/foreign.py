"""Foreign arrays as parameters of our own networks: renamed, their axes turned, checked.

>>> foreign = read(Path("vgg19-tfjs"))              # whatever the file calls and turns them
>>> fitted("vgg19", foreign).parameters             # {"block1_conv1.weight": (64, 3, 3, 3), ...}

Which names and layouts belong together, :mod:`convoscope.transfer.naming.origins` lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from convoscope.architecture.graph import (
    Architecture,
    logit_shapes,
    with_classes,
    without_top,
)
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import WeightsError, unknown_name
from convoscope.transfer.naming.matching import Match, has_head, match
from convoscope.transfer.naming.origins import ANY, ORIGINS, Origin
from convoscope.transfer.naming.slots import Slot, slots
from convoscope.transfer.readers import ForeignWeights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A network as a foreign file holds it: what it computes, with which numbers, of which pixels.

    ``origin`` says whose names the file bears, ``preprocessing`` is what the network was trained
    on; ``None`` for files of our own, which do not say.
    """

    origin: str
    architecture: Architecture
    parameters: Mapping[str, FloatArray]
    preprocessing: Preprocessing | None


def fitted(name: str, foreign: ForeignWeights, *, input_shape: Shape | None = None) -> Fitted:
    """The network ``name`` of the zoo as the file's origin renders it, with the file's parameters.

    Its head has as many classes as the file, and it has none where the file was saved without its
    top. ``input_shape`` is the origin's own unless it is given.

    Raises:
        UnknownNameError: if no file of such a network can be read; names the nearest.
        WeightsError: if the file is another network's, or lacks a part.
    """
    if name not in ORIGINS:
        raise unknown_name("network with foreign weights", name, ORIGINS)
    best = _best(_renderings(name, foreign.arrays, input_shape))
    preprocessing = best.origin.preprocessing
    if preprocessing is not None:
        size = best.architecture.input_shape[1], best.architecture.input_shape[2]
        preprocessing = replace(preprocessing, size=size)
    return Fitted(
        origin=best.origin.name,
        architecture=best.architecture,
        parameters=_parameters(best, foreign),
        preprocessing=preprocessing,
    )


def parameters_for(architecture: Architecture, foreign: ForeignWeights) -> dict[str, Array]:
    """``{"layer.parameter": array}`` for every parameter of an architecture, from a foreign file.

    An architecture without heads takes its trunk's, and leaves the file's top alone.

    Raises:
        WeightsError: if the file is another network's, lacks a part, or a shape differs.
    """
    origins = ORIGINS.get(architecture.name, ANY)
    best = _best(match(origin, architecture, foreign.arrays) for origin in origins)
    return _parameters(best, foreign)


def preprocessing_of(architecture: Architecture, foreign: ForeignWeights) -> Preprocessing | None:
    """What a network with these weights is shown; ``None`` where the file's origin is unknown."""
    origins = ORIGINS.get(architecture.name, ANY)
    best = _best(match(origin, architecture, foreign.arrays) for origin in origins)
    if best.origin.preprocessing is None:
        return None
    size = architecture.input_shape[1], architecture.input_shape[2]
    return replace(best.origin.preprocessing, size=size)


def likely(foreign: ForeignWeights) -> str | None:
    """The network of the zoo whose file it seems to be, with or without its top."""
    for name in ORIGINS:
        if _best(_renderings(name, foreign.arrays, None)).fits:
            return name
    return None


def _renderings(
    name: str, arrays: Mapping[str, Array], input_shape: Shape | None
) -> Iterator[Match]:
    """The network in each rendering of each origin: whole if the file has any of its top."""
    for origin in ORIGINS[name]:
        size = origin.preprocessing.size if origin.preprocessing else (224, 224)
        for build in origin.builds:
            rendering = _in_the_file(
                match(origin, build(input_shape or (3, *size)), arrays), arrays
            )
            yield rendering
            if not rendering.found:
                break  # the other renderings bear the same names


def _in_the_file(whole: Match, arrays: Mapping[str, Array]) -> Match:
    """The network with the top that the file has: none, as published, or of other classes."""
    architecture = whole.architecture
    if not has_head(whole):
        return match(whole.origin, without_top(architecture), arrays)
    classes = _other_classes(whole, arrays)
    if classes is None:
        return whole
    return match(whole.origin, with_classes(architecture, classes), arrays)


def _other_classes(whole: Match, arrays: Mapping[str, Array]) -> dict[str, int] | None:
    """How many classes the file has, by its last bias, where not as many as were published."""
    (head,) = whole.architecture.heads
    (published,) = logit_shapes(whole.architecture)[head.name]
    (*_, last) = slots(whole.architecture)
    if last not in whole.found:
        return None
    count = arrays[whole.found[last]].size
    # One more is TensorFlow's class "background".
    return None if count in (published, published + 1) else {head.name: count}


def _best(matches: Iterable[Match]) -> Match:
    """The first that fits, else the one that explains most of what is needed."""
    tried = []
    for found in matches:
        if found.fits:
            return found
        tried.append(found)
    return max(tried, key=lambda m: m.fitting - len(m.missing) - len(m.strange))


def _parameters(best: Match, foreign: ForeignWeights) -> dict[str, Array]:
    _check_complete(best, foreign)
    return {
        slot.name: _arranged(best, slot, name, foreign.arrays[name])
        for slot, name in best.found.items()
    }


def _arranged(best: Match, slot: Slot, name: str, array: FloatArray) -> Array:
    """The array in our order of axes, as an array of its own."""
    try:
        found = best.origin.dialect.arrange(array, slot)
    except ValueError:
        found = array  # of another number of values; told below
    if found.shape != slot.shape:
        raise WeightsError(
            f"{name!r}: layer {slot.layer.name!r} of {best.architecture.name} needs a "
            f"{slot.parameter} of shape {slot.shape}, found {array.shape} in the file, by "
            f"{best.origin.name}'s layout: give weights of the same network, with as many classes "
            "and for the same input size"
        )
    return np.ascontiguousarray(found)


def _check_complete(best: Match, foreign: ForeignWeights) -> None:
    """Raise unless each parameter has an array, and no convolution is left over."""
    wanted = best.architecture.name
    if not best.missing and not best.strange:
        return
    other = likely(foreign)
    advice = (
        f"it fits {other}; choose that network"
        if other and other != wanted
        else "give a file of this network"
    )
    if not best.fitting:
        raise WeightsError(
            f"weights of {wanted} must bear the names of {_origins(wanted)}, found "
            f"{listed(foreign.arrays)}: {advice}"
        )
    if best.missing:
        lacking = [best.expected(slot) for slot in best.missing]
        raise WeightsError(
            f"weights of {wanted} must be there for every layer, {listed(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing among {len(foreign.arrays)} arrays "
            f"named as {best.origin.name} does: {advice}"
        )
    raise WeightsError(
        f"weights of {wanted} must be of its layers alone, the file also has "
        f"{listed(best.strange)}: {advice}"
    )


def _origins(name: str) -> str:
    origins: tuple[Origin, ...] = ORIGINS.get(name, ANY)
    return ", ".join(origin.name for origin in origins)


def listed(names: Iterable[str]) -> str:
    """The first three of some names, and how many more there are."""
    every = list(names)
    shown = ", ".join(map(repr, every[:3]))
    return shown + (f" and {len(every) - 3} more" if len(every) > 3 else "")
