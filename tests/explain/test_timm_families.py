"""Networks of timm, weights drawn: guided backpropagation in the traps, target layers by family."""

from __future__ import annotations

import copy
import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convoscope.arrays import Array, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.adopted.torchvision_import import import_timm
from convoscope.engines.torch.network import TorchNetwork
from convoscope.explain.grad_cam import grad_cam
from convoscope.explain.guided_backprop import guided_backprop
from convoscope.explain.layers import map_shape, target_layer
from convoscope.network import ClassLogit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed"),
]
TARGET = ClassLogit("class", 2)


def make(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    module: nn.Module = import_timm().create_model(name, pretrained=False, num_classes=5, **options)
    return module.eval()


def photograph(side: int) -> Array:
    return generator(0, "photograph").random((1, 3, side, side), dtype="float32")


class Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        grad: Tensor = grads[0] * (x > 0) * (grads[0] > 0)
        return grad


class Rectify(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = Guided.apply(x)  # type: ignore[no-untyped-call]
        return y


def with_written_out_relus(module: nn.Module) -> nn.Module:
    """A copy whose every ReLU is a function whose derivative is written out."""
    module = copy.deepcopy(module)
    for inner in list(module.modules()):
        for name, child in inner.named_children():
            if isinstance(child, nn.ReLU):
                setattr(inner, name, Rectify())
    return module


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [
        ("legacy_xception", 71, "act4"),
        ("inception_v3", 107, "Mixed_7c"),
        ("inception_resnet_v2", 107, "conv2d_7b"),
        ("resnet18", 64, "layer4"),
    ],
)
def test_guided_backpropagation_is_right_in_the_traps(name: str, side: int, layer: str) -> None:
    """Captum is wrong by 85 % on Xception, whose ReLUs stand before skip connections."""
    module, images = make(name).double(), photograph(side).astype(float)
    reference = with_written_out_relus(module)
    x = torch.from_numpy(images).requires_grad_()
    logits = reference(x)
    (expected,) = torch.autograd.grad(logits[0, 2], x)
    network = adopt(module, input_shape=(3, side, side), device="cpu", precision="float64")
    np.testing.assert_allclose(network.logits(images)["class"], logits.detach().numpy(), rtol=1e-8)
    (found,) = guided_backprop(network, images, [TARGET])
    scale = float(expected.abs().max())
    assert scale > 0
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6, atol=1e-9 * scale)
    assert target_layer(network) == layer


@pytest.mark.parametrize(
    ("name", "side", "options", "layer"),
    [
        ("vgg11", 64, {"mlp_ratio": 0.02}, "features.19"),
        ("mobilenetv3_small_050", 64, {}, "blocks"),
        ("regnety_002", 64, {}, "final_conv"),
        ("convnext_atto", 64, {}, "norm_pre"),
        ("vit_tiny_patch16_224", 48, {"img_size": 48, "depth": 3}, "blocks.2.norm1"),
        ("deit_tiny_distilled_patch16_224", 48, {"img_size": 48, "depth": 3}, "blocks.2.norm1"),
        ("vit_small_patch14_reg4_dinov2", 42, {"img_size": 42, "depth": 2}, "blocks.1.norm1"),
        ("vit_base_patch16_siglip_224", 48, {"img_size": 48, "depth": 2}, "norm"),
        ("swin_tiny_patch4_window7_224", 224, {"depths": (1, 1, 1, 1)}, "norm"),
        ("mixer_s32_224", 64, {"img_size": 64}, "norm"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_family_has_a_target_layer_at_which_grad_cam_works(
    name: str, side: int, options: dict[str, Any], layer: str
) -> None:
    network = adopt(make(name, **options), input_shape=(3, side, side), device="cpu")
    assert target_layer(network) == layer
    _, height, width = map_shape(network, layer)
    assert height * width > 1
    heat = grad_cam(network, photograph(side), [ClassLogit("class", c) for c in range(5)])[layer]
    assert heat.shape == (5, 1, height, width)
    assert np.isfinite(heat).all()


@pytest.mark.parametrize(
    ("name", "side", "options", "layer"),
    [
        ("cait_xxs24_224", 64, {"img_size": 64, "depth": 2}, "blocks"),
        ("coat_lite_tiny", 64, {"img_size": 64}, "serial_blocks4.1.norm1"),
        ("coat_tiny", 64, {"img_size": 64, "parallel_depth": 1}, "parallel_blocks.0.norm13"),
        ("crossvit_tiny_240", 240, {"depth": [(1, 1, 0)]}, "blocks.0.blocks.1"),
        ("efficientformer_l1", 224, {}, "norm"),
        ("flexivit_small", 48, {"img_size": 48, "depth": 2}, "blocks.1.norm1"),
        ("hiera_tiny_224", 224, {"stages": (1, 1, 1, 1)}, "blocks.3"),
        ("lambda_resnet26t", 256, {}, "final_conv"),
        ("mvitv2_tiny", 224, {}, "norm"),
        ("pit_ti_224", 224, {}, "transformers.2.blocks.3.norm1"),
        ("resnest14d", 64, {}, "layer4"),
        ("sequencer2d_s", 64, {"img_size": 64, "layers": (1, 1, 1, 1)}, "norm"),
        ("tnt_s_patch16_224", 64, {"img_size": 64, "depth": 2}, "blocks.1.norm_out"),
        ("twins_svt_small", 64, {"img_size": 64, "depths": (1, 1, 1, 1)}, "norm"),
        ("xcit_nano_12_p16_224", 64, {"depth": 2}, "cls_attn_blocks.1.norm1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_at_a_target_layer_the_maps_change_where_the_image_does(
    name: str, side: int, options: dict[str, Any], layer: str
) -> None:
    """For families that do not declare how their tokens lie, or mix them in ways of their own."""
    network = adopt(make(name, **options), input_shape=(3, side, side), device="cpu")
    assert target_layer(network) == layer
    half = side // 2
    for rows in (slice(0, half), slice(half, side)):
        for columns in (slice(0, half), slice(half, side)):
            assert loudest_quarter(network, layer, rows, columns) == (
                rows.start > 0,
                columns.start > 0,
            )


def loudest_quarter(
    network: TorchNetwork, layer: str, rows: slice, columns: slice
) -> tuple[bool, bool]:
    """Where maps change most when part of an image does: below the middle, right of it."""
    image = photograph(network.architecture.input_shape[1])
    both = np.concatenate([image, image])
    both[1, :, rows, columns] = generator(1, "part").random(both[1, :, rows, columns].shape)
    with network.trace(both, layers=[layer]) as trace:
        before, after = trace.activations[layer]
    change = after - before  # (C, h, w)
    strength = np.linalg.norm(change - change.mean((1, 2), keepdims=True), axis=0)
    h, w = (n // 2 for n in strength.shape)
    top, bottom = strength[:h], strength[-h:]
    quarters = [top[:, :w], top[:, -w:], bottom[:, :w], bottom[:, -w:]]
    found = int(np.argmax([quarter.mean() for quarter in quarters]))
    return found >= 2, found % 2 == 1


def test_tokens_in_nested_squares_are_not_read_as_rows() -> None:
    """Hiera's, until its last stage has a single token of each square left."""
    network = adopt(
        make("hiera_tiny_224", stages=(1, 1, 1, 1)), input_shape=(3, 224, 224), device="cpu"
    )
    shapes = network.layer_shapes
    assert shapes["patch_embed"] == (96, 56, 56)
    assert shapes["unroll"] == shapes["blocks.0"] == (96 * 56 * 56,)
    assert shapes["blocks.3"] == (768, 7, 7)


def test_even_attention_hides_no_order_that_others_show() -> None:
    """Levit's last stage, its weights drawn, gives the same everywhere; its queries do not."""
    network = adopt(make("levit_128s"), input_shape=(3, 224, 224), device="cpu")
    assert target_layer(network) == "stages"
    assert map_shape(network, "stages") == (384, 4, 4)
    assert map_shape(network, "stages.1.blocks.0") == (256, 7, 7)


@pytest.mark.parametrize("name", ["swin", "convnext"])
def test_channels_that_come_last_inside_are_turned_to_maps(name: str) -> None:
    network, layer, raw = _channels_last(name)
    images = photograph(network.architecture.input_shape[1])
    with network.trace(images, layers=[layer], wrt=[layer]) as trace:
        maps = trace.activations[layer]
        (pull,) = trace.gradient([TARGET], wrt=layer)
    inner = network.module.trunks["trunk"].inner
    values: list[Tensor] = []
    handle = inner.get_submodule(layer).register_forward_hook(lambda m, i, o: values.append(o))
    logits = inner(torch.from_numpy(images))
    handle.remove()
    (expected,) = torch.autograd.grad(logits[0, 2], values)
    assert values[0].shape == raw
    there = values[0].detach().permute(0, 3, 1, 2).numpy()
    np.testing.assert_allclose(maps, there, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pull, expected.permute(0, 3, 1, 2).numpy(), rtol=1e-3, atol=1e-6)


def _channels_last(name: str) -> tuple[TorchNetwork, str, tuple[int, ...]]:
    if name == "swin":
        module = make("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1))
        network = adopt(module, input_shape=(3, 224, 224), device="cpu")
        return network, "layers.2", (1, 14, 14, 384)
    network = adopt(make("convnext_atto", conv_mlp=False), input_shape=(3, 64, 64), device="cpu")
    return network, "stages.2.blocks.0.norm", (1, 4, 4, 160)
