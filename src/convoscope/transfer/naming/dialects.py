"""How frameworks call a layer's parameters, and in which order they keep the axes.

Axes: ``F`` filters, ``C`` channels, ``k`` kernel rows and columns, ``K`` units.

============  =======================  ==========================  ============================
from          convolution              depthwise                   dense
============  =======================  ==========================  ============================
ours, torch   (F, C, k, k)             (C, 1, k, k)                (K', K), K in the order C H W
Keras         (k, k, C, F)             (k, k, C, 1)                (K, K'), K in the order H W C
TF Lite       (F, k, k, C)             (1, k, k, C)                (K', 1, 1, K)
============  =======================  ==========================  ============================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from convoscope.architecture.layers import Conv2d, Dense
from convoscope.arrays import FloatArray
from convoscope.transfer.naming.slots import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """``spellings`` are what may follow a layer's name, ``arrange`` gives our order of axes.

    ``arrange`` raises ``ValueError`` for an array that cannot be brought into it; what it gives
    still has to be compared with the slot's shape.
    """

    spellings: Callable[[Slot], tuple[str, ...]]
    arrange: Callable[[FloatArray, Slot], FloatArray]


_KERAS: Mapping[str, tuple[str, ...]] = {
    "bias": ("bias",),
    "running_mean": ("moving_mean",),
    "running_var": ("moving_variance",),
    "depthwise": ("depthwise_kernel",),
    "pointwise": ("pointwise_kernel",),
}


def _keras_spellings(slot: Slot) -> tuple[str, ...]:
    names = _KERAS.get(slot.parameter, ("kernel", "depthwise_kernel"))
    if slot.layer.kind == "batch_norm":
        names = {"weight": ("gamma",), "bias": ("beta",)}.get(slot.parameter, names)
    return tuple(f"/{name}" for name in names)


def _from_keras(array: FloatArray, slot: Slot) -> FloatArray:
    if isinstance(slot.layer, Dense) and array.ndim == 2:
        if slot.flattened is None:
            return array.T
        channels, height, width = slot.flattened
        by_place = array.reshape(height, width, channels, -1)  # K = H W C
        return by_place.transpose(3, 2, 0, 1).reshape(array.shape[1], -1)
    if array.ndim != 4:
        return array
    if slot.parameter == "depthwise" or _is_depthwise(slot, array):
        by_channel = array.transpose(2, 3, 0, 1)  # (C, multiplier, k, k)
        return by_channel.reshape(-1, 1, *array.shape[:2])
    return array.transpose(3, 2, 0, 1)


def _is_depthwise(slot: Slot, array: FloatArray) -> bool:
    groups = slot.layer.groups if isinstance(slot.layer, Conv2d) else 1
    return groups > 1 and array.shape[2] == groups


def _torch_spellings(slot: Slot) -> tuple[str, ...]:
    return (f".{slot.parameter}",)


def _from_torch(array: FloatArray, slot: Slot) -> FloatArray:
    """As it is; a dense layer written as a convolution over whole maps is unrolled, C H W."""
    is_unrolled = isinstance(slot.layer, Dense) and array.ndim == 4
    return array.reshape(array.shape[0], -1) if is_unrolled else array


def _from_tflite(array: FloatArray, slot: Slot) -> FloatArray:
    """The first of 1001 classes is "background", which ours do not have."""
    if isinstance(slot.layer, Dense):
        flat = array.reshape(array.shape[0], -1) if array.ndim == 4 else array
        return flat[1:] if len(flat) == slot.shape[0] + 1 else flat
    if array.ndim != 4:
        return array
    if isinstance(slot.layer, Conv2d) and slot.layer.groups > 1:
        return array.transpose(3, 0, 1, 2)
    return array.transpose(0, 3, 1, 2)


KERAS = Dialect(spellings=_keras_spellings, arrange=_from_keras)
TORCH = Dialect(spellings=_torch_spellings, arrange=_from_torch)
TFLITE = Dialect(spellings=_torch_spellings, arrange=_from_tflite)
