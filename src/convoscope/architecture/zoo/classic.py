"""Networks from papers: LeNet-5 and the VGG family."""

from __future__ import annotations

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import AvgPool2d, Conv2d, Dense, Flatten, MaxPool2d
from convoscope.architecture.protocol import Shape

_VGG_FILTERS = (64, 128, 256, 512, 512)


def lenet_5(input_shape: Shape) -> Architecture:
    """LeNet-5 as it is taught: tanh, mean pooling, padding that makes 28x28 what 32x32 was.

    Source: LeCun et al. 1998, https://doi.org/10.1109/5.726791. Ours connects every map of the
    second convolution to every map before it, pools without weights and ends in softmax.
    """
    return Architecture(
        name="lenet-5",
        input_shape=input_shape,
        layers=(
            _tanh_conv("conv1", 6, padding=2),
            AvgPool2d("pool1"),
            _tanh_conv("conv2", 16, padding=0),
            AvgPool2d("pool2"),
        ),
        heads=(
            Head(
                layers=(
                    Flatten("flatten"),
                    Dense("dense1", 120, activation="tanh", initialisation="xavier"),
                    Dense("dense2", 84, activation="tanh", initialisation="xavier"),
                    Dense("dense3", 10, initialisation="xavier"),
                )
            ),
        ),
    )


def vgg11(input_shape: Shape) -> Architecture:
    """VGG with 8 convolutions and 3 dense layers."""
    return _vgg("vgg11", input_shape, convolutions=(1, 1, 2, 2, 2))


def vgg16(input_shape: Shape) -> Architecture:
    """VGG with 13 convolutions and 3 dense layers."""
    return _vgg("vgg16", input_shape, convolutions=(2, 2, 3, 3, 3))


def vgg19(input_shape: Shape) -> Architecture:
    """VGG with 16 convolutions and 3 dense layers."""
    return _vgg("vgg19", input_shape, convolutions=(2, 2, 4, 4, 4))


def _tanh_conv(name: str, filters: int, *, padding: int) -> Conv2d:
    return Conv2d(
        name, filters, kernel_size=5, padding=padding, activation="tanh", initialisation="xavier"
    )


def _vgg(name: str, input_shape: Shape, *, convolutions: tuple[int, ...]) -> Architecture:
    """Five blocks of 3x3 convolutions, each halved by pooling; layers named as Keras names them.

    Source: Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556. Kaiming initialisation
    lets it learn from scratch without the paper's pre-training; like Keras' it has no dropout.
    """
    layers: list[AnyLayer] = []
    for block, (count, filters) in enumerate(zip(convolutions, _VGG_FILTERS, strict=True), 1):
        layers += [
            Conv2d(f"block{block}_conv{i}", filters, padding=1, activation="relu")
            for i in range(1, count + 1)
        ]
        layers.append(MaxPool2d(f"block{block}_pool"))
    top = (
        Flatten("flatten"),
        Dense("fc1", 4096, activation="relu"),
        Dense("fc2", 4096, activation="relu"),
        Dense("predictions", 1000, initialisation="xavier"),
    )
    return Architecture(
        name=name, input_shape=input_shape, layers=tuple(layers), heads=(Head(layers=top),)
    )
