"""The NumPy engine's learner: forward, backward, and a step of the optimiser, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from convoscope.architecture.graph import walk
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array, FloatArray
from convoscope.engines.inputs import check_images
from convoscope.engines.learning import (
    LossTerms,
    batch_terms,
    check_losses,
    multipliers,
    undecayed,
)
from convoscope.engines.numpy.composition import Gradients
from convoscope.engines.numpy.forward import back_through_all, heads, trunk
from convoscope.engines.numpy.functional import sigmoid_cross_entropy, softmax_cross_entropy
from convoscope.engines.numpy.journey import Journey
from convoscope.engines.numpy.network import NumpyNetwork
from convoscope.engines.numpy.operations import Pass
from convoscope.engines.numpy.optimisers import Rates, advance, moment_names
from convoscope.engines.weights import check_shapes, dropout_mask
from convoscope.network import HeadLoss, Network, Optimiser


def learner(
    network: Network,
    *,
    optimiser: Optimiser,
    losses: Sequence[HeadLoss],
    rates: Mapping[str, float],
    seed: int = 0,
) -> NumpyLearner:
    """A learner that starts from a copy of the network's parameters, in its precision.

    Raises:
        UnknownNameError: if a loss's head, or the layer of a rate, is not in the network.
        SettingsError: if class weights are not one per class, or a rate is below 0.
    """
    check_losses(network.architecture, losses)
    assert isinstance(network, NumpyNetwork), "engines.learner asks the network's own engine"
    own = NumpyNetwork(
        network.architecture, network.preprocessing, network.parameters(), network.precision
    )
    return NumpyLearner(own, optimiser, tuple(losses), rates, seed)


class NumpyLearner:
    """A :class:`~convoscope.network.Learner` on one machine; it changes its network in place."""

    def __init__(
        self,
        network: NumpyNetwork,
        optimiser: Optimiser,
        losses: Sequence[HeadLoss],
        rates: Mapping[str, float],
        seed: int,
    ) -> None:
        self._network = network
        self._optimiser = optimiser
        self._loss_rules = losses
        self._seed = seed
        self._steps = 0
        self._losses: list[float] = []
        self._rates = multipliers(network.architecture, _trainable(network), rates)
        self._undecayed = undecayed(network.architecture)
        self._moments = {
            name: {
                moment: np.zeros_like(network.values[name]) for moment in moment_names(optimiser)
            }
            for name in self._learning
        }

    @property
    def rank(self) -> int:
        """0: there is one machine."""
        return 0

    @property
    def world_size(self) -> int:
        """1: there is one machine."""
        return 1

    @property
    def network(self) -> NumpyNetwork:
        """The network as it is now, with the same weights, not a copy."""
        return self._network

    def step(self, images: Array, labels: Mapping[str, Array], *, rate: float = 1.0) -> None:
        """One step on images (N, C, H, W) with labels (N,) or (N, K) per head.

        Raises:
            ShapeError: if the images are not the network's.
            SettingsError: if the labels do not fit.
        """
        architecture = self._network.architecture
        check_images(images, architecture.input_shape)
        dtype = self._network.precision
        terms = batch_terms(architecture, self._loss_rules, labels, len(images), dtype)
        forward = Pass(
            parameters=self._network.values,
            places=self._network.places,
            dtype=dtype,
            learning=self._learning,
            drop=self._mask,
        )
        loss, gradients = self._loss_and_gradients(images, terms, forward)
        self._steps += 1
        self._losses.append(loss)
        for name, statistics in forward.statistics.items():
            self._network.values[name][...] = statistics
        advance(
            self._optimiser,
            self._network.values,
            gradients,
            self._moments,
            {name: self._parameter_rates(name, rate) for name in gradients},
        )

    def drain_losses(self) -> FloatArray:
        """The losses of the steps since the last call, (steps,)."""
        losses, self._losses = np.array(self._losses, dtype=np.float64), []
        return losses

    def state(self) -> Mapping[str, Array]:
        """Parameters, running statistics, the optimiser's moments and the step, as copies."""
        return {name: array.copy() for name, array in self._named_state().items()} | {
            "step": np.array([self._steps], dtype=np.int64)
        }

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Go on from a state, bit for bit.

        Raises:
            WeightsError: if it is another network's or another optimiser's.
        """
        own = self._named_state()
        shapes = {name: array.shape for name, array in own.items()} | {"step": (1,)}
        check_shapes(shapes, state)
        for name, array in own.items():
            array[...] = state[name]
        self._steps = int(state["step"][0])
        self._losses = []

    @property
    def _learning(self) -> frozenset[str]:
        return frozenset(name for name, rate in self._rates.items() if rate > 0)

    def _loss_and_gradients(
        self, images: Array, terms: Mapping[str, LossTerms], forward: Pass
    ) -> tuple[float, Gradients]:
        """Forward through trunk and heads, then back; the sum of the heads' losses."""
        architecture = self._network.architecture
        below = trunk(architecture, architecture.layers, self._network.preprocessing, forward)
        maps, back_trunk = below.run(images)
        total, ways = 0.0, []
        for name, way in heads(architecture, forward).items():
            logits, back = way.run(maps)
            if name in terms:
                loss, grad = self._head_loss(name, logits, terms[name])
                total += loss
                ways.append((back, grad))
        grad_maps, gradients = back_through_all(ways, Journey(inputs=below.learns))
        _, more = back_trunk(grad_maps, Journey(inputs=False))
        return total, gradients | more

    def _head_loss(self, head: str, logits: Array, terms: LossTerms) -> tuple[float, Array]:
        is_softmax = self._network.architecture.head(head).output == "softmax"
        function = softmax_cross_entropy if is_softmax else sigmoid_cross_entropy
        loss, back = function(logits, terms.targets, terms.weights)
        (grad,) = back(1.0)
        return loss, grad

    def _mask(self, layer: str, shape: Shape, rate: float) -> Array:
        return dropout_mask(self._seed, self._steps, layer, shape, rate)

    def _parameter_rates(self, name: str, rate: float) -> Rates:
        return Rates(
            learning_rate=self._optimiser.learning_rate * rate * self._rates[name],
            weight_decay=0.0 if name in self._undecayed else self._optimiser.weight_decay,
            count=self._steps,
        )

    def _named_state(self) -> dict[str, Array]:
        moments = {
            f"{moment}.{name}": array
            for name, own in self._moments.items()
            for moment, array in own.items()
        }
        return {f"network.{name}": array for name, array in self._network.values.items()} | moments


def _trainable(network: NumpyNetwork) -> list[str]:
    """The names of all parameters; running statistics are not learnt by gradients."""
    return [
        f"{place.layer.name}.{parameter}"
        for place in walk(network.architecture)
        for parameter in place.layer.parameter_shapes(place.input_shape)
    ]
