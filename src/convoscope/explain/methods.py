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

import numpy as np

from convoscope.arrays import Array, FloatArray, as_unit_float
from convoscope.errors import ExplainError, unknown_name
from convoscope.explain.attention_rollout import attention_rollout, check_attention
from convoscope.explain.cam import cam, check_cam
from convoscope.explain.deconvnet import deconvnet
from convoscope.explain.grad_cam import enlarge, heat_maps
from convoscope.explain.grad_cam_plus_plus import grad_cam_plus_plus
from convoscope.explain.guided_backprop import guided_gradient
from convoscope.explain.integrated_gradients import integrated_gradients
from convoscope.explain.layer_cam import layer_cam
from convoscope.explain.layers import map_shape, target_layer
from convoscope.explain.occlusion import occlusion
from convoscope.explain.smooth_grad import smooth_grad
from convoscope.explain.views import View, look
from convoscope.network import Network, Target

Explain: TypeAlias = Callable[[View, Sequence[Target]], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A row of the table.

    ``gives`` is ``"map"``, (T, N, h, w), as coarse as the method sees, or ``"gradient"``,
    (T, N, C, H, W). ``asks`` says with respect to what it needs gradients of the view's own pass:
    the images, the view's layer, or neither. ``colours`` says how a pixel's channels are one value
    where a method is scored: the ``"largest"`` absolute one for a sensitivity, the ``"sum"`` for
    shares of an answer. ``check`` raises an :class:`~convoscope.errors.ExplainError` for a network
    that the method cannot explain.
    """

    explain: Explain
    title: str
    sentence: str
    gives: Literal["map", "gradient"]
    asks: tuple[Literal["images", "layer"], ...] = ()
    colours: Literal["largest", "sum"] = "largest"
    check: Callable[[Network], object] = lambda network: None

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
    """Explain T targets for N images: (T, N, H, W) or (T, N, C, H, W), as the method gives; maps
    are enlarged to the images' size.

    ``layer`` is, for methods that look at one, by default the
    :func:`~convoscope.explain.layers.target_layer`.

    Raises:
        UnknownNameError: if there is no such method, layer or head; names the nearest.
        ExplainError: if the method cannot be used on this network or layer.
        SettingsError: if a target is out of range, or not downstream of the layer.
        ShapeError: if the images are not the network's.
    """
    with view_for(network, images, [method], targets=targets, layer=layer) as view:
        found = METHODS[method].explain(view, targets)
    if METHODS[method].gives == "gradient":
        return found
    return enlarge(found, (images.shape[2], images.shape[3]))


def usable(network: Network) -> tuple[str, ...]:
    """The methods that can explain a network, in the table's order."""
    found = []
    for name, method in METHODS.items():
        try:
            method.check(network)
            if method.needs_layer:
                target_layer(network)
        except ExplainError:
            continue
        found.append(name)
    return tuple(found)


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
    return heat_maps(view, targets, view.layer)


def _guided_grad_cam(view: View, targets: Sequence[Target]) -> FloatArray:
    """Selvaraju et al. 2017, section 3.2."""
    height, width = view.images.shape[2:]
    heat = enlarge(_grad_cam(view, targets), (height, width))
    product: FloatArray = guided_gradient(view, targets) * heat[:, :, None]
    return product


def _has_relus(network: Network) -> None:
    blank = np.zeros((1, *network.architecture.input_shape), dtype=np.uint8)
    with look(network, blank) as view:
        guided_gradient(view, [])


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
        check=_has_relus,
    ),
    "guided-grad-cam": Method(
        explain=_guided_grad_cam,
        title="Guided Grad-CAM",
        sentence="Guided backpropagation where Grad-CAM finds the class: fine, and of the class.",
        gives="gradient",
        asks=("images", "layer"),
        check=_has_relus,
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
        colours="sum",
    ),
    "grad-cam++": Method(
        explain=grad_cam_plus_plus,
        title="Grad-CAM++",
        sentence="Grad-CAM that gives several instances of the class, large and small, their due.",
        gives="map",
        asks=("layer",),
    ),
    "layer-cam": Method(
        explain=layer_cam,
        title="LayerCAM",
        sentence="Grad-CAM with a weight for every place; stays sharp in early layers too.",
        gives="map",
        asks=("layer",),
    ),
    "cam": Method(
        explain=cam,
        title="CAM",
        sentence="How each place adds to the class's logit, exactly: the head averages over them.",
        gives="map",
        check=check_cam,
    ),
    "attention-rollout": Method(
        explain=attention_rollout,
        title="Attention rollout",
        sentence="Which patches the answer has its information from; the same for every class.",
        gives="map",
        check=check_attention,
    ),
    "occlusion": Method(
        explain=occlusion,
        title="Occlusion",
        sentence="How far the answer falls where a gray square covers the picture; slow, and "
        "needs no gradient.",
        gives="map",
    ),
    "deconvnet": Method(
        explain=deconvnet,
        title="Deconvnet",
        sentence="The network run backwards; draws what is in the picture more than what decides.",
        gives="gradient",
        asks=("images",),
        check=_has_relus,
    ),
    "smooth-grad": Method(
        explain=smooth_grad,
        title="SmoothGrad",
        sentence="The gradient, averaged over noisy copies of the picture until it is quiet.",
        gives="gradient",
    ),
    "integrated-gradients": Method(
        explain=integrated_gradients,
        title="Integrated gradients",
        sentence="Each pixel's share of what the picture adds to the answer that black gets.",
        gives="gradient",
        colours="sum",
    ),
}
