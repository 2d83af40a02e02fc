"""A network being trained by PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from convoscope.architecture.graph import walk
from convoscope.architecture.layers import BatchNorm
from convoscope.arrays import Array, FloatArray, generator
from convoscope.engines.inputs import check_images
from convoscope.engines.learning import batch_terms, check_losses, multipliers, undecayed
from convoscope.engines.torch.convnet import ConvNet
from convoscope.engines.torch.device import arithmetic
from convoscope.engines.torch.losses import batch_loss
from convoscope.engines.torch.modules import Drop
from convoscope.engines.torch.network import TorchNetwork, as_array, as_pixels, overwrite
from convoscope.engines.torch.optimisers import Stepper
from convoscope.engines.weights import check_shapes
from convoscope.errors import SettingsError, WeightsError
from convoscope.network import HeadLoss, Network, Optimiser


def learner(
    network: Network,
    *,
    optimiser: Optimiser,
    losses: Sequence[HeadLoss],
    rates: Mapping[str, float],
    seed: int,
) -> TorchLearner:
    """See :func:`convoscope.engines.learner`. The network is copied, for it never changes."""
    if not isinstance(network, TorchNetwork):
        raise SettingsError(
            f"a learner of engine 'torch' needs a network of its engine, got {network.engine!r}: "
            "build the network with engine='torch'"
        )
    check_losses(network.architecture, losses)
    module = copy.deepcopy(network.module)
    return TorchLearner(module, optimiser=optimiser, losses=losses, rates=rates, seed=seed)


@final
class TorchLearner:
    """See :class:`convoscope.network.Learner`. It owns ``module``.

    Between steps the module is in evaluation mode, so that ``network`` can be asked any time.
    """

    rank = 0
    world_size = 1

    def __init__(
        self,
        module: ConvNet,
        *,
        optimiser: Optimiser,
        losses: Sequence[HeadLoss],
        rates: Mapping[str, float],
        seed: int,
    ) -> None:
        self._module, self._losses, self._seed = module, tuple(losses), seed
        self._network = TorchNetwork(module)
        self._tensors = dict(module.tensors())
        learnt = {n: t for n, t in self._tensors.items() if isinstance(t, nn.Parameter)}
        by_name = multipliers(module.architecture, tuple(self._tensors), rates)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        for name, parameter in learnt.items():
            parameter.requires_grad_(by_name[name] > 0)
        self._still = tuple(still_modules(module))
        self._stepper = Stepper(optimiser, learnt, by_name, _undecayed(module))
        self._step = 0
        self._pending: list[Tensor] = []

    @property
    def network(self) -> TorchNetwork:
        """The network as it is now; the same weights, not a copy."""
        return self._network

    def step(self, images: Array, labels: Mapping[str, Array], *, rate: float = 1.0) -> None:
        """See :meth:`convoscope.network.Learner.step`."""
        module = self._module
        check_images(images, module.architecture.input_shape)
        dtype = str(module.dtype).removeprefix("torch.")
        terms = batch_terms(module.architecture, self._losses, labels, len(images), dtype)
        self._stepper.forget_gradients()  # those of a step that was interrupted
        with self._learning(), torch.enable_grad(), arithmetic(module.device, "float32"):
            logits = module(as_pixels(images, module.device, module.dtype))
            loss = batch_loss(module.architecture, logits, terms)
            loss.backward()  # type: ignore[no-untyped-call]
        self._stepper.step(rate)
        self._pending.append(loss.detach())
        self._step += 1

    def drain_losses(self) -> FloatArray:
        """The losses of the steps since the last call, (steps,); waits for the device."""
        if not self._pending:
            return np.zeros(0, dtype=np.float32)
        losses = as_array(torch.stack(self._pending))
        self._pending = []
        return losses

    def state(self) -> Mapping[str, Array]:
        """Copies of ``parameters/...``, ``optimiser/slot/...`` and ``step``."""
        parameters = {f"parameters/{n}": as_array(t) for n, t in self._tensors.items()}
        remembered = {f"optimiser/{key}": array for key, array in self._stepper.state()}
        return parameters | remembered | {"step": np.array(self._step, dtype=np.int64)}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """See :meth:`convoscope.network.Learner.load_state`."""
        if "step" not in state:
            raise WeightsError(
                "state: a learner's state says after which step it was taken, got none: "
                "give what state() returned"
            )
        parameters = _below(state, "parameters/")
        check_shapes({n: tuple(t.shape) for n, t in self._tensors.items()}, parameters)
        self._stepper.load_state(_below(state, "optimiser/"), int(state["step"]))
        overwrite(self._tensors, parameters)
        self._step = int(state["step"])
        self._pending = []

    @contextmanager
    def _learning(self) -> Iterator[None]:
        """The module in training mode but for what is frozen, its randomness keyed by the step."""
        for module in self._module.modules():
            if isinstance(module, Drop):
                module.seed, module.step = self._seed, self._step
        self._module.train()
        for still in self._still:
            still.eval()
        try:
            with _keyed_randomness(self._module, self._seed, self._step):
                yield
        finally:
            self._module.eval()


def still_modules(module: ConvNet) -> Iterator[nn.Module]:
    """The modules that stay in evaluation mode: batch norm layers whose parameters are frozen,
    and, inside an adopted trunk, everything whose parameters are.
    """
    for place in walk(module.architecture):
        own = module.named[place.layer.name]
        if isinstance(place.layer, BatchNorm):
            yield from (own,) if _is_frozen(own) else ()
        elif place.layer.name in module.trunks:
            yield from (inner for inner in own.modules() if _is_frozen(inner))


def _is_frozen(module: nn.Module) -> bool:
    learns = [parameter.requires_grad for parameter in module.parameters()]
    return bool(learns) and not any(learns)


def _undecayed(module: ConvNet) -> frozenset[str]:
    """Biases and norms; inside a trunk these are the parameters that are vectors or numbers."""
    inside = {
        f"{name}.{parameter}"
        for name, trunk in module.trunks.items()
        for parameter, tensor in trunk.tensors()
        if tensor.ndim < 2
    }
    return undecayed(module.architecture) | inside


@contextmanager
def _keyed_randomness(module: ConvNet, seed: int, step: int) -> Iterator[None]:
    """Adopted modules draw from PyTorch's own generator: it is set here, and restored."""
    if not module.trunks:
        yield
        return
    cuda = [module.device] if module.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(int(generator(seed, "adopted", step).integers(2**63)))
        yield


def _below(state: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)}
