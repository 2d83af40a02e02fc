"""The waist: a network as its readers see it, and a network that is being trained.

Everything above this file (training, explaining, jobs) asks a :class:`Network`, its
:class:`Trace` or a :class:`Learner` and never knows which engine computes. What they are asked
for are values: targets, an optimiser, losses. What they answer is NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

from convoscope.architecture.graph import Architecture
from convoscope.architecture.protocol import Shape
from convoscope.architecture.receptive_field import Box
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import SettingsError

ReluRule: TypeAlias = Literal["plain", "guided", "deconvnet"]
Engine: TypeAlias = Literal["torch", "numpy"]
Precision: TypeAlias = Literal["float32", "float64", "bfloat16"]
OptimiserKind: TypeAlias = Literal["sgd", "adam", "adamw"]


@dataclass(frozen=True, slots=True)
class ClassLogit:
    """The logit of a class of a head; ``classes`` is one index, or one per image."""

    head: str
    classes: int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Neuron:
    """One cell of a layer's output; each index is one for all images, or one per image.

    In a layer that gives a vector, ``channel`` is the unit and row and column are 0.
    """

    layer: str
    row: int | tuple[int, ...]
    column: int | tuple[int, ...]
    channel: int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """The mean of one map of a layer's output; ``channel`` is one index, or one per image."""

    layer: str
    channel: int | tuple[int, ...]


Target: TypeAlias = ClassLogit | Neuron | Channel


class Trace(Protocol):
    """One remembered forward pass; a context manager that leaves the network as it found it."""

    @property
    def activations(self) -> Mapping[str, FloatArray]:
        """Per asked layer its output, (N, C, h, w) or (N, K), after the layer's own activation."""
        ...

    @property
    def logits(self) -> Mapping[str, FloatArray]:
        """Per head (N, K); empty if the pass stopped before the heads."""
        ...

    @property
    def rectifies(self) -> bool:
        """Whether the way back can come through a ReLU, where the ReLU rules differ."""
        ...

    def gradient(
        self, targets: Sequence[Target], *, wrt: str = "images", relu_rule: ReluRule = "plain"
    ) -> FloatArray:
        """The derivative of each of T targets: (T, N, ...) with the shape of ``wrt``.

        ``wrt`` is ``"images"`` (per unit of an image in [0, 1], in the image's channel order) or a
        traced layer, and the way back ends there. With ``"guided"``, every ReLU passes only
        positive gradients where its input was positive (Springenberg et al. 2015,
        https://arxiv.org/abs/1412.6806); with ``"deconvnet"``, positive gradients wherever they
        are (Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901).

        Raises:
            UnknownNameError: if a target's or ``wrt``'s layer, or a head, is not in the network.
            SettingsError: if ``wrt`` is a layer that was not traced, the trace was not made for
                gradients with respect to it, the target does not lie downstream of it, or an index
                is out of range.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Network(Protocol):
    """A CNN as its readers see it. It computes in evaluation mode and never changes.

    Images are uint8 (read as v / 255) or floats in [0, 1], (N, C, H, W) by shape and of any
    strides, so that a view of an (N, H, W, C) memory map costs nothing.
    """

    @property
    def engine(self) -> Engine: ...

    @property
    def device(self) -> str:
        """Where it computes: ``"cpu"``, ``"cuda:1"``."""
        ...

    @property
    def precision(self) -> Precision: ...

    @property
    def architecture(self) -> Architecture: ...

    @property
    def preprocessing(self) -> Preprocessing: ...

    @property
    def layer_names(self) -> tuple[str, ...]: ...

    @property
    def layer_shapes(self) -> Mapping[str, Shape]:
        """Per layer, in computing order, the shape of its output for one image as a trace gives
        it: (C, h, w) or (K,).
        """
        ...

    def logits(self, images: Array) -> Mapping[str, FloatArray]:
        """Per head the logits (N, K) of images (N, C, H, W).

        Raises:
            ShapeError: if the images are not (N, C, H, W) of the architecture's input shape, or of
                an integer type other than uint8.
        """
        ...

    def trace(
        self,
        images: Array,
        *,
        layers: Collection[str] = (),
        upto: str | None = None,
        wrt: Collection[str] = ("images",),
    ) -> Trace:
        """ONE forward pass that remembers ``layers``; ends at ``upto``, or goes through the heads.

        Gradients can be asked with respect to what ``wrt`` names: layers, whether they are in
        ``layers`` or not, and ``"images"``, which stands for every layer in ``layers`` too. What
        lies below all of them is computed as :meth:`logits` does, and forgotten: a trace for the
        gradients of a late layer, or of none, costs little time and memory.

        Raises:
            UnknownNameError: if a layer is not in the network; names the nearest.
        """
        ...

    def attention(self, images: Array) -> tuple[FloatArray, ...]:
        """What tokens attend to: the weights of each attention, in computing order, (N, heads, T,
        T) with rows that add up to 1; empty for a network without any. Windows of tokens that
        attend among themselves alone stand one behind another, (N windows, heads, T, T).

        Raises:
            ShapeError: if the images are not the network's.
        """
        ...

    def patch(self, layer: str, row: int, column: int) -> Box:
        """The box around the pixels that can reach a cell of a layer's output; all 0 if none can.

        Raises:
            UnknownNameError: if the layer is not in the network; names the nearest.
            SettingsError: if the layer's maps have no such cell.
        """
        ...

    def parameters(self) -> Mapping[str, FloatArray]:
        """``{"layer.parameter": array}``: all that learning changes, with running statistics."""
        ...

    def with_parameters(self, parameters: Mapping[str, FloatArray]) -> Network:
        """A second network with these values for all or some of the parameters.

        Raises:
            WeightsError: if a name is unknown or a shape differs.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimiser:
    """Which rule turns gradients into steps. ``weight_decay`` is L2 for sgd and adam (added to the
    gradient) and decoupled for adamw (Loshchilov and Hutter 2019,
    https://arxiv.org/abs/1711.05101); it applies to weights, not to biases and batch norm.
    """

    kind: OptimiserKind = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise SettingsError(
                f"learning_rate must be above 0 and finite, got {self.learning_rate}"
            )
        if not 0 <= self.momentum < 1:
            raise SettingsError(f"momentum must be at least 0 and below 1, got {self.momentum}")
        if self.momentum and self.kind != "sgd":
            raise SettingsError(
                f"momentum is for optimiser 'sgd', got {self.momentum} with {self.kind!r}: leave "
                "momentum out, or choose sgd"
            )
        if not self.weight_decay >= 0:
            raise SettingsError(f"weight_decay must be at least 0, got {self.weight_decay}")
        if self.nesterov and not self.momentum:
            raise SettingsError("nesterov needs momentum above 0, got 0: set momentum, say to 0.9")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLoss:
    """A head's part of the loss: categorical cross-entropy for a softmax head, binary for a sigmoid
    one, mean over the images whose label is known, times ``weight``.

    ``class_weights`` (one per class) multiply each image's loss by its class's weight, and the
    mean is over the weights; ``label_smoothing`` mixes the label with the uniform distribution.
    """

    head: str
    weight: float = 1.0
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0


class Learner(Protocol):
    """A network being trained: an optimiser, a loss per head, and a multiplier of the learning rate
    per parameter prefix (0 = frozen: neither its weights nor its batch norm's statistics move).
    """

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    @property
    def network(self) -> Network:
        """The network as it is now, for evaluation; the same weights, not a copy."""
        ...

    def step(self, images: Array, labels: Mapping[str, Array], *, rate: float = 1.0) -> None:
        """One step on a batch, at ``rate`` times the optimiser's learning rate.

        ``labels`` per head: int (N,), -1 where not known, or soft float (N, K), a row of -1 where
        not known. Does not wait for the device.
        """
        ...

    def drain_losses(self) -> FloatArray:
        """The losses of the steps since the last call, (steps,)."""
        ...

    def state(self) -> Mapping[str, Array]:
        """Parameters, buffers, optimiser and step: all that resuming needs, as copies."""
        ...

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Go on from a state, bit for bit.

        Raises:
            WeightsError: if it is another network's or another optimiser's.
        """
        ...
