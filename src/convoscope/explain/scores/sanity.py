"""Sanity checks: an explanation of a network must change when the network does.

The weights are shuffled, layer by layer from the output down (*cascading*), and one group of
layers at a time (*independent*). A network whose last layers are shuffled cannot tell its classes
apart any more; a picture that looks the same for it shows the image, not what was learnt. Shuffling
within each parameter keeps its scale, so that no layer falls silent or explodes, and needs no
knowledge of how it was initialised.

Ranks are those of the explanations as they are given, with signs: absolute values of gradients
keep the image's edges, the window's strides and the borders whatever the weights are.

Source: Adebayo et al. 2018, https://arxiv.org/abs/1810.03292, sections 3.1 and 3.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, generator
from convoscope.explain.methods import METHODS, view_for
from convoscope.explain.scores.saliency import given, saliencies
from convoscope.explain.scores.similarity import correlation, order, ssim
from convoscope.network import Network, Target

GROUPS: Final = 5
GUIDED: Final = ("guided-backprop", "deconvnet")
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Randomised:
    """How alike M explanations of N images stay as groups of layers lose their weights.

    ``groups`` are layer names, from the output down. ``ranks`` and ``ssims`` are (G, M, N): rank
    correlation and structural similarity with the explanation of the whole network. ``first`` (G,
    M, H, W) are the explanations of the first image, one value per pixel.
    """

    groups: tuple[tuple[str, ...], ...]
    ranks: FloatArray
    ssims: FloatArray
    first: FloatArray


def randomised(
    network: Network,
    images: Array,
    methods: Sequence[str],
    target: Target,
    plain: Sequence[FloatArray],
    layer: str | None = None,
) -> Iterator[tuple[str, Randomised]]:
    """``"cascading"`` and then ``"independent"`` randomisation, against what the M methods gave
    of the network as it is, ``plain``.
    """
    size = (images.shape[2], images.shape[3])
    orders, pictures = [order(values) for values in plain], saliencies(methods, plain, size)
    groups = layer_groups(network)
    for kind in ("cascading", "independent"):
        ranks, ssims, first = [], [], []
        for place, group in enumerate(groups):
            layers = [n for g in groups[: place + 1] for n in g] if kind == "cascading" else group
            other = network.with_parameters(shuffled(network.parameters(), layers))
            found = given(other, images, methods, target, layer)
            ranks.append([correlation(a, order(b)) for a, b in zip(orders, found, strict=True)])
            others = saliencies(methods, found, size)
            ssims.append(ssim(pictures, others))
            first.append(others[:, 0])
        yield (
            kind,
            Randomised(
                groups=groups,
                ranks=np.array(ranks),
                ssims=np.array(ssims),
                first=np.array(first, dtype=np.float32),
            ),
        )


def layer_groups(network: Network) -> tuple[tuple[str, ...], ...]:
    """The layers that have parameters, from the output down, in at most five groups."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in network.parameters()))[::-1]
    count = min(GROUPS, len(layers))
    edges = np.round(np.linspace(0, len(layers), count + 1)).astype(int)
    return tuple(tuple(layers[a:b]) for a, b in itertools.pairwise(edges))


def shuffled(parameters: Mapping[str, FloatArray], layers: Sequence[str]) -> dict[str, FloatArray]:
    """The parameters of some layers, the values of each in an order that is drawn."""
    return {
        name: generator(0, "shuffled", name).permutation(values.ravel()).reshape(values.shape)
        for name, values in parameters.items()
        if name.rpartition(".")[0] in layers
    }


def equal_to_gradient(
    network: Network, images: Array, methods: Sequence[str], target: Target
) -> tuple[str, ...]:
    """Those of the methods that guide the way back and yet give the plain gradient, but for
    rounding: their rule did not act, as where a network's ReLUs cannot be reached.
    """
    guided = [name for name in methods if name in GUIDED]
    if not guided:
        return ()
    with view_for(network, images, ["gradient", *guided], targets=[target]) as view:
        plain = METHODS["gradient"].explain(view, [target])
        most = _ROUNDING * float(np.abs(plain).max(initial=0.0))
        return tuple(
            name
            for name in guided
            if np.abs(METHODS[name].explain(view, [target]) - plain).max(initial=0.0) <= most
        )
