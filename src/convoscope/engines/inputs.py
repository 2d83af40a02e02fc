"""What both engines ask of the images they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import SettingsError, ShapeError


def check_images(images: Array, input_shape: Shape) -> None:
    """Nothing, if the images are uint8 or finite floats (N, C, H, W) of the network's input shape.

    Raises:
        ShapeError: if they are not; the message says how.
    """
    expected = "(N, {}, {}, {})".format(*input_shape)
    if not isinstance(images, np.ndarray):
        raise ShapeError(
            f"images must be an array {expected}, got a {type(images).__name__}: "
            "make one with  numpy.asarray(images)"
        )
    if images.ndim != 4 or images.shape[1:] != input_shape:
        raise ShapeError(
            f"images must be {expected}, got an array of shape {images.shape}: "
            + _advice(images.shape, input_shape)
        )
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise ShapeError(
            f"images must be uint8 in 0..255 or floats in [0, 1], got {images.dtype}: "
            + _conversion(images.dtype)
        )
    if images.dtype != np.uint8:
        _check_finite(images)


def default_preprocessing(input_shape: Shape) -> Preprocessing:
    """Of the network's size, values in [0, 1] unchanged; one channel is gray."""
    channels, height, width = input_shape
    return Preprocessing(size=(height, width), order="gray" if channels == 1 else "rgb")


def check_preprocessing(preprocessing: Preprocessing, input_shape: Shape) -> None:
    """Nothing, if the preprocessing gives what the network's first layer takes.

    Raises:
        SettingsError: if its size, its channels, its mean or its sd do not fit.
    """
    channels, *size = input_shape
    if preprocessing.size != tuple(size):
        raise SettingsError(
            f"preprocessing: size must be the network's input size {tuple(size)}, "
            f"got {preprocessing.size}: change one of the two"
        )
    if preprocessing.order == "bgr" and channels != 3:
        raise SettingsError(
            f"preprocessing: order 'bgr' is for 3 channels, the network takes {channels}: "
            "use 'rgb' or 'gray'"
        )
    for name, values in (("mean", preprocessing.mean), ("sd", preprocessing.sd)):
        if len(values) not in (1, channels):
            raise SettingsError(
                f"preprocessing: {name} must have 1 value or one per channel ({channels}), "
                f"got {len(values)}"
            )
    if min(preprocessing.sd) <= 0:
        raise SettingsError(f"preprocessing: sd must be above 0, got {min(preprocessing.sd)}")


def _advice(shape: Shape, input_shape: Shape) -> str:
    if shape == input_shape:
        return "a single image is  image[None]"
    if len(shape) == 4 and (shape[3], shape[1], shape[2]) == input_shape:
        return "move the channels first with  images.transpose(0, 3, 1, 2)"
    return "resize them to the network's input, or build the network with theirs"


def _conversion(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "b":  # as bytes, 1 would be all but black
        return "convert them with  images.astype('float32')"
    return "convert them with  images.astype('uint8')"


def _check_finite(images: Array) -> None:
    bad = ~np.isfinite(images).all(axis=(1, 2, 3))
    if bad.any():
        raise ShapeError(
            f"images must hold finite numbers, got NaN or infinity in image {int(bad.argmax())} "
            f"({int(bad.sum())} of {len(images)} images): leave it out or mend it"
        )
