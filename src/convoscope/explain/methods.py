"""Every way to explain a network, as one table, behind one call.

A method is a row: its name, what it is called in a page, one sentence about it, what it gives,
and a function of a view and targets. A method that needs other images than those of the view, or
other passes, finds the network and the images in the view.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from convoscope.arrays import Array, FloatArray, as_unit_float
from convoscope.errors import unknown_name
from convoscope.explain.grad_cam import enlarge, heat_maps
from convoscope.explain.guided_backprop import guided_gradient
from convoscope.explain.layers import map_shape, target_layer
from convoscope.explain.views import View, look
from convoscope.network import Network, Target

Explain: TypeAlias = Callable[[View, Sequence[Target]], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A row of the table.

    ``gives`` is ``"map"``, (T, N, H, W), one value per pixel, or ``"gradient"``, (T, N, C, H, W).
    ``asks`` says with respect to what it needs gradients: the images, the view's layer, or both.
    """

    explain: Explain
    title: str
    sentence: str
    gives: Literal["map", "gradient"]
    asks: tuple[Literal["images", "layer"], ...]

    @property
    def needs_layer(self) -> bool:
        """Whether it looks at a layer of maps."""
        return "layer" in self.asks


def explain(
    network: Network,
    images: Array,
    method: str,
    targets: Sequence[Target],
    layer: str | None = None,
) -> FloatArray:
    """Explain T targets for N images: (T, N, H, W) or (T, N, C, H, W), as the method gives.

    ``layer`` is, for methods that look at one, by default the
    :func:`~convoscope.explain.layers.target_layer`.

    Raises:
        UnknownNameError: if there is no such method, layer or head; names the nearest.
        ExplainError: if the method cannot be used on this network or layer.
        SettingsError: if a target is out of range, or not downstream of the layer.
        ShapeError: if the images are not the network's.
    """
    with view_for(network, images, [method], targets=targets, layer=layer) as view:
        return METHODS[method].explain(view, targets)


@contextmanager
def view_for(
    network: Network,
    images: Array,
    methods: Collection[str],
    *,
    targets: Sequence[Target] = (),
    layers: Collection[str] = (),
    layer: str | None = None,
) -> Iterator[View]:
    """One forward pass for several methods, which also knows the outputs of ``layers``.

    Raises:
        UnknownNameError: if there is no such method or layer; names the nearest.
        ExplainError: if ``layer`` gives no maps, or there is none to choose.
        ShapeError: if the images are not the network's.
    """
    for name in methods:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    rows = [METHODS[name] for name in methods]
    if any(row.needs_layer for row in rows):
        layer = target_layer(network) if layer is None else layer
        map_shape(network, layer)
    asked = {ask for row in rows for ask in row.asks}
    wrt = [*(["images"] if "images" in asked else []), *([layer] if "layer" in asked else [])]
    with look(
        network,
        images,
        targets=targets,
        layers=layers,
        layer=layer,
        wrt=[name for name in wrt if name is not None],
    ) as view:
        yield view


def _gradient(view: View, targets: Sequence[Target]) -> FloatArray:
    return view.trace.gradient(targets)


def _input_x_gradient(view: View, targets: Sequence[Target]) -> FloatArray:
    """Shrikumar et al. 2016, https://arxiv.org/abs/1605.01713."""
    product: FloatArray = view.trace.gradient(targets) * as_unit_float(view.images)
    return product


def _grad_cam(view: View, targets: Sequence[Target]) -> FloatArray:
    assert view.layer is not None, "the view was made for this method"
    height, width = view.images.shape[2:]
    return enlarge(heat_maps(view, targets, view.layer), (height, width))


def _guided_grad_cam(view: View, targets: Sequence[Target]) -> FloatArray:
    """Selvaraju et al. 2017, section 3.2."""
    product: FloatArray = guided_gradient(view, targets) * _grad_cam(view, targets)[:, :, None]
    return product


METHODS: dict[str, Method] = {
    "grad-cam": Method(
        explain=_grad_cam,
        title="Grad-CAM",
        sentence="Where the evidence for the class lies, as coarse as the layer's maps.",
        gives="map",
        asks=("layer",),
    ),
    "guided-backprop": Method(
        explain=guided_gradient,
        title="Guided backpropagation",
        sentence="Which pixels excite the target; fine, but mostly the edges of whatever is there.",
        gives="gradient",
        asks=("images",),
    ),
    "guided-grad-cam": Method(
        explain=_guided_grad_cam,
        title="Guided Grad-CAM",
        sentence="Guided backpropagation where Grad-CAM finds the class: fine, and of the class.",
        gives="gradient",
        asks=("images", "layer"),
    ),
    "gradient": Method(
        explain=_gradient,
        title="Gradient",
        sentence="How much the target would change with each pixel; exact, and noisy to look at.",
        gives="gradient",
        asks=("images",),
    ),
    "input-x-gradient": Method(
        explain=_input_x_gradient,
        title="Input x gradient",
        sentence="The gradient times the pixel: its share of the answer, were the network linear.",
        gives="gradient",
        asks=("images",),
    ),
}
