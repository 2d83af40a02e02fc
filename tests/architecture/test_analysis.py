import json

import pytest
import torch
import torchinfo
from hypothesis import given, settings
from tests.architecture.conftest import architectures, outputs
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convoscope.architecture.analysis import analyse
from convoscope.architecture.graph import Architecture, Head, without_top
from convoscope.architecture.layers import Conv2d, Dense, Flatten
from convoscope.architecture.zoo import ZOO, make


def counted_by_pytorch(architecture: Architecture) -> int:
    """Multiply-accumulates as PyTorch's own counter sees them, two FLOPs each."""
    counter = FlopCounterMode(display=False)
    with counter:
        outputs(architecture)
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("name", sorted(ZOO))
def test_macs_of_the_zoo_are_those_pytorch_counts(name: str) -> None:
    assert analyse(make(name)).macs == counted_by_pytorch(make(name))


@given(architectures())
@settings(max_examples=50, deadline=None)
def test_macs_of_random_networks_are_those_pytorch_counts(architecture: Architecture) -> None:
    assert analyse(architecture).macs == counted_by_pytorch(architecture)


def test_every_row_is_torchinfos_where_a_layer_has_no_bias() -> None:
    """torchinfo counts a bias as a product and batch norm's values once; so only those rows."""
    net = make("small", input_shape=(3, 64, 64))
    _, modules = outputs(without_top(net), device="cpu")
    summary = torchinfo.summary(
        nn.Sequential(*modules.values()), input_size=(1, 3, 64, 64), verbose=0, device="cpu"
    )
    theirs = [layer for layer in summary.summary_list if layer.class_name == "Conv2d"]
    ours = [row for row in analyse(net).rows if row.kind == "conv2d"]
    assert [row.macs for row in ours] == [layer.macs for layer in theirs]
    assert [row.parameters for row in ours] == [layer.num_params for layer in theirs]
    assert [(1, *row.output_shape) for row in ours] == [tuple(x.output_size) for x in theirs]
    assert summary.total_params == analyse(without_top(net)).parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("two-conv", 389_336_515),
        ("architecture-1", 211_701),
        ("architecture-2", 48_405),
        ("architecture-3", 62_805),
        ("given-net", 3_977_866),
        ("lenet-5", 61_706),
        ("vgg11", 132_863_336),
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
    ],
)
def test_published_parameter_counts(name: str, parameters: int) -> None:
    assert analyse(make(name)).parameters == parameters


def test_vgg19_costs_what_is_published() -> None:
    assert analyse(without_top(make("vgg19"))).parameters == 20_024_384
    assert f"{analyse(make('vgg19')).macs / 1e9:.2f}" == "19.63"


def test_totals_are_the_sums_of_the_rows() -> None:
    analysis = analyse(make("four-heads"))
    assert analysis.parameters == sum(row.parameters for row in analysis.rows)
    assert analysis.macs == sum(row.macs for row in analysis.rows)
    assert analysis.activation_bytes == sum(row.activation_bytes for row in analysis.rows)


def test_memory_is_that_of_the_outputs_in_float32() -> None:
    net = make("own-net")
    found, _ = outputs(net)
    expected = {name: maps.numel() * torch.float32.itemsize for name, maps in found.items()}
    assert {row.name: row.activation_bytes for row in analyse(net).rows} == expected


def test_rows_say_head_and_depth() -> None:
    rows = {row.name: row for row in analyse(make("four-heads")).rows}
    assert rows["conv1"].head is None
    assert rows["angle_logits"].head == "angle"
    assert rows["angle_logits"].input_shape == (256,)
    assert {row.depth for row in rows.values()} == {0}


def test_the_json_object_has_stable_keys_and_plain_values() -> None:
    net = Architecture(
        name="net",
        input_shape=(1, 6, 6),
        layers=(Conv2d("conv", 2),),
        heads=(Head(layers=(Flatten("flatten"), Dense("dense", 3))),),
    )
    content = json.loads(json.dumps(analyse(net).to_json()))
    conventions = content.pop("conventions")
    assert "2 FLOPs" in conventions["macs"]
    assert "float32" in conventions["activation_bytes"]
    assert content == {
        "name": "net",
        "input_shape": [1, 6, 6],
        "parameters": 20 + 99,
        "macs": 2 * 16 * 9 + 96,
        "activation_bytes": 4 * (32 + 32 + 3),
        "heads": {"class": [3]},
        "layers": [
            {
                "name": "conv",
                "kind": "conv2d",
                "input_shape": [1, 6, 6],
                "output_shape": [2, 4, 4],
                "parameters": 20,
                "macs": 288,
                "activation_bytes": 128,
                "receptive_field": [3, 3],
                "jump": [1, 1],
                "head": None,
                "depth": 0,
            },
            {
                "name": "flatten",
                "kind": "flatten",
                "input_shape": [2, 4, 4],
                "output_shape": [32],
                "parameters": 0,
                "macs": 0,
                "activation_bytes": 128,
                "receptive_field": [6, 6],
                "jump": [0, 0],
                "head": "class",
                "depth": 0,
            },
            {
                "name": "dense",
                "kind": "dense",
                "input_shape": [32],
                "output_shape": [3],
                "parameters": 99,
                "macs": 96,
                "activation_bytes": 12,
                "receptive_field": [6, 6],
                "jump": [0, 0],
                "head": "class",
                "depth": 0,
            },
        ],
    }


def test_a_vector_has_no_field_of_its_own_in_any_table() -> None:
    rows = {row.name: row for row in analyse(make("lenet-5")).rows}
    assert rows["conv2"].field == rows["conv2"].receptive_field
    assert all(row.field is None for row in rows.values() if len(row.output_shape) == 1)
    table = analyse(make("lenet-5"))._repr_html_()
    assert table.count(">all<") == sum(row.field is None for row in rows.values()) > 1
