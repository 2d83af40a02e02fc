"""Architectures changed by address and by edits."""

from __future__ import annotations

import pytest

from convoscope.architecture.documents import parse_yaml
from convoscope.architecture.files import from_yaml
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import Conv2d
from convoscope.architecture.variation import field_value, varied
from convoscope.architecture.zoo import make
from convoscope.errors import ArchitectureError, ShapeError, UnknownNameError

BRANCHED = """\
input_shape: [3, 16, 16]
layers:
- {kind: conv2d, name: stem, filters: 4, padding: 1}
- kind: residual
  name: block
  body:
  - {kind: conv2d, name: inner, filters: 4, padding: 1}
- {kind: global_avg_pool, name: pool}
- {kind: dense, name: logits, units: 3}
"""


def edited(architecture: Architecture, text: str) -> Architecture:
    content = parse_yaml(text)
    assert isinstance(content, list)
    return varied(architecture, {}, content)


def with_value(architecture: Architecture, layer: str, field: str, value: object) -> Architecture:
    return varied(architecture, {(layer, field): value})


def conv(architecture: Architecture, name: str) -> Conv2d:
    layer = architecture.place(name).layer
    assert isinstance(layer, Conv2d)
    return layer


def test_a_field_changes_and_what_follows_is_recomputed() -> None:
    base = make("given-net")
    found = with_value(base, "conv1", "kernel_size", 2)
    assert conv(found, "conv1").kernel_size == 2
    assert conv(base, "conv1").kernel_size == 7
    assert found.place("pool1").output_shape == (32, 13, 13)


def test_layers_of_heads_and_of_branches_are_reached_by_name() -> None:
    assert with_value(make("given-net"), "dense1", "units", 64).place("dense1")
    both = {("inner", "kernel_size"): 1, ("inner", "padding"): 0}  # one alone would not fit
    assert conv(varied(from_yaml(BRANCHED, where="net"), both), "inner").kernel_size == 1


def test_every_layer_of_a_kind_changes_at_once() -> None:
    found = with_value(from_yaml(BRANCHED, where="net"), "every conv2d", "filters", 6)
    assert (conv(found, "stem").filters, conv(found, "inner").filters) == (6, 6)


def test_the_value_of_a_field_is_found() -> None:
    assert field_value(make("given-net"), "conv1", "kernel_size") == 7
    assert field_value(make("own-net"), "every dropout", "rate") == 0.3


def test_a_pooling_becomes_a_strided_convolution() -> None:
    text = "[{replace: pool1, with: [{kind: conv2d, filters: 32, kernel_size: 2, stride: 2}]}]"
    found = edited(make("given-net"), text)
    assert "pool1" not in found.layer_names
    assert found.place("conv2").output_shape == (32, 11, 11)


def test_edits_follow_one_another_and_may_not_fit_meanwhile() -> None:
    text = "[{remove: flatten}, {before: dense1, add: [{kind: global_avg_pool}]}]"
    assert edited(make("given-net"), text).place("dense1").input_shape == (32,)


def test_batch_norm_moves_before_the_activation() -> None:
    found = with_value(make("given-net"), "conv1", "activation", None)
    found = edited(found, "[{after: norm1, add: [{kind: activation}]}]")
    kinds = [layer.kind for layer in found.layers]
    assert kinds == ["conv2d", "batch_norm", "activation", "max_pool2d"]


def test_layers_added_after_every_one_of_a_kind_get_names_of_their_own() -> None:
    found = edited(make("architecture-3"), "[{after: every conv2d, add: [{kind: batch_norm}]}]")
    assert [n for n in found.layer_names if "norm" in n] == ["norm1", "norm2", "norm3", "norm4"]


@pytest.mark.parametrize(
    ("layer", "field", "value", "says"),
    [
        ("conv9", "filters", 8, "there is no layer 'conv9': did you mean 'conv1'?"),
        ("conv1", "kernelsize", 3, "there is no field of a conv2d layer 'kernelsize': did you"),
        ("conv1", "name", "x", "there is no field of a conv2d layer 'name'"),
        ("every relu", "rate", 1, "there is no kind of layer 'relu'"),
        ("every dropout", "rate", 0.5, "there is no kind of layer in this network 'dropout'"),
    ],
)
def test_what_is_not_there_is_named(layer: str, field: str, value: object, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says.replace("?", r"\?")):
        with_value(make("given-net"), layer, field, value)


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="'conv1': kernel_size must be an int >= 1, got 0"):
        with_value(make("given-net"), "conv1", "kernel_size", 0)
    with pytest.raises(ArchitectureError, match="kernel_size must be an int >= 1, got 'three'"):
        with_value(make("given-net"), "conv1", "kernel_size", "three")
    with pytest.raises(ShapeError, match="a 40x40 kernel"):
        with_value(make("given-net"), "conv1", "kernel_size", 40)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[norm1]", "an edit must be a mapping with one of remove, replace, before, after"),
        ("[{delete: norm1}]", r"layers\[0\]: there is no edit of layers 'delete'"),
        ("[{after: conv1}]", "after: must have a list of layers under 'add', got None"),
        ("[{remove: norm1, add: []}]", "there is no key of an edit that says 'remove' 'add'"),
        ("[{remove: norm2}]", "there is no layer 'norm2': did you mean 'norm1'"),
        ("[{after: conv1, add: [{kind: conv3d}]}]", "there is no kind of layer 'conv3d'"),
        ("[{remove: flatten}]", "a dense layer takes a vector"),
    ],
)
def test_edits_that_say_something_else_are_refused(text: str, says: str) -> None:
    with pytest.raises((ArchitectureError, UnknownNameError, ShapeError), match=says):
        edited(make("given-net"), text)
