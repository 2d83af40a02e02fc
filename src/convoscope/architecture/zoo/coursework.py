"""Small networks as coursework defines them, each with the initialisation that it was given."""

from __future__ import annotations

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d
from convoscope.architecture.protocol import Shape


def two_conv(input_shape: Shape) -> Architecture:
    """Two convolutions, pooled at stride 1, and 389 million weights in the first dense layer."""
    return Architecture(
        name="two-conv",
        input_shape=input_shape,
        layers=(
            Conv2d("conv1", 32, activation="relu"),
            MaxPool2d("pool1", kernel_size=2, stride=1),
            Conv2d("conv2", 64, activation="relu"),
            MaxPool2d("pool2", kernel_size=2, stride=1),
        ),
        heads=(
            Head(
                layers=(
                    Flatten("flatten"),
                    Dense("dense1", 128, activation="relu", initialisation="fan_in"),
                    Dense("dense2", 3, initialisation="fan_in"),
                )
            ),
        ),
    )


def architecture_1(input_shape: Shape) -> Architecture:
    """Two convolutions, the first 11x11 at stride 4."""
    return _strided("architecture-1", input_shape, deeper=())


def architecture_2(input_shape: Shape) -> Architecture:
    """Architecture 1 with a third convolution and pooling."""
    third = Conv2d("conv3", 32, activation="relu", initialisation="xavier")
    pool = MaxPool2d("pool3", kernel_size=3, stride=2)
    return _strided("architecture-2", input_shape, deeper=(third, pool))


def architecture_3(input_shape: Shape) -> Architecture:
    """Architecture 1 with a third and a fourth convolution before the last pooling."""
    third = Conv2d("conv3", 32, activation="relu", initialisation="xavier")
    fourth = Conv2d("conv4", 64, activation="relu", initialisation="xavier")
    pool = MaxPool2d("pool3", kernel_size=3, stride=2)
    return _strided("architecture-3", input_shape, deeper=(third, fourth, pool))


def given_net(input_shape: Shape) -> Architecture:
    """One 7x7 convolution, batch norm after its ReLU, and a wide dense layer."""
    return Architecture(
        name="given-net",
        input_shape=input_shape,
        layers=(
            Conv2d("conv1", 32, kernel_size=7, activation="relu", initialisation="xavier"),
            BatchNorm("norm1"),
            MaxPool2d("pool1"),
        ),
        heads=(
            Head(
                layers=(
                    Flatten("flatten"),
                    Dense("dense1", 1024, activation="relu", initialisation="xavier"),
                    Dense("dense2", 10, initialisation="xavier"),
                )
            ),
        ),
    )


def _strided(name: str, input_shape: Shape, *, deeper: tuple[AnyLayer, ...]) -> Architecture:
    return Architecture(
        name=name,
        input_shape=input_shape,
        layers=(
            Conv2d(
                "conv1", 8, kernel_size=11, stride=4, activation="relu", initialisation="xavier"
            ),
            MaxPool2d("pool1", kernel_size=3, stride=2),
            Conv2d("conv2", 16, kernel_size=5, activation="relu", initialisation="xavier"),
            MaxPool2d("pool2", kernel_size=3, stride=2),
            *deeper,
        ),
        heads=(
            Head(
                layers=(
                    Flatten("flatten"),
                    Dense("dense1", 128, activation="relu", initialisation="xavier"),
                    Dense("dense2", 5, initialisation="xavier"),
                )
            ),
        ),
    )
