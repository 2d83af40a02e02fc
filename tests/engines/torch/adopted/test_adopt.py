"""Other people's modules as networks: untouched, traced by path, cut, trained, explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.graph import Head
from convoscope.architecture.layers import Conv2d, Dense, GlobalAvgPool
from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.initialise import initial_parameters
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.adopted.layout import Inside, TokenGrid, inside
from convoscope.engines.torch.network import TorchNetwork
from convoscope.errors import SettingsError, ShapeError, UnknownNameError
from convoscope.network import Channel, ClassLogit, Neuron


class Block(nn.Module):
    """A residual block in the functional style, its ReLU used twice and in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu(self.norm1(self.conv1(x))))
        out: Tensor = self.relu(y + x)
        return out


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.blocks = nn.Sequential(Block(6), Block(6))
        self.fc = nn.Linear(6, 4)
        self.unused = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        logits: Tensor = self.fc(self.blocks(x).mean((2, 3)))
        return logits


@pytest.fixture
def module() -> ResNet:
    return ResNet().double().train()


@pytest.fixture
def images(make_images: Callable[..., Array]) -> Array:
    return make_images(3, (3, 9, 9))


def adopted(module: nn.Module, **options: Any) -> TorchNetwork:
    options = {"input_shape": (3, 9, 9), "device": "cpu", "precision": "float64"} | options
    return adopt(module, **options)


def test_its_logits_are_the_modules(module: ResNet, images: Array) -> None:
    network = adopted(module)
    expected = module.eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(network.logits(images)["class"], expected, rtol=1e-10)


def test_the_callers_module_is_left_as_it_was(module: ResNet, images: Array) -> None:
    module.stem.weight.requires_grad_(False)
    before = {name: t.clone() for name, t in module.state_dict().items()}
    network = adopted(module, precision="float32")
    with network.trace(images, layers=["blocks.0"]) as trace:
        trace.gradient([ClassLogit("class", 0)], relu_rule="guided")
    assert all(inner.training for inner in module.modules())
    assert not module.stem.weight.requires_grad
    assert all(p.grad is None for p in module.parameters())
    assert all(not inner._forward_hooks for inner in module.modules())
    for name, tensor in module.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_its_inner_modules_are_layers_under_their_paths(module: ResNet, images: Array) -> None:
    network = adopted(module)
    assert network.layer_names == (
        "stem", "blocks.0.conv1", "blocks.0.norm1", "blocks.0.relu", "blocks.0.conv2", "blocks.0",
        "blocks.1.conv1", "blocks.1.norm1", "blocks.1.relu", "blocks.1.conv2", "blocks.1",
        "blocks", "fc", "trunk",
    )  # fmt: skip
    layers = ["blocks.0", "blocks.0.conv2", "blocks.0.norm1", "stem"]
    with network.trace(images, layers=layers) as trace:
        maps, logits = trace.activations, trace.logits["class"]
    module.eval()
    stem = module.stem(torch.from_numpy(images))
    x = functional.relu(stem)
    norm1 = module.blocks[0].norm1(module.blocks[0].conv1(x))  # type: ignore[operator]
    conv2 = module.blocks[0].conv2(functional.relu(norm1))  # type: ignore[operator]
    for layer, expected in (
        ("stem", stem),
        ("blocks.0.norm1", norm1),
        ("blocks.0.conv2", conv2),
        ("blocks.0", functional.relu(conv2 + x)),
    ):
        np.testing.assert_allclose(maps[layer], expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(logits, network.logits(images)["class"], rtol=1e-12)


def test_grad_cam_from_a_trace_is_captums(module: ResNet, images: Array) -> None:
    network = adopted(module)
    with network.trace(images, layers=["blocks.0"]) as trace:
        maps = trace.activations["blocks.0"]
        (pull,) = trace.gradient([ClassLogit("class", (0, 1, 2))], wrt="blocks.0")
    got = np.maximum((pull.mean(axis=(2, 3), keepdims=True) * maps).sum(axis=1), 0)
    method = LayerGradCam(module.eval(), module.blocks[0])
    expected = method.attribute(
        torch.from_numpy(images), target=torch.tensor([0, 1, 2]), relu_attributions=True
    )
    assert got.max() > 0
    np.testing.assert_allclose(got, expected[:, 0].detach().numpy(), rtol=1e-9, atol=1e-15)


def test_its_architecture_counts_what_lies_below_the_cut(module: ResNet) -> None:
    (whole,) = adopted(module).architecture.layers
    assert whole.output_shape((3, 9, 9)) == (4,)
    block = 2 * (6 * 6 * 9 + 6) + 12
    assert whole.parameter_count((3, 9, 9)) == 3 * 6 * 9 + 6 + 2 * block + 6 * 4 + 4
    assert whole.macs((3, 9, 9)) == 16 * (3 * 6 * 9 + 4 * 6 * 6 * 9) + 6 * 4

    (cut,) = adopted(module, cut="blocks.0").architecture.layers
    assert cut.output_shape((3, 9, 9)) == (6, 4, 4)
    assert cut.parameter_count((3, 9, 9)) == 3 * 6 * 9 + 6 + block
    assert cut.macs((3, 9, 9)) == 16 * (3 * 6 * 9 + 2 * 6 * 6 * 9)


def test_a_cut_network_ends_there_and_keeps_what_matters(module: ResNet, images: Array) -> None:
    network = adopted(module, cut="blocks.0", name="body")
    with network.trace(images, layers=["body", "blocks.0"]) as trace:
        np.testing.assert_array_equal(trace.activations["body"], trace.activations["blocks.0"])
        assert trace.logits == {}
    names = set(network.parameters())
    assert {"body.stem.weight", "body.blocks.0.norm1.running_var"} <= names
    assert not any("blocks.1" in name or "fc" in name or "unused" in name for name in names)
    assert network.layer_names[-2:] == ("blocks.0", "body")


HEAD = Head(
    layers=(
        Conv2d("extra", 5, kernel_size=1, activation="relu"),
        GlobalAvgPool("mean"),
        Dense("new", 2),
    )
)


def test_a_head_stands_on_the_cut(module: ResNet, images: Array) -> None:
    network = adopted(module, cut="blocks.0", heads=[HEAD], seed=9)
    expected = initial_parameters(network.architecture, 9)["new.weight"]
    np.testing.assert_allclose(network.parameters()["new.weight"], expected)
    with network.trace(images, layers=["stem", "blocks.0", "extra"]) as trace:
        assert trace.logits["class"].shape == (3, 2)
        assert trace.gradient([ClassLogit("class", 1)], wrt="blocks.0").shape == (1, 3, 6, 4, 4)
        assert trace.gradient([Neuron("extra", 1, 2, 3)], wrt="stem").shape == (1, 3, 6, 4, 4)
        assert trace.gradient([Channel("blocks.0", 2)]).any()


def test_a_pass_up_to_a_layer_inside_a_cut_trunk_ends_there(module: ResNet, images: Array) -> None:
    network = adopted(module, cut="blocks.1", heads=[HEAD])
    network.module.trunks["trunk"].inner.blocks[0].conv2.forward = None  # type: ignore[index,union-attr]
    with network.trace(images, layers=["stem"], upto="blocks.0.relu") as trace:
        assert list(trace.activations) == ["stem"]
        assert trace.logits == {}


def test_its_parameters_can_be_changed_by_name(module: ResNet, images: Array) -> None:
    network = adopted(module)
    second = network.with_parameters({"trunk.fc.bias": np.full(4, 100.0)})
    shift = second.logits(images)["class"] - network.logits(images)["class"]
    np.testing.assert_allclose(shift, 100 - np.tile(module.fc.bias.detach().numpy(), (3, 1)))


class Transformer(nn.Module):
    """Tokens as timm's vision transformers have them: a class token, then 2 x 3 patches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.patch_embed = nn.Conv2d(3, 8, 3, stride=3)
        self.patch_embed.grid_size = (2, 3)  # type: ignore[assignment]
        self.num_prefix_tokens = 1
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.block = nn.Linear(8, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1)
        tokens = self.block(tokens)
        logits: Tensor = self.head(functional.relu(tokens).mean(1))
        return logits


def test_tokens_are_maps_without_prefix_tokens(make_images: Callable[..., Array]) -> None:
    images = make_images(2, (3, 6, 9))
    network = adopted(Transformer(), input_shape=(3, 6, 9))
    inner: Any = network.module.trunks["trunk"].inner
    patches = inner.patch_embed(torch.from_numpy(images))
    with network.trace(images, layers=["patch_embed", "block"]) as trace:
        maps = trace.activations["block"]
        assert maps.shape == (2, 8, 2, 3)
        expected = inner.block(patches.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        np.testing.assert_allclose(maps, expected.detach().numpy(), rtol=1e-10)

        (pull,) = trace.gradient([Neuron("block", 1, 2, 5)], wrt="patch_embed")
        expected_pull = np.zeros_like(pull)
        expected_pull[:, :, 1, 2] = inner.block.weight[5].detach().numpy()
        np.testing.assert_allclose(pull, expected_pull, rtol=1e-10)

        (pull,) = trace.gradient([ClassLogit("class", 3)], wrt="block")
        weight = inner.head.weight[3].detach().numpy()[:, None, None]
        np.testing.assert_allclose(pull, (maps > 0) * weight / 7, rtol=1e-10)


def test_a_transformer_can_be_cut_at_its_tokens() -> None:
    network = adopted(Transformer(), input_shape=(3, 6, 9), cut="block", heads=[HEAD])
    (layer,) = network.architecture.layers
    assert layer.output_shape((3, 6, 9)) == (8, 2, 3)
    assert network.logits(np.zeros((1, 3, 6, 9)))["class"].shape == (1, 2)


def test_preprocessing_comes_before_the_module(module: ResNet, images: Array) -> None:
    network = adopted(module, preprocessing=Preprocessing(size=(9, 9), mean=(0.5,), sd=(0.1,)))
    expected = module.eval()(torch.from_numpy((images - 0.5) / 0.1)).detach().numpy()
    np.testing.assert_allclose(network.logits(images)["class"], expected, rtol=1e-9)


class Detached(ResNet):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x)


def test_a_module_that_stops_gradients_says_so(images: Array) -> None:
    network = adopted(Detached())
    with (
        network.trace(images) as trace,
        pytest.raises(SettingsError, match=r"this one does not depend on it"),
    ):
        trace.gradient([ClassLogit("class", 0)])


class Overwriting(ResNet):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.sub_(0.5).div_(0.5))


def test_a_module_that_overwrites_its_input_does_not_reach_the_callers(images: Array) -> None:
    images = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)  # not copied
    network, before = adopted(Overwriting()), images.copy()
    expected = adopted(ResNet()).logits(2 * images - 1)["class"]
    np.testing.assert_allclose(network.logits(images)["class"], expected, rtol=1e-10)
    with network.trace(images) as trace:
        np.testing.assert_allclose(trace.logits["class"], expected, rtol=1e-10)
        assert trace.gradient([ClassLogit("class", 0)]).any()
    np.testing.assert_array_equal(images, before)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(x)
        return y, y


@pytest.mark.parametrize(
    ("make", "options", "kind", "message"),
    [
        (
            ResNet,
            {"cut": "blocks.7"},
            UnknownNameError,
            "there is no module 'blocks.7': did you mean 'blocks.1'?",
        ),
        (
            ResNet,
            {"cut": "unused"},
            SettingsError,
            "cut='unused': a module must give one tensor where it is cut, got nothing, for it ",
        ),
        (Pair, {}, SettingsError, "cut='': a module must give one tensor where it is cut, got tup"),
        (
            ResNet,
            {"input_shape": (1, 9, 9)},
            ShapeError,
            "the adopted module must take images of shape (N, 1, 9, 9), and it stopped with ",
        ),
        (
            ResNet,
            {"heads": [Head(layers=(Dense("fc", 2),))]},
            SettingsError,
            "layer names and the adopted module's paths must differ, both have 'fc': rename ",
        ),
        (
            ResNet,
            {"preprocessing": Preprocessing(size=(8, 8))},
            SettingsError,
            "size must be the network's input size (9, 9), got (8, 8)",
        ),
    ],
)
def test_what_cannot_be_adopted_is_one_sentence(
    make: Callable[[], nn.Module], options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        adopted(make(), **options)
    assert message in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()))
    with pytest.raises(SettingsError, match=r"must be plain PyTorch to be adopted, got TorchScr"):
        adopted(nn.Sequential(scripted))


def test_a_grid_that_does_not_count_the_tokens_leaves_them_alone() -> None:
    grid = TokenGrid(5, 5, 1)
    assert inside((1, 7, 8), (10, 10), grid) == Inside("vector", (56,))
    assert inside((1, 26, 8), (10, 10), grid) == Inside("tokens", (8, 5, 5))
