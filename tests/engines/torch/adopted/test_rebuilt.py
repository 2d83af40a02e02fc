"""Adopted networks built from an architecture and parameters alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from convoscope import engines
from convoscope.architecture import files
from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Dense, GlobalAvgPool
from convoscope.arrays import FloatArray
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.adopted.timm_models import blueprint, make_module
from convoscope.errors import UnknownNameError, WeightsError
from convoscope.network import HeadLoss, Network, Optimiser

SOURCE = "timm/test_resnet"
SHAPE = (3, 64, 64)


@pytest.fixture(scope="module")
def classifier() -> Architecture:
    """test_resnet's trunk with a head of three classes."""
    trunk = blueprint(SOURCE, SHAPE, cut="layer4").architecture
    head = Head(layers=(GlobalAvgPool("pool"), Dense("dense", 3)))
    return replace(trunk, heads=(head,))


@pytest.fixture(scope="module")
def images() -> FloatArray:
    """Four images in [0, 1]."""
    return np.random.default_rng(0).random((4, *SHAPE), dtype=np.float32)


def test_it_computes_what_the_module_computes(images: FloatArray) -> None:
    module = make_module(SOURCE)
    given = {f"trunk.{name}": tensor.numpy() for name, tensor in module.state_dict().items()}
    plan = blueprint(SOURCE, SHAPE, cut="")
    network = engines.build(plan.architecture, parameters=given, seed=7)
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(network.logits(images)["class"], expected, atol=1e-5)


def test_it_is_the_network_that_was_adopted(images: FloatArray) -> None:
    first = adopt(make_module(SOURCE), input_shape=SHAPE, source=SOURCE, cut="layer4")
    again = engines.build(first.architecture, parameters=first.parameters())
    assert again.layer_names == first.layer_names
    with (
        first.trace(images, layers=["layer2"]) as one,
        again.trace(images, layers=["layer2"]) as two,
    ):
        np.testing.assert_array_equal(one.activations["layer2"], two.activations["layer2"])


def test_the_same_seed_gives_the_same_values_and_another_seed_others(
    classifier: Architecture,
) -> None:
    state = torch.random.get_rng_state()
    first, same, other = (engines.build(classifier, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    name = "trunk.conv1.0.weight"
    np.testing.assert_array_equal(first.parameters()[name], same.parameters()[name])
    assert not np.array_equal(first.parameters()[name], other.parameters()[name])


def test_float64_parameters_are_not_rounded(classifier: Architecture) -> None:
    drawn = engines.build(classifier, precision="float64").parameters()
    fine = {
        name: array + 1e-12 if array.dtype == np.float64 else array for name, array in drawn.items()
    }
    network = engines.build(classifier, parameters=fine, precision="float64")
    name = "trunk.layer4.0.conv1.weight"
    np.testing.assert_array_equal(network.parameters()[name], fine[name])


def test_a_description_on_disk_and_parameters_are_enough(
    classifier: Architecture, images: FloatArray
) -> None:
    trained = taught(engines.build(classifier, seed=3), images, {})
    text = files.to_yaml(classifier)
    again = engines.build(
        files.from_yaml(text, where="architecture.yaml"), parameters=trained.parameters()
    )
    np.testing.assert_array_equal(again.logits(images)["class"], trained.logits(images)["class"])


def taught(network: Network, images: FloatArray, rates: dict[str, float]) -> Network:
    """The network after three steps on the images."""
    learner = engines.learner(
        network,
        optimiser=Optimiser(kind="sgd", learning_rate=0.1),
        losses=[HeadLoss(head="class")],
        rates=rates,
    )
    for _ in range(3):
        learner.step(images, {"class": np.array([0, 1, 2, 0])})
    assert len(learner.drain_losses()) == 3
    return learner.network


def test_a_frozen_trunks_batch_norm_keeps_every_byte(
    classifier: Architecture, images: FloatArray
) -> None:
    network = engines.build(classifier, seed=3)
    before = network.parameters()
    after = taught(network, images, {"trunk.": 0.0}).parameters()
    inside = [name for name in before if name.startswith("trunk.")]
    assert any(name.endswith("running_mean") for name in inside)
    assert any(name.endswith("num_batches_tracked") for name in inside)
    for name in inside:
        assert before[name].tobytes() == after[name].tobytes(), name
    assert before["dense.weight"].tobytes() != after["dense.weight"].tobytes()


def test_a_trunk_that_is_not_frozen_moves_its_batch_norm(
    classifier: Architecture, images: FloatArray
) -> None:
    network = engines.build(classifier, seed=3)
    before = network.parameters()
    after = taught(network, images, {}).parameters()
    name = "trunk.bn1.running_mean"
    assert before[name].tobytes() != after[name].tobytes()


def changed(architecture: Architecture, **fields: object) -> Architecture:
    (layer,) = architecture.layers
    assert isinstance(layer, Adopted)
    return replace(architecture, layers=(replace(layer, **fields),))  # type: ignore[arg-type]


def test_another_timm_whose_network_differs_is_refused(classifier: Architecture) -> None:
    with pytest.raises(WeightsError, match="layer 'trunk'") as caught:
        engines.build(changed(classifier, parameters=12))
    assert "timm/test_resnet must give" in str(caught.value)
    assert "with 12 parameters, and this version of timm's gives" in str(caught.value)
    assert str(caught.value).endswith("install the version of timm that run.json names")


def test_a_network_that_timm_no_longer_has_is_refused(classifier: Architecture) -> None:
    with pytest.raises(UnknownNameError, match="there is no timm network 'gone_net'"):
        engines.build(changed(classifier, source="timm/gone_net"))


def test_parameters_that_lack_a_part_of_the_trunk_are_refused(classifier: Architecture) -> None:
    parameters = dict(engines.build(classifier).parameters())
    del parameters["trunk.conv1.0.weight"]
    with pytest.raises(WeightsError, match=r"got none for 'trunk\.conv1\.0\.weight'"):
        engines.build(classifier, parameters=parameters)
