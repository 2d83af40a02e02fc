"""The real ImageNet networks at hand, against a slow path of their own on real photographs.

The slow paths read the files, order the axes and walk the layers themselves, with PyTorch's
functions alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from convoscope import engines
from convoscope.arrays import ByteArray, FloatArray
from convoscope.data.decoding import network_input, open_image
from convoscope.transfer.foreign import Fitted, fitted, likely
from convoscope.transfer.imagenet import class_names
from convoscope.transfer.readers import read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photographs(shared: Callable[[str], Path]) -> list[ByteArray]:
    folders = [shared("caltech5/test/grand_piano"), shared("caltech3/test/ketch")]
    return [open_image(sorted(folder.iterdir())[0]) for folder in folders]


def answer(net: Fitted, photographs: list[ByteArray]) -> tuple[ByteArray, FloatArray]:
    """The images as the network is shown them, (N, H, W, 3), and its logits."""
    assert net.preprocessing is not None
    images = np.stack([network_input(photo, net.preprocessing) for photo in photographs])
    network = engines.build(
        net.architecture,
        preprocessing=net.preprocessing,
        parameters=net.parameters,
        device="cpu",
    )
    return images, network.logits(images.transpose(0, 3, 1, 2))["class"]


def agree(found: FloatArray, expected: Tensor, relative: float = 2e-5) -> None:
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=relative * scale)


def named(logits: FloatArray) -> list[str]:
    return [class_names()[index] for index in logits.argmax(axis=1)]


def test_vgg19_from_its_quantised_layers_model(
    shared: Callable[[str], Path], photographs: list[ByteArray]
) -> None:
    folder = shared("weights/vgg19-imagenet-tfjs-uint8")
    foreign = read(folder)
    net = fitted("vgg19", foreign)
    assert (net.origin, likely(foreign)) == ("keras", "vgg19")
    assert sum(array.size for array in net.parameters.values()) == 143_667_240
    assert len(foreign.steps) == 38
    assert max(foreign.steps.values()) < 0.04
    del foreign
    images, found = answer(net, photographs)
    agree(found, slow_vgg19(folder, images))
    assert named(found) == ["grand piano", "yawl"]  # a ketch is no class; a yawl is its sister


@torch.inference_mode()
def slow_vgg19(folder: Path, images: ByteArray) -> Tensor:
    """Keras' VGG19 on NHWC maps: one byte a weight, five blocks, three dense layers."""
    manifest = json.loads((folder / "model.json").read_text())["weightsManifest"][0]
    stream = np.concatenate([np.fromfile(folder / path, np.uint8) for path in manifest["paths"]])
    pixels = torch.from_numpy(images[..., ::-1].astype(np.float32))  # BGR
    x, start, block = pixels - torch.tensor([103.939, 116.779, 123.68]), 0, "block1"
    arrays = []
    for entry in manifest["weights"]:
        count, rule = int(np.prod(entry["shape"])), entry["quantization"]
        values = stream[start : start + count].astype(np.float32).reshape(entry["shape"])
        arrays.append((entry["name"], torch.from_numpy(values * rule["scale"] + rule["min"])))
        start += count
    for (name, kernel), (_, bias) in zip(arrays[::2], arrays[1::2], strict=True):
        if not name.startswith(block) and x.ndim == 4:
            x, block = pooled(x, 2, 2), name.partition("_")[0]
        if kernel.ndim == 4:
            maps = functional.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, 1, 1)
            x = maps.permute(0, 2, 3, 1).relu()
        else:
            x = x.reshape(len(x), -1) @ kernel.float() + bias
            x = x if name.startswith("predictions") else x.relu()
    return x


def pooled(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """NHWC maximum pooling."""
    return functional.max_pool2d(x.permute(0, 3, 1, 2), kernel_size, stride).permute(0, 2, 3, 1)


def test_squeezenet_from_its_arrays_and_prototxt(
    shared: Callable[[str], Path], photographs: list[ByteArray]
) -> None:
    file = shared("weights/squeezenet10_float32.npz")
    prototxt = shared("weights/squeezenet10-deep-compression/SqueezeNet_deploy.prototxt")
    foreign = read(file)
    net = fitted("squeezenet1_0", foreign)
    assert (net.origin, likely(foreign)) == ("caffe (compressed)", "squeezenet1_0")
    assert sum(array.size for array in net.parameters.values()) == 1_248_424
    images, found = answer(net, photographs)
    agree(found, slow_caffe(prototxt, file, images))
    assert named(found) == ["grand piano", "yawl"]  # a ketch is no class; a yawl is its sister


@torch.inference_mode()
def slow_caffe(prototxt: Path, file: Path, images: ByteArray) -> Tensor:
    """The layers of a prototxt, one after the other, as Caffe computes them."""
    with np.load(file) as arrays:
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    pixels = images[..., ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)
    blobs = {"data": torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())}
    top = ""
    for text in prototxt.read_text().split("\nlayer {")[1:]:
        # The first of each key is the layer's own, later ones are its fillers'.
        said: dict[str, Any] = dict(reversed(re.findall(r"(\w+): \"?([\w./]+)\"?", text)))
        inputs = [blobs[name] for name in re.findall(r"bottom: \"(.*?)\"", text)]
        top = said["top"]
        blobs[top] = caffe_layer(said, inputs, weights)
    return blobs[top].flatten(1)


def caffe_layer(said: dict[str, Any], inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
    (first, *_) = inputs
    match said["type"]:
        case "Convolution":
            weight, bias = (weights[f"{said['name']}.{part}"] for part in ("weight", "bias"))
            stride, pad = int(said.get("stride", 1)), int(said.get("pad", 0))
            return functional.conv2d(first, weight, bias, stride, pad)
        case "ReLU":
            return first.relu()
        case "Concat":
            return torch.cat(inputs, dim=1)
        case "Dropout":
            return first
        case "Pooling" if said["pool"] == "MAX":
            return functional.max_pool2d(
                first, int(said["kernel_size"]), int(said["stride"]), ceil_mode=True
            )
        case "Pooling" if said.get("global_pooling") == "true":
            return first.mean(dim=(2, 3), keepdim=True)
    raise AssertionError(f"not a layer of SqueezeNet: {said}")


def test_mobilenet_from_its_tensorflow_lite_arrays(
    shared: Callable[[str], Path], photographs: list[ByteArray]
) -> None:
    file = shared("weights/mobilenet_v2_1.0_dequantised_float32.npz")
    foreign = read(file)
    net = fitted("mobilenet_v2", foreign)
    assert (net.origin, likely(foreign)) == ("tensorflow lite", "mobilenet_v2")
    images, found = answer(net, photographs)
    expected = slow_tflite(file.with_name(f"{file.stem}.ops.json"), file, images)
    agree(found, expected[:, 1:])  # the first of 1001 classes is "background"
    assert named(found) == ["grand piano", "schooner"]


@torch.inference_mode()
def slow_tflite(operations: Path, file: Path, images: ByteArray) -> Tensor:
    """The list of operations, one after the other, on NHWC maps padded as TensorFlow pads."""
    with np.load(file) as arrays:
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    said = json.loads(operations.read_text())
    scale, zero = said["q"]
    pixels = torch.from_numpy((images.astype(np.float32) - zero) * scale)
    tensors = {said["inp"]: pixels.permute(0, 3, 1, 2)}
    for operation in said["layers"]:
        first = tensors[operation["ins"][0]]
        match operation["op"]:
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                out = tflite_convolution(operation, first, weights)
            case "ADD":
                out = first + tensors[operation["ins"][1]]
            case "AVERAGE_POOL_2D":
                out = first.mean(dim=(2, 3), keepdim=True)
            case _:  # reshaping and softmax come last
                return first.flatten(1)
        tensors[operation["out"]] = out
    raise AssertionError("the list has no end")


def tflite_convolution(operation: dict[str, Any], x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    weight, bias = (weights[f"{operation['n']}.{part}"] for part in ("weight", "bias"))
    is_depthwise = operation["op"] == "DEPTHWISE_CONV_2D"
    kernel = weight.permute(3, 0, 1, 2) if is_depthwise else weight.permute(0, 3, 1, 2)
    stride = -(-operation["ishape"][1] // operation["oshape"][1])
    side, size = kernel.shape[2], x.shape[2]
    total = max((-(-size // stride) - 1) * stride + side - size, 0)
    padded = functional.pad(x, [total // 2, total - total // 2] * 2)
    y = functional.conv2d(padded, kernel, bias, stride, groups=x.shape[1] if is_depthwise else 1)
    has_relu6 = operation["range"][0] == 0 and abs(operation["range"][1] - 6) < 0.01
    return y.clamp(0, 6) if has_relu6 else y
