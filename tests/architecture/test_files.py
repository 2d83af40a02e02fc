import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from tests.architecture.conftest import architectures

from convoscope.architecture.branches import Adopted, Parallel, Residual
from convoscope.architecture.files import from_yaml, read, to_yaml
from convoscope.architecture.graph import Architecture, Head, without_top
from convoscope.architecture.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2d,
)
from convoscope.architecture.zoo import ZOO, make
from convoscope.errors import ArchitectureError, ShapeError, UnknownNameError

LENET = """\
name: lenet
input_shape: [1, 28, 28]
layers:
  - {kind: conv2d, filters: 6, kernel_size: 5, padding: 2, activation: tanh}
  - {kind: avg_pool2d}
  - {kind: conv2d, name: second, filters: 16, kernel_size: 5}
  - {kind: flatten}
  - {kind: dense, name: logits, units: 10}
"""


@pytest.mark.parametrize("name", sorted(ZOO))
def test_the_zoo_comes_back_from_its_file(name: str) -> None:
    assert from_yaml(to_yaml(make(name)), where="file") == make(name)
    trunk = without_top(make(name))
    assert from_yaml(to_yaml(trunk), where="file") == trunk


@given(architectures())
@settings(max_examples=60, deadline=None)
def test_any_network_comes_back_from_its_file(architecture: Architecture) -> None:
    assert from_yaml(to_yaml(architecture), where="file") == architecture


def test_every_field_comes_back_from_the_file() -> None:
    net = Architecture(
        name="no: ünïcode 👁 'quoted'",
        input_shape=(3, 16, 16),
        layers=(
            Conv2d("a", 4, stride=2, padding="same", dilation=2, groups=1, initialisation="xavier"),
            BatchNorm("b", momentum=0.01, eps=1e-7),
            Parallel(
                "c",
                (
                    (),
                    (Residual("d", (Dropout("e", 0.25),), activation="relu"),),
                    (MaxPool2d("f", kernel_size=3, stride=1, padding=1),),
                ),
            ),
            Adopted("g", source="s", cut="c", maps=(8, 2, 2), parameters=7, multiply_accumulates=9),
        ),
        heads=(
            Head(
                name="x",
                layers=(GlobalAvgPool("h"), Dense("i", 1)),
                output="sigmoid",
                threshold=0.7,
            ),
            Head(name="no", layers=(Flatten("j"), Dense("k", 3, bias=False))),
        ),
    )
    assert from_yaml(to_yaml(net), where="file") == net


def test_default_values_are_left_out() -> None:
    net = Architecture(name="net", input_shape=(1, 4, 4), layers=(Conv2d("conv", 2),))
    assert to_yaml(net) == (
        "name: net\ninput_shape: [1, 4, 4]\nlayers:\n"
        "- {kind: conv2d, name: conv, filters: 2}\nheads: {}\n"
    )


def test_layers_without_names_are_numbered_by_kind_and_the_head_begins_at_the_flatten() -> None:
    net = from_yaml(LENET, where="file")
    assert [layer.name for layer in net.layers] == ["conv1", "pool1", "second"]
    (head,) = net.heads
    assert (head.name, head.output) == ("class", "softmax")
    assert [layer.name for layer in head.layers] == ["flatten1", "logits"]
    assert net.layers[0] == Conv2d("conv1", 6, kernel_size=5, padding=2, activation="tanh")


def test_numbers_pass_over_names_that_are_taken() -> None:
    text = """
        input_shape: [1, 9, 9]
        layers:
          - {kind: conv2d, filters: 2}
          - {kind: conv2d, name: conv1, filters: 2}
          - {kind: residual, body: [{kind: conv2d, filters: 2, padding: 1}]}
          - {kind: parallel, branches: [[{kind: max_pool2d}], [{kind: avg_pool2d}]]}
    """
    net = from_yaml(text, where="nets/mine.yaml")
    assert net.name == "mine"
    assert net.layer_names == (
        "conv2",
        "conv1",
        "conv3",
        "residual1",
        "pool1",
        "pool2",
        "parallel1",
    )
    assert net.heads == ()


def test_heads_are_a_mapping() -> None:
    text = """
        input_shape: [1, 4, 4]
        layers: [{kind: flatten}]
        heads:
          colour: {output: sigmoid, layers: [{kind: dense, units: 1}]}
          shape: {layers: [{kind: dense, units: 3}]}
    """
    net = from_yaml(text, where="file")
    assert [(head.name, head.output) for head in net.heads] == [
        ("colour", "sigmoid"),
        ("shape", "softmax"),
    ]
    assert [head.layers[0].name for head in net.heads] == ["dense1", "dense2"]


def test_json_and_yaml_files_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "lenet.yaml").write_text(LENET, encoding="utf-8")
    (tmp_path / "lenet.json").write_text(
        "\ufeff" + json.dumps(yaml.safe_load(LENET), indent="\t"), encoding="utf-8"
    )
    assert read(tmp_path / "lenet.yaml") == read(tmp_path / "lenet.json")


LAYER_ERRORS = [
    ("{kind: conv2d, name: conv2, filters: 1, kernel_size: three}",
     "layers[0] 'conv2': kernel_size must be an int >= 1, got 'three'"),
    ("{kind: conv2d, name: conv2, filters: 0}",
     "layers[0] 'conv2': filters must be an int >= 1, got 0"),
    ("{kind: conv2d, filters: 0}", "layers[0]: filters must be an int >= 1, got 0"),
    ("{kind: conv2d, filters: 2.0}", "layers[0]: filters must be an int >= 1, got 2.0"),
    ("{kind: conv2d, filters: true}", "layers[0]: filters must be an int >= 1, got True"),
    ("{kind: conv2d, filters: '8'}", "layers[0]: filters must be an int >= 1, got '8'"),
    ("{kind: conv2d, filters: [8]}", "layers[0]: filters must be an int >= 1, got (8,)"),
    ("{kind: conv2d, filters: 1, padding: sam}",
     "layers[0]: padding must be an int >= 0, 'same' or 'valid', got 'sam'"),
    ("{kind: conv2d, filters: 1, padding: -1}",
     "layers[0]: padding must be an int >= 0, 'same' or 'valid', got -1"),
    ("{kind: conv2d, filters: 1, bias: no}",
     "layers[0]: bias must be true or false, got 'no'"),
    ("{kind: dense, units: 1, activation: rleu}",
     "layers[0]: activation must be one of relu, relu6, elu, selu, gelu, silu, leaky_relu, tanh, "
     "sigmoid or null, got 'rleu'"),
    ("{kind: max_pool2d, stride: x}", "layers[0]: stride must be an int >= 1 or null, got 'x'"),
    ("{kind: dropout, rate: half}", "layers[0]: rate must be a number, got 'half'"),
    ("{kind: dropout, rate: .nan}",
     "layers[0]: rate must be at least 0 and below 1, got nan"),
    ("{kind: flatten, name: 5}", "layers[0]: name must be text, got 5"),
    ("{kind: adopted, name: a, source: s, cut: c, maps: 7, parameters: 1, multiply_accumulates: 1}",
     "layers[0] 'a': maps must be a list of ints such as [512, 7, 7], got 7"),
    ("{kind: residual, body: []}", "layers[0]: body must hold at least one layer"),
    ("{kind: residual, name: r, body: {kind: flatten}}",
     "layers[0] 'r'.body: there must be a list of layers, got {'kind': 'flatten'}"),
    ("{kind: residual, name: r, body: [{kind: flatten}, {kind: conv2d, filters: x}]}",
     "layers[0] 'r'.body[1]: filters must be an int >= 1, got 'x'"),
    ("{kind: parallel, branches: [[], [{kind: dense, name: d, units: x}]]}",
     "layers[0].branches[1][0] 'd': units must be an int >= 1, got 'x'"),
    ("{kind: parallel, branches: many}",
     "layers[0]: branches must be a list of lists of layers, got 'many'"),
    ("{kind: conv2d}", "layers[0]: a conv2d layer must have filters, it is missing: add it"),
    ("conv", "layers[0]: a layer must be a mapping such as {kind: conv2d, filters: 8}, got 'conv'"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "message"), LAYER_ERRORS)
def test_an_impossible_layer_is_one_sentence_with_file_layer_and_key(
    layer: str, message: str
) -> None:
    with pytest.raises(ArchitectureError) as caught:
        from_yaml(f"input_shape: [1, 8, 8]\nlayers: [{layer}]", where="nets/lenet.yaml")
    assert str(caught.value) == f"nets/lenet.yaml: {message}"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("{kind: conv2, filters: 8}", "there is no kind of layer 'conv2': did you mean 'conv2d'?"),
        ("{kind: conv2d, filter: 8}", "no key of a conv2d layer 'filter': did you mean 'filters'?"),
        ("{kind: relu}", "there is no kind of layer 'relu': known are activation, adopted, avg_p"),
    ],
)
def test_an_unknown_kind_or_key_is_told_the_nearest(layer: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        from_yaml(f"input_shape: [1, 8, 8]\nlayers: [{layer}]", where="nets/lenet.yaml")
    assert str(caught.value).startswith("nets/lenet.yaml: layers[0]: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["", "kind: null, ", "kind: 3, "])
def test_a_layer_needs_a_kind(kind: str) -> None:
    with pytest.raises(
        ArchitectureError, match=r"layers\[0\]: kind must be one of activation, .*, got (none|3)$"
    ):
        from_yaml(f"input_shape: [1, 8, 8]\nlayers: [{{{kind}filters: 3}}]", where="file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a network's description must be a mapping with input_shape and layers, got None"),
        ("[1, 2]", r"must be a mapping with input_shape and layers, got \[1, 2\]"),
        ("layers: []", "input_shape is required, it is missing: add it"),
        ("input_shape: [1, 8, 8]", "layers is required, it is missing: add it"),
        ("input_shape: 8\nlayers: []", r"input_shape must be a list \[channels, height, width\]"),
        ("input_shape: [1, x, 8]\nlayers: []", r"ints >= 1, got \[1, 'x', 8\]"),
        ("input_shape: [1, 8, 8]\nlayers: x", "layers: there must be a list of layers, got 'x'"),
        ("name: 5\ninput_shape: [1, 8, 8]\nlayers: []", "name must be text, got 5: put it in quot"),
        (
            "input_shape: [1, 8, 8]\nlayers: []\nheads: [x]",
            r"heads must map each head's name to its output and layers, got \['x'\]",
        ),
        (
            "input_shape: [1, 8, 8]\nlayers: []\nheads: {a: 3}",
            r"heads\.a: a head must be a mapping with layers, got 3",
        ),
        (
            "input_shape: [1, 8, 8]\nlayers: []\nheads: {a: {layers: [], output: tanh}}",
            r"heads\.a: output must be softmax or sigmoid, got 'tanh'",
        ),
        (
            "input_shape: [1, 8, 8]\nlayers: []\nheads: {a: {layers: [], threshold: high}}",
            r"heads\.a: threshold must be a number, got 'high'",
        ),
        (
            "input_shape: [1, 8, 8]\nlayers: []\nheads: {a: {layers: [{kind: dense, units: x}]}}",
            r"heads\.a\.layers\[0\]: units must be an int >= 1, got 'x'",
        ),
        ("a: " + "x" * 100, "there is no key of a network's description 'a': known are heads, inp"),
    ],
)
def test_an_impossible_description_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises((ArchitectureError, UnknownNameError), match=f"^f.yaml: .*{message}"):
        from_yaml(text, where="f.yaml")


def test_unknown_keys_of_the_description_and_of_heads_are_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'layer': did you mean 'layers'"):
        from_yaml("input_shape: [1, 8, 8]\nlayer: []", where="file")
    text = "input_shape: [1, 8, 8]\nlayers: []\nheads: {a: {layers: [], outputs: x}}"
    with pytest.raises(
        UnknownNameError, match=r"heads\.a: .* of a head 'outputs': did you mean 'o"
    ):
        from_yaml(text, where="file")


def test_a_layer_that_does_not_fit_names_the_file() -> None:
    with pytest.raises(
        ShapeError, match=r"^nets/lenet\.yaml: layer 'second' \(3 of 5\): a 5x5 kernel with paddin"
    ):
        from_yaml(LENET.replace("28, 28", "8, 8"), where="nets/lenet.yaml")


def test_long_values_are_cut_in_messages() -> None:
    text = f"input_shape: [1, 8, 8]\nlayers: [{{kind: conv2d, filters: {'x' * 500}}}]"
    with pytest.raises(ArchitectureError, match=r"got 'x{56}\.\.\.$"):
        from_yaml(text, where="file")


def test_branches_are_nested_a_few_levels_at_most() -> None:
    layer = "{kind: flatten}"
    for _ in range(17):
        layer = f"{{kind: residual, body: [{layer}]}}"
    with pytest.raises(ArchitectureError, match="branches must be nested at most 16 deep: write"):
        from_yaml(f"input_shape: [1, 8, 8]\nlayers: [{layer}]", where="file")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"none\.yaml: .* 'No such file or directory': che"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ArchitectureError, match="the system said 'Is a directory': check the path"):
        read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ArchitectureError, match=r"latin\.yaml: .* UTF-8 text, byte 9 is not: this"):
        read(tmp_path / "latin.yaml")
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(10**12)
    with pytest.raises(ArchitectureError, match=r"huge\.yaml: .* at most 250,000 characters, g"):
        read(tmp_path / "huge.yaml")
    (tmp_path / "half.json").write_text('{"layers": [', encoding="utf-8")
    with pytest.raises(ArchitectureError, match=r"half\.json: line 1: the text must be JSON, read"):
        read(tmp_path / "half.json")
