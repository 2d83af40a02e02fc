"""Attention rollout on a transformer of timm's, against attention computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.explain.conftest import CHAIN, Build
from torch import Tensor, nn
from torch.nn import functional

from convoscope.arrays import Array, FloatArray, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.adopted.attention import fused_weights
from convoscope.engines.torch.adopted.torchvision_import import import_timm
from convoscope.engines.torch.network import TorchNetwork
from convoscope.errors import ExplainError
from convoscope.explain import explain, usable
from convoscope.explain.attention_rollout import attention_rollout, rollout
from convoscope.explain.views import look
from convoscope.network import ClassLogit

SIZE, PATCH, HEADS = 24, 8, 2


def transformer(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    module: nn.Module = import_timm().models.VisionTransformer(
        img_size=SIZE, patch_size=PATCH, embed_dim=8, depth=2, num_heads=HEADS, num_classes=3,
        **options,
    )  # fmt: skip
    return module.eval()


def network_of(module: nn.Module) -> TorchNetwork:
    return adopt(module, input_shape=(3, SIZE, SIZE), device="cpu", source="vit")


@pytest.fixture
def pictures() -> Array:
    return generator(2, "pictures").random((2, 3, SIZE, SIZE), dtype="float32")


def by_hand(module: Any, pictures: Array) -> list[FloatArray]:
    """Each block's attention from its own queries and keys, one head and token at a time."""
    with torch.no_grad():
        x = module.patch_embed(torch.from_numpy(pictures))
        x = module.norm_pre(module._pos_embed(x))
        found = []
        for block in module.blocks:
            attention, tokens = block.attn, block.norm1(x)
            q, k, _ = attention.qkv(tokens).chunk(3, dim=-1)
            images, count, width = q.shape
            weights = np.zeros((images, HEADS, count, count))
            for n in range(images):
                for head in range(HEADS):
                    part = slice(head * width // HEADS, (head + 1) * width // HEADS)
                    for token in range(count):
                        scores = k[n, :, part] @ q[n, token, part] / (width // HEADS) ** 0.5
                        weights[n, head, token] = torch.softmax(scores, 0).numpy()
            found.append(weights)
            x = block(x)
    return found


def test_attention_is_that_of_the_blocks(pictures: Array) -> None:
    module = transformer()
    found = network_of(module).attention(pictures)
    assert [w.shape for w in found] == [(2, HEADS, 10, 10)] * 2
    for weights, expected in zip(found, by_hand(module, pictures), strict=True):
        np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)


def test_attention_that_is_computed_by_hand_is_seen_too(pictures: Array) -> None:
    module = transformer()
    fused = network_of(module).attention(pictures)
    for block in module.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = False
    for weights, expected in zip(network_of(module).attention(pictures), fused, strict=True):
        np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-7)


def test_looking_at_attention_changes_no_answer(pictures: Array) -> None:
    network = network_of(transformer())
    before = network.logits(pictures)["class"]
    network.attention(pictures)
    np.testing.assert_array_equal(network.logits(pictures)["class"], before)


def test_rollout_is_the_papers_equation(pictures: Array) -> None:
    """Equation 1: A = 0.5 W + 0.5 I, and each layer's times that of those below it."""
    module = transformer()
    first, second = (w.mean(axis=1) for w in by_hand(module, pictures))
    own = np.eye(10)
    for n in range(2):
        flow = (0.5 * second[n] + 0.5 * own) @ (0.5 * first[n] + 0.5 * own)
        heat = flow[0, 1:].reshape(3, 3)  # from the class token to the patches, row by row
        with look(network_of(module), pictures, wrt=()) as view:
            found = attention_rollout(view, [ClassLogit("class", 0), ClassLogit("class", 1)])
        np.testing.assert_allclose(found[0, n], heat, rtol=1e-4)
        np.testing.assert_array_equal(found[0], found[1])


def test_rows_of_a_rollout_add_up_to_1() -> None:
    rng = generator(1, "attention")
    layers = [rng.dirichlet(np.ones(6), size=(2, 3, 6)) for _ in range(4)]
    np.testing.assert_allclose(rollout(layers).sum(axis=-1), 1)


def test_an_answer_read_from_the_patches_is_their_mean(pictures: Array) -> None:
    module = transformer(class_token=False, global_pool="avg")
    network = network_of(module)
    with look(network, pictures, wrt=()) as view:
        (found,) = attention_rollout(view, [ClassLogit("class", 0)])
    flow = rollout(network.attention(pictures))
    np.testing.assert_allclose(found.reshape(2, 9), flow.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1, rtol=1e-5)


def test_registers_have_no_place(pictures: Array) -> None:
    network = network_of(transformer(reg_tokens=4))
    with look(network, pictures, wrt=()) as view:
        (found,) = attention_rollout(view, [ClassLogit("class", 0)])
    flow = rollout(network.attention(pictures))
    np.testing.assert_allclose(found.reshape(2, 9), flow[:, 0, 5:], rtol=1e-6)


def test_a_network_without_attention_is_refused(build: Build, images: Array) -> None:
    with pytest.raises(ExplainError) as error:
        explain(build(CHAIN), images, "attention-rollout", [ClassLogit("class", 0)])
    assert str(error.value) == (
        "network 'chain': attention rollout needs layers that attend from all tokens to all "
        "tokens, and this one has no attention: use grad-cam"
    )
    assert "attention-rollout" not in usable(build(CHAIN))


def test_windows_are_refused() -> None:
    torch.manual_seed(0)
    swin = import_timm().models.SwinTransformer(
        img_size=32, patch_size=2, window_size=4, embed_dim=8, depths=(1, 1), num_heads=(2, 2),
        num_classes=3,
    )  # fmt: skip
    network = adopt(swin, input_shape=(3, 32, 32), device="cpu", source="swin")
    pictures = np.zeros((1, 3, 32, 32), dtype=np.float32)
    assert network.attention(pictures)
    with pytest.raises(ExplainError, match="attends in windows or among fewer tokens"):
        explain(network, pictures, "attention-rollout", [ClassLogit("class", 0)])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [None, "choice", "added"])
def test_weights_times_values_are_the_fused_functions(causal: bool, masked: str | None) -> None:
    if causal and masked:
        pytest.skip("PyTorch takes one of the two")
    torch.manual_seed(1)
    q, k, v = (torch.randn(2, 3, 5, 4, dtype=torch.float64) for _ in range(3))
    mask: Tensor | None = None
    if masked == "choice":
        mask = torch.rand(5, 5) < 0.7
        mask.fill_diagonal_(True)
    elif masked == "added":
        mask = torch.randn(5, 5, dtype=torch.float64)
    options: dict[str, Any] = {"attn_mask": mask, "is_causal": causal, "scale": 0.3}
    expected = functional.scaled_dot_product_attention(q, k, v, **options)
    torch.testing.assert_close(fused_weights(q, k, v, **options) @ v, expected)
