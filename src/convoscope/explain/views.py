"""One forward pass, looked at from all sides.

Whatever is asked about an image - what the network says, its maps, its strongest neurons, heat
maps and gradients for any number of classes - is read from one :class:`View`::

    with look(network, images, layers=["conv4"], at=["conv4"]) as view:
        said = view.trace.logits["class"].argmax(axis=1)
        heat = heat_maps(view, [ClassLogit("class", tuple(said))])
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from convoscope.architecture.branches import Adopted
from convoscope.arrays import Array, as_unit_float
from convoscope.network import ClassLogit, Network, Target, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A forward pass of ``images`` (N, C, H, W) that is remembered; ``layer`` is the layer of maps
    that methods look at which need one.
    """

    network: Network
    images: Array
    trace: Trace
    layer: str | None = None


@contextmanager
def look(
    network: Network,
    images: Array,
    *,
    targets: Sequence[Target] = (),
    layers: Collection[str] = (),
    layer: str | None = None,
    wrt: Collection[str] = ("images",),
    upto: str | None = None,
) -> Iterator[View]:
    """A view of one pass that knows the outputs of ``layers``, of ``layer`` and of whatever layers
    ``targets`` are in, and can give gradients with respect to ``wrt``. It ends at ``upto``, or goes
    through the heads.

    Raises:
        UnknownNameError: if a layer is not in the network; names the nearest.
        ShapeError: if the images are not the network's.
    """
    images = images if images.dtype == np.uint8 else as_unit_float(images)
    inside = [target.layer for target in targets if not isinstance(target, ClassLogit)]
    own = [] if layer is None else [layer]
    names = tuple(dict.fromkeys([*layers, *own, *inside]))
    with network.trace(images, layers=names, wrt=wrt, upto=upto) as trace:
        yield View(network=network, images=images, trace=trace, layer=layer)


def last_needed(network: Network, targets: Sequence[Target]) -> str | None:
    """The layer at which a pass may end that serves these targets alone; ``None`` for the heads.

    An adopted module may compute a layer several times, and must be left to do so.
    """
    if any(isinstance(layer, Adopted) for layer in network.architecture.layers):
        return None
    layers = [None if isinstance(target, ClassLogit) else target.layer for target in targets]
    order = list(network.layer_names)
    if not layers or any(layer not in order for layer in layers):
        return None
    return max((layer for layer in layers if layer is not None), key=order.index)
