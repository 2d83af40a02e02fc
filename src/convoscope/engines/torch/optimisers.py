"""The optimisers, as PyTorch computes them: in place, without scratch arrays.

The operators are those of ``torch.optim`` with ``fused=True``, and so are the results. They are
called without its classes, whose first use loads PyTorch's compiler: a second, for every training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from convoscope.arrays import Array
from convoscope.engines.torch.network import as_array, as_tensor
from convoscope.errors import SettingsError, WeightsError
from convoscope.network import Optimiser

# What each rule remembers per parameter.
SLOTS: dict[str, tuple[str, ...]] = {
    "sgd": ("momentum",),
    "adam": ("first_moment", "second_moment"),
    "adamw": ("first_moment", "second_moment"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Parameters that learn at the same rate and decay alike: one call for all of them."""

    names: tuple[str, ...]
    multiplier: float
    weight_decay: float


@final
class Stepper:
    """An optimiser over named parameters, each with a multiplier of the learning rate.

    Parameters whose multiplier is 0 are not touched; ``undecayed`` ones have no weight decay.

    Raises:
        SettingsError: if every parameter is frozen.
    """

    def __init__(
        self,
        settings: Optimiser,
        tensors: Mapping[str, Tensor],
        multipliers: Mapping[str, float],
        undecayed: Collection[str],
    ) -> None:
        self._settings = settings
        self._tensors = {name: t for name, t in tensors.items() if multipliers[name]}
        if not self._tensors:
            raise SettingsError(
                "rates: a learner needs at least one parameter that learns, got a rate of 0 for "
                "all: leave a head's rate above 0"
            )
        names: dict[tuple[float, bool], list[str]] = defaultdict(list)
        for name in self._tensors:
            # Each group costs a call: without decay those that decay are like the others.
            decays = bool(settings.weight_decay) and name not in undecayed
            names[multipliers[name], decays].append(name)
        self._groups = tuple(
            _Group(
                names=tuple(members),
                multiplier=multiplier,
                weight_decay=settings.weight_decay if decays else 0.0,
            )
            for (multiplier, decays), members in names.items()
        )
        self._slots = self._expected_slots()
        self._remembered: dict[str, dict[str, Tensor]] = {}
        self._steps: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the parameters along their gradients, and let the gradients go."""
        for group in self._groups:
            learnt = {n: self._tensors[n] for n in group.names if self._tensors[n].grad is not None}
            for name in learnt.keys() - self._steps.keys():
                self._begin(name)
            if learnt:
                self._move(learnt, group, self._settings.learning_rate * rate * group.multiplier)
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Give the gradients' memory back."""
        for tensor in self._tensors.values():
            tensor.grad = None

    def state(self) -> Iterator[tuple[str, Array]]:
        """``"slot/parameter"`` and a copy of what is remembered."""
        for name in self._tensors:
            for slot, values in self._remembered.get(name, {}).items():
                yield f"{slot}/{name}", as_array(values)

    def load_state(self, state: Mapping[str, Array], step: int) -> None:
        """Remember what was remembered after ``step`` steps.

        Raises:
            WeightsError: if it is another optimiser's, or of other parameters.
        """
        slots = self._slots if step else ()
        by_parameter: dict[str, dict[str, Array]] = defaultdict(dict)
        for key, array in state.items():
            slot, _, name = key.partition("/")
            if slot not in slots or name not in self._tensors:
                raise WeightsError(
                    f"state: an optimiser of kind {self._settings.kind!r} remembers "
                    f"{' and '.join(slots) or 'nothing'} of parameters that learn, got {key!r}: "
                    "resume with the optimiser and the rates that the run began with"
                )
            by_parameter[name][slot] = array
        if slots and not by_parameter:
            raise WeightsError(
                f"state: an optimiser of kind {self._settings.kind!r} remembers "
                f"{' and '.join(slots)}, got nothing: resume with the optimiser that the run "
                "began with"
            )
        remembered = {n: self._checked(n, arrays, slots) for n, arrays in by_parameter.items()}
        self._remembered, self._steps = {}, {}
        for name, slot_values in remembered.items():
            self._begin(name)
            self._steps[name].fill_(step)
            self._remembered[name] = slot_values

    def _checked(
        self, name: str, arrays: Mapping[str, Array], slots: Sequence[str]
    ) -> dict[str, Tensor]:
        tensor = self._tensors[name]
        remembered: dict[str, Tensor] = {}
        for slot in slots:
            if slot not in arrays or arrays[slot].shape != tuple(tensor.shape):
                found = arrays[slot].shape if slot in arrays else "nothing"
                raise WeightsError(
                    f"state: {slot} of {name!r} must have the shape {tuple(tensor.shape)}, "
                    f"got {found}: resume with the network that the run began with"
                )
            values = torch.empty_like(tensor, memory_format=torch.preserve_format)
            remembered[slot] = values.copy_(as_tensor(arrays[slot]))
        return remembered

    def _expected_slots(self) -> tuple[str, ...]:
        is_plain = self._settings.kind == "sgd" and not self._settings.momentum
        return () if is_plain else SLOTS[self._settings.kind]

    def _begin(self, name: str) -> None:
        """Remember nothing yet of a parameter that learns."""
        tensor = self._tensors[name]
        self._steps[name] = torch.zeros((), dtype=torch.float32, device=tensor.device)
        self._remembered[name] = {
            slot: torch.zeros_like(tensor, memory_format=torch.preserve_format)
            for slot in self._slots
        }

    def _move(self, learnt: Mapping[str, Tensor], group: _Group, rate: float) -> None:
        """One step of the rule, for all of them at once."""
        tensors = list(learnt.values())
        gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
        slots = [[self._remembered[name][slot] for name in learnt] for slot in self._slots]
        if self._settings.kind == "sgd":
            _sgd(self._settings, tensors, gradients, slots, group.weight_decay, rate)
        else:
            steps = [self._steps[name] for name in learnt]
            torch._foreach_add_(steps, 1)
            _adam(self._settings, tensors, gradients, slots, steps, group.weight_decay, rate)
        # the fused operators do not say that they have changed them, and copies are kept elsewhere
        torch.autograd.graph.increment_version(tensors)


def _sgd(
    settings: Optimiser,
    tensors: list[Tensor],
    gradients: list[Tensor],
    slots: list[list[Tensor]],
    weight_decay: float,
    rate: float,
) -> None:
    torch._fused_sgd_(
        tensors,
        gradients,
        slots[0] if slots else [],
        weight_decay=weight_decay,
        momentum=settings.momentum,
        lr=rate,
        dampening=0.0,
        nesterov=settings.nesterov,
        maximize=False,
        is_first_step=False,  # a momentum of 0 becomes the gradient, as in the first step
    )


def _adam(
    settings: Optimiser,
    tensors: list[Tensor],
    gradients: list[Tensor],
    slots: list[list[Tensor]],
    steps: list[Tensor],
    weight_decay: float,
    rate: float,
) -> None:
    first_moments, second_moments = slots
    move = torch._fused_adam_ if settings.kind == "adam" else torch._fused_adamw_
    move(
        tensors,
        gradients,
        first_moments,
        second_moments,
        [],
        steps,
        lr=rate,
        beta1=settings.beta1,
        beta2=settings.beta2,
        weight_decay=weight_decay,
        eps=settings.eps,
        amsgrad=False,
        maximize=False,
    )
