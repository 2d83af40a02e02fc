"""The NumPy engine's network: evaluation, traces and gradients, computed by hand.

The operations are in :mod:`.functional`, where each stands beside its derivative; here they
are put together as the architecture says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from convoscope.architecture.graph import Architecture, Place, unknown_layer, walk
from convoscope.architecture.protocol import Shape
from convoscope.architecture.receptive_field import Box, patch
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.initialise import initial_parameters
from convoscope.engines.inputs import check_images, check_preprocessing, default_preprocessing
from convoscope.engines.numpy.forward import heads, trunk
from convoscope.engines.numpy.operations import Pass, check_computed
from convoscope.engines.numpy.trace import Asked, NumpyTrace, traced
from convoscope.engines.weights import check_parameters
from convoscope.errors import SettingsError
from convoscope.network import Engine, Precision

_PRECISIONS = ("float32", "float64")


def build(
    architecture: Architecture,
    *,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
    parameters: Mapping[str, FloatArray] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
) -> NumpyNetwork:
    """A network on the CPU, from ``parameters`` (copied) or freshly initialised from ``seed``.

    Raises:
        SettingsError: if the device or the precision is not one of this engine's, or the
            preprocessing does not fit.
        ArchitectureError: if a layer is adopted from another framework.
        WeightsError: if ``parameters`` are not this architecture's.
    """
    _check_settings(device, precision)
    check_computed(architecture)
    preprocessing = preprocessing or default_preprocessing(architecture.input_shape)
    check_preprocessing(preprocessing, architecture.input_shape)
    if parameters is None:
        values = initial_parameters(architecture, seed, precision)
    else:
        check_parameters(architecture, parameters)
        values = {
            name: np.array(array, dtype=precision, order="C") for name, array in parameters.items()
        }
    return NumpyNetwork(architecture, preprocessing, values, precision)


class NumpyNetwork:
    """A :class:`~convoscope.network.Network` that owns its parameters, all of one precision."""

    def __init__(
        self,
        architecture: Architecture,
        preprocessing: Preprocessing,
        parameters: Mapping[str, FloatArray],
        precision: Precision,
    ) -> None:
        self._precision = precision
        self._architecture = architecture
        self._preprocessing = preprocessing
        self._parameters = parameters
        self._places = {place.layer.name: place for place in walk(architecture)}

    @property
    def engine(self) -> Engine:
        """``"numpy"``."""
        return "numpy"

    @property
    def architecture(self) -> Architecture:
        """What this network is."""
        return self._architecture

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes its input."""
        return self._preprocessing

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Its layers, in computing order."""
        return tuple(self._places)

    @property
    def device(self) -> str:
        """Always the CPU."""
        return "cpu"

    @property
    def precision(self) -> Precision:
        """``"float32"`` or ``"float64"``."""
        return self._precision

    @property
    def values(self) -> Mapping[str, FloatArray]:
        """Its parameters and running statistics themselves; only its learner may write to them."""
        return self._parameters

    @property
    def places(self) -> Mapping[str, Place]:
        """Where each layer stands."""
        return self._places

    def logits(self, images: Array) -> Mapping[str, FloatArray]:
        """Per head (N, K).

        Raises:
            ShapeError: if the images are not the network's.
        """
        check_images(images, self._architecture.input_shape)
        forward = replace(self._forward(), returns=False)
        layers = self._architecture.layers
        maps, _ = trunk(self._architecture, layers, self._preprocessing, forward).run(images)
        ways = heads(self._architecture, forward)
        return {name: way.run(maps)[0] for name, way in ways.items()}

    @property
    def layer_shapes(self) -> Mapping[str, Shape]:
        """Per layer the shape of its output for one image, (C, h, w) or (K,)."""
        return {name: place.output_shape for name, place in self._places.items()}

    def trace(
        self,
        images: Array,
        *,
        layers: Collection[str] = (),
        upto: str | None = None,
        wrt: Collection[str] = ("images",),
    ) -> NumpyTrace:
        """One forward pass that remembers ``layers`` and the way back to ``wrt``.

        Raises:
            UnknownNameError: if a layer is not in the network; names the nearest.
            ShapeError: if the images are not the network's.
        """
        below = [name for name in wrt if name != "images"]
        for name in [*layers, *below, *([upto] if upto is not None else [])]:
            if name not in self._places:
                raise unknown_layer(name, self.layer_names)
        check_images(images, self._architecture.input_shape)
        forward = replace(
            self._forward(), remembered=frozenset([*layers, *below]), returns=bool(wrt)
        )
        asked = Asked(layers=tuple(layers), upto=upto, wrt=tuple(wrt))
        return traced(self._architecture, self._preprocessing, forward, images, asked)

    def attention(self, images: Array) -> tuple[FloatArray, ...]:
        """Empty: no layer of this engine attends.

        Raises:
            ShapeError: if the images are not the network's.
        """
        check_images(images, self._architecture.input_shape)
        return ()

    def patch(self, layer: str, row: int, column: int) -> Box:
        """See :meth:`convoscope.network.Network.patch`."""
        return patch(self._architecture, layer, row, column)

    def parameters(self) -> Mapping[str, FloatArray]:
        """A copy of each parameter and running statistic."""
        return {name: array.copy() for name, array in self._parameters.items()}

    def with_parameters(self, parameters: Mapping[str, FloatArray]) -> NumpyNetwork:
        """A second network with these values for all or some of the parameters.

        Raises:
            WeightsError: if a name is unknown or a shape differs.
        """
        check_parameters(self._architecture, parameters, some=True)
        values = {
            name: np.array(parameters.get(name, own), dtype=own.dtype, order="C")
            for name, own in self._parameters.items()
        }
        return NumpyNetwork(self._architecture, self._preprocessing, values, self._precision)

    def _forward(self) -> Pass:
        return Pass(parameters=self._parameters, places=self._places, dtype=self.precision)


def _check_settings(device: str, precision: str) -> None:
    if device not in ("auto", "cpu"):
        raise SettingsError(
            f"device: engine 'numpy' computes on the CPU, got {device!r}: "
            "use device='cpu' or engine='torch'"
        )
    if precision not in _PRECISIONS:
        raise SettingsError(
            f"precision: engine 'numpy' computes in {' or '.join(_PRECISIONS)}, got {precision!r}: "
            "use one of them or engine='torch'"
        )
