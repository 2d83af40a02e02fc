import pytest

from convoscope.architecture.graph import walk
from convoscope.architecture.layers import Conv2d, Dense, Dropout
from convoscope.architecture.zoo import make
from convoscope.architecture.zoo.flexible import flexible_options
from convoscope.errors import SettingsError, ShapeError, UnknownNameError


@pytest.mark.parametrize(
    ("organisation", "expected"),
    [(1, [16] * 5), (2, [16, 32, 64, 128, 256]), (0.5, [16, 8, 4, 2, 1])],
)
def test_the_organisation_scales_each_blocks_filters(
    organisation: float, expected: list[int]
) -> None:
    net = make("flexible", filters=16, organisation=organisation)
    convs = [place.layer for place in walk(net) if isinstance(place.layer, Conv2d)]
    assert [conv.filters for conv in convs] == expected


def test_halved_filters_never_vanish() -> None:
    net = make("flexible", filters=3, organisation=0.5)
    assert [p.output_shape[0] for p in walk(net) if p.layer.kind == "conv2d"] == [3, 1, 1, 1, 1]


def test_every_option_is_in_the_network() -> None:
    net = make(
        "flexible",
        blocks=2,
        filters=4,
        kernel_size=5,
        activation="selu",
        batch_norm=True,
        dropout=0.25,
        dense_layers=2,
        dense_width=16,
    )
    assert net.layer_names == (
        *("conv1", "selu1", "norm1", "pool1", "conv2", "selu2", "norm2", "pool2", "flatten"),
        *("dense1", "dropout1", "dense2", "dropout2", "output"),
    )
    conv, dense, dropout = (net.place(n).layer for n in ("conv2", "dense2", "dropout1"))
    assert isinstance(conv, Conv2d)
    assert (conv.kernel_size, conv.padding, conv.bias) == (5, "same", True)
    assert isinstance(dense, Dense)
    assert (dense.units, dense.activation) == (16, "selu")
    assert isinstance(dropout, Dropout)
    assert dropout.rate == 0.25


@pytest.mark.parametrize(
    ("activation", "initialisation"),
    [("relu", "kaiming"), ("elu", "kaiming"), ("selu", "fan_in"), ("tanh", "xavier")],
)
def test_weights_are_drawn_as_the_activation_needs(activation: str, initialisation: str) -> None:
    net = make("flexible", activation=activation)
    for name in ("conv1", "dense1"):
        layer = net.place(name).layer
        assert isinstance(layer, Conv2d | Dense)
        assert layer.initialisation == initialisation


def test_dense_layers_and_dropout_can_be_left_out() -> None:
    net = make("flexible", blocks=1, dense_layers=0, dropout=0.5)
    assert net.layer_names == ("conv1", "relu1", "pool1", "flatten", "output")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "blocks must be an int from 1 to 16, got 0"),
        ({"blocks": 10**9}, "blocks must be an int from 1 to 16, got 1000000000"),
        ({"filters": "many"}, "filters must be an int from 1 to 65536, got 'many'"),
        ({"kernel_size": 2.5}, "kernel_size must be an int from 1 to 1024, got 2.5"),
        ({"dense_layers": -1}, "dense_layers must be an int from 0 to 64, got -1"),
        ({"dense_width": True}, "dense_width must be an int from 1 to 1048576, got True"),
        ({"organisation": 3}, "organisation must be 0.5, 1 or 2 times the filters, got 3"),
        ({"organisation": True}, "organisation must be 0.5, 1 or 2 times the filters, got True"),
        ({"batch_norm": 1}, "batch_norm must be true or false, got 1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": "half"}, "dropout must be at least 0 and below 1, got 'half'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        flexible_options(options)


def test_errors_about_an_option_name_the_network() -> None:
    with pytest.raises(
        SettingsError, match=r"^model 'flexible': blocks must be an int from 1 to 16, got 0"
    ):
        make("flexible", blocks=0)


def test_unknown_options_and_activations_are_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="option of flexible 'filter': did you mean 'filte"):
        make("flexible", filter=3)
    with pytest.raises(UnknownNameError, match="no activation 'rleu': did you mean 're"):
        make("flexible", activation="rleu")


def test_more_poolings_than_the_image_bears_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"layer 'pool4' \(12 of 18\): a 2x2 kernel with padding"):
        make("flexible", input_shape=(1, 8, 8))
