"""A trace that is asked the same question twice and computes the answer once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, final

from convoscope.arrays import FloatArray
from convoscope.network import ReluRule, Target, Trace


@final
class Remembering:
    """A :class:`~convoscope.network.Trace` that keeps the gradients it has given.

    Several methods need the same one: Guided Grad-CAM that of Grad-CAM and that of guided
    backpropagation.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._known: dict[tuple[tuple[Target, ...], str, ReluRule], FloatArray] = {}

    @property
    def activations(self) -> Mapping[str, FloatArray]:
        """The trace's."""
        return self._trace.activations

    @property
    def logits(self) -> Mapping[str, FloatArray]:
        """The trace's."""
        return self._trace.logits

    @property
    def rectifies(self) -> bool:
        """The trace's."""
        return self._trace.rectifies

    def gradient(
        self, targets: Sequence[Target], *, wrt: str = "images", relu_rule: ReluRule = "plain"
    ) -> FloatArray:
        """The trace's, computed when it is first asked for; not to be written to."""
        question = (tuple(targets), wrt, relu_rule)
        if question not in self._known:
            answer = self._trace.gradient(targets, wrt=wrt, relu_rule=relu_rule)
            answer.flags.writeable = False
            self._known[question] = answer
        return self._known[question]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None
