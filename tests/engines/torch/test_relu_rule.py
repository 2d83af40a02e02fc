"""The guided rule, wherever a ReLU occurs, against hand-worked numbers, a slow one and Captum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import Tensor, nn
from torch.nn import functional

from convoscope.arrays import Array
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.relu_rule import RECTIFIERS
from convoscope.errors import UnknownNameError
from convoscope.network import ClassLogit, ReluRule

RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "functional.relu": functional.relu,
    "functional.relu inplace": lambda x: functional.relu(x.clone(), inplace=True),
    "functional.relu positional inplace": lambda x: functional.relu(x.clone(), True),
    "functional.relu_": lambda x: functional.relu_(x.clone()),
    "torch.relu": torch.relu,
    "torch.relu_": lambda x: torch.relu_(x.clone()),
    "x.relu": lambda x: x.relu(),
    "x.relu_": lambda x: x.clone().relu_(),
    "aten": torch.ops.aten.relu,
    "module": nn.ReLU(),
    "module inplace": lambda x: nn.ReLU(inplace=True)(x.clone()),
    "threshold": nn.Threshold(0, 0),
    "clamp": lambda x: x.clamp(min=0),
    "clamp positional": lambda x: torch.clamp(x, 0),
    "clamp_min": lambda x: x.clamp_min(0),
    "clamp_": lambda x: x.clone().clamp_(min=0),
    "clip": lambda x: torch.clip(x, min=0.0),
}
RELU6S: dict[str, Callable[[Tensor], Tensor]] = {
    "module": nn.ReLU6(),
    "module inplace": lambda x: nn.ReLU6(inplace=True)(x.clone()),
    "functional": functional.relu6,
    "hardtanh": lambda x: functional.hardtanh(x, 0.0, 6.0),
    "hardtanh_": lambda x: functional.hardtanh_(x.clone(), 0.0, 6.0),
    "clamp": lambda x: x.clamp(0, 6),
}


class Function(nn.Module):
    """A function of the (N, 1) sum of an image's pixels, behind a weight of 1."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1, bias=False)
        self.scale.weight.data.fill_(1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.scale(x.flatten(1)))


def slope(function: Callable[[Tensor], Tensor], at: float, rule: ReluRule = "guided") -> float:
    """The derivative of a function of one number, by that rule."""
    network = adopt(Function(function), input_shape=(1, 1, 1), device="cpu", precision="float64")
    with network.trace(np.full((1, 1, 1, 1), at)) as trace:
        return trace.gradient([ClassLogit("class", 0)], relu_rule=rule).item()


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_every_spelling_of_relu_follows_the_rule(relu: Callable[[Tensor], Tensor]) -> None:
    rules: tuple[ReluRule, ...] = ("plain", "guided", "deconvnet")
    assert [slope(relu, 2.0, rule) for rule in rules] == [1, 1, 1]
    assert [slope(relu, -2.0, rule) for rule in rules] == [0, 0, 1]
    assert [slope(lambda x: -relu(x), 2.0, rule) for rule in rules] == [-1, 0, 0]
    assert [slope(lambda x: -relu(x), -2.0, rule) for rule in rules] == [0, 0, 0]


@pytest.mark.parametrize("relu6", RELU6S.values(), ids=RELU6S)
def test_every_spelling_of_relu6_follows_the_rule(relu6: Callable[[Tensor], Tensor]) -> None:
    assert [slope(relu6, at, "plain") for at in (-1.0, 3.0, 7.0)] == [0, 1, 0]
    assert [slope(relu6, at) for at in (-1.0, 3.0, 7.0)] == [0, 1, 0]
    assert [slope(lambda x: -relu6(x), at) for at in (-1.0, 3.0, 7.0)] == [0, 0, 0]
    assert [slope(relu6, at, "deconvnet") for at in (-1.0, 3.0, 7.0)] == [1, 1, 1]


def test_every_rectifier_in_the_table_is_tried_here_or_an_alias() -> None:
    seen: set[Callable[..., Any]] = set()

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.add(func)
            return func(*args, **(kwargs or {}))

    extra: list[Callable[[Tensor], Tensor]] = [
        torch.ops.aten.relu.default,
        torch._C._nn.relu6,
        lambda x: torch.clamp_min(x, 0),
        lambda x: x.clip(min=0),
        lambda x: x.clone().clip_(min=0),
        lambda x: x.clone().clamp_min_(0),
    ]
    with Spy():
        for call in (*RELUS.values(), *RELU6S.values(), *extra):
            call(torch.ones(1))
    assert set(RECTIFIERS) <= seen
    for function in extra:
        assert slope(lambda x, call=function: -call(x), 2.0) == 0  # type: ignore[misc]


def test_a_relu_before_a_skip_is_right() -> None:
    """``y = relu(h) - 3 h``: 1 passes the ReLU, and -3 goes beside it."""
    assert slope(lambda h: functional.relu(h) - 3 * h, 2.0) == -2.0
    assert slope(lambda h: nn.ReLU()(h) - 3 * h, 2.0) == -2.0
    assert slope(lambda h: functional.relu(h.clone(), inplace=True) - 3 * h, -2.0) == -3.0


def test_a_sum_is_taken_before_the_rule() -> None:
    """``y = a - 3 a`` with ``a = relu(h)``: the ReLU sees -2 and stops it."""

    def twice(h: Tensor) -> Tensor:
        a = functional.relu(h)
        return a - 3 * a

    assert slope(twice, 2.0) == 0.0
    assert slope(twice, 2.0, "plain") == -2.0


def test_a_module_used_twice_follows_the_rule_each_time() -> None:
    relu = nn.ReLU(inplace=True)
    assert slope(lambda h: relu(5 - relu(h.clone())), 2.0, "plain") == -1.0
    assert slope(lambda h: relu(5 - relu(h.clone())), 2.0) == 0.0
    assert slope(lambda h: relu(5 + relu(h.clone())), 2.0) == 1.0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: -x.clamp(0, 1),
        lambda x: -functional.hardtanh(x),
        lambda x: -functional.threshold(x, 0.1, 0.0),
        lambda x: -functional.leaky_relu(x),
        lambda x: -x.clamp(max=5),
    ],
)
def test_what_is_no_relu_is_left_alone(function: Callable[[Tensor], Tensor]) -> None:
    assert slope(function, 0.5) == -1.0


def test_where_the_input_is_0_the_plain_rule_is_pytorchs() -> None:
    for function in (*RELUS.values(), *RELU6S.values()):
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        (expected,) = torch.autograd.grad(function(x * 1).sum(), x)
        assert slope(function, 0.0, "plain") == expected.item()


def test_an_in_place_relu_on_a_view_changes_what_it_views() -> None:
    def half(h: Tensor) -> Tensor:
        pair = torch.cat([h, -h], dim=1)
        pair[:, 1:].relu_()
        return pair[:, :1] - pair[:, 1:]

    assert slope(half, 2.0, "plain") == 1.0
    assert slope(half, -2.0, "plain") == 2.0
    assert slope(half, -2.0) == 1.0


def conv_net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 16),
        nn.ReLU(),
        nn.Linear(16, 4),
    ).double()


@pytest.mark.parametrize(
    ("rule", "method"), [("guided", GuidedBackprop), ("deconvnet", Deconvolution)]
)
def test_it_agrees_with_captum_on_a_chain_of_relu_modules(
    rule: ReluRule, method: type, make_images: Callable[..., Array]
) -> None:
    module, images = conv_net(), make_images(3, (3, 14, 14))
    network = adopt(module, input_shape=(3, 14, 14), device="cpu", precision="float64")
    with network.trace(images) as trace:
        got = trace.gradient([ClassLogit("class", (0, 1, 3))], relu_rule=rule)[0]
    leaf = torch.from_numpy(images).requires_grad_()
    with pytest.warns(UserWarning, match="hooks"):
        expected = method(module).attribute(leaf, target=torch.tensor([0, 1, 3]))
    assert np.abs(got).max() > 0
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_one_forward_pass_serves_every_rule(make_images: Callable[..., Array]) -> None:
    images = make_images(1, (3, 14, 14))
    network = adopt(conv_net(), input_shape=(3, 14, 14), device="cpu", precision="float64")
    target = [ClassLogit("class", 1)]
    rules: tuple[ReluRule, ...] = ("guided", "plain", "deconvnet", "plain", "guided")
    with network.trace(images) as trace:
        pulls = [trace.gradient(target, relu_rule=rule) for rule in rules]
    np.testing.assert_array_equal(pulls[0], pulls[4])
    np.testing.assert_array_equal(pulls[1], pulls[3])
    assert not np.allclose(pulls[0], pulls[1])
    assert not np.allclose(pulls[0], pulls[2])


def test_an_unknown_rule_is_named(make_images: Callable[..., Array]) -> None:
    network = adopt(conv_net(), input_shape=(3, 14, 14), device="cpu")
    with (
        network.trace(make_images(1, (3, 14, 14))) as trace,
        pytest.raises(UnknownNameError, match="there is no ReLU rule 'guide': did you mean 'guid"),
    ):
        trace.gradient([ClassLogit("class", 1)], relu_rule="guide")  # type: ignore[arg-type]
