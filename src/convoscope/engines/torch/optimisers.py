"""The optimisers, as PyTorch computes them: in place, without scratch arrays (``fused``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, final

import torch
from torch import Tensor

from convoscope.arrays import Array
from convoscope.engines.torch.network import as_array, as_tensor
from convoscope.errors import SettingsError, WeightsError
from convoscope.network import Optimiser

# Our names of what each rule remembers per parameter, and PyTorch's.
SLOTS: dict[str, dict[str, str]] = {
    "sgd": {"momentum": "momentum_buffer"},
    "adam": {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"},
    "adamw": {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"},
}


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
        groups: dict[tuple[float, bool], list[Tensor]] = defaultdict(list)
        for name, tensor in self._tensors.items():
            # Each group costs a call: without decay those that decay are like the others.
            decays = bool(settings.weight_decay) and name not in undecayed
            groups[multipliers[name], decays].append(tensor)
        self._optimiser = _make(settings, groups)

    def step(self, rate: float) -> None:
        """Move the parameters along their gradients, and let the gradients go."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * rate * group["multiplier"]
        self._optimiser.step()
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Give the gradients' memory back."""
        self._optimiser.zero_grad(set_to_none=True)

    def state(self) -> Iterator[tuple[str, Array]]:
        """``"slot/parameter"`` and a copy of what is remembered."""
        for name, tensor in self._tensors.items():
            remembered = self._optimiser.state.get(tensor, {})
            for slot, key in SLOTS[self._settings.kind].items():
                if remembered.get(key) is not None:
                    yield f"{slot}/{name}", as_array(remembered[key])

    def load_state(self, state: Mapping[str, Array], step: int) -> None:
        """Remember what was remembered after ``step`` steps.

        Raises:
            WeightsError: if it is another optimiser's, or of other parameters.
        """
        slots = self._expected_slots() if step else {}
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
        remembered = {
            self._tensors[name]: self._remembered(name, arrays, slots, step)
            for name, arrays in by_parameter.items()
        }
        self._optimiser.state.clear()
        self._optimiser.state.update(remembered)

    def _remembered(
        self, name: str, arrays: Mapping[str, Array], slots: Mapping[str, str], step: int
    ) -> dict[str, Any]:
        tensor = self._tensors[name]
        remembered: dict[str, Any] = {}
        for slot, key in slots.items():
            if slot not in arrays or arrays[slot].shape != tuple(tensor.shape):
                found = arrays[slot].shape if slot in arrays else "nothing"
                raise WeightsError(
                    f"state: {slot} of {name!r} must have the shape {tuple(tensor.shape)}, "
                    f"got {found}: resume with the network that the run began with"
                )
            values = torch.empty_like(tensor, memory_format=torch.preserve_format)
            remembered[key] = values.copy_(as_tensor(arrays[slot]))
        if self._settings.kind != "sgd":
            remembered["step"] = torch.tensor(float(step), device=tensor.device)
        return remembered

    def _expected_slots(self) -> dict[str, str]:
        is_plain = self._settings.kind == "sgd" and not self._settings.momentum
        return {} if is_plain else SLOTS[self._settings.kind]


def _make(
    settings: Optimiser, groups: Mapping[tuple[float, bool], list[Tensor]]
) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    described = [
        {"params": tensors, "multiplier": multiplier, "weight_decay": decay if decays else 0.0}
        for (multiplier, decays), tensors in groups.items()
    ]
    betas = (settings.beta1, settings.beta2)
    match settings.kind:
        case "sgd":
            return torch.optim.SGD(
                described,
                lr=rate,
                momentum=settings.momentum,
                nesterov=settings.nesterov,
                fused=True,
            )
        case "adam":
            return torch.optim.Adam(described, lr=rate, betas=betas, eps=settings.eps, fused=True)
        case "adamw":
            return torch.optim.AdamW(described, lr=rate, betas=betas, eps=settings.eps, fused=True)
