"""Probe images: the same few in every epoch, cheaply, and the same bytes when a run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from tests.conftest import MakeImageFolder
from tests.jobs.conftest import Install

from convoscope import explain
from convoscope.architecture.files import to_yaml
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Dense, Flatten
from convoscope.errors import SettingsError
from convoscope.jobs import train as job
from convoscope.jobs.prepare import prepare
from convoscope.jobs.probe import probe_rows
from convoscope.jobs.settings import request
from convoscope.jobs.trained import trained_network
from convoscope.network import ClassLogit
from convoscope.runs import Run
from convoscope.runs.probed import read_probed
from convoscope.training.events import EpochEnded, Event

SETTINGS: dict[str, Any] = {
    "model": "small",
    "input": "16",
    "epochs": 3,
    "batch": 8,
    "learning_rate": 0.01,
    "patience": 0,
    "device": "cpu",
    "probe": 5,
}


def written(run: Run) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (run.path / "probe").iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_image_folder: MakeImageFolder) -> Path:
    splits = {"train": 8, "val": 4, "test": 4}
    return make_image_folder(tmp_path_factory.mktemp("probe") / "shapes", splits=splits)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return job.train(folder, out=tmp_path_factory.mktemp("runs") / "whole", **SETTINGS)


def test_every_epoch_of_a_few_validation_images_is_kept(run: Run) -> None:
    probed = read_probed(run.path)
    assert probed is not None
    assert [found.epoch for found in probed.epochs] == [0, 1, 2, 3]
    assert probed.plan.split == "validation"
    assert set(probed.plan.ids) <= set(run.predictions("validation").ids)
    assert sorted(np.bincount(probed.plan.labels).tolist()) == [1, 2, 2]
    assert probed.images.shape == (5, 16, 16, 3)
    for found in probed.epochs:
        assert found.probabilities.shape == (5, 3)
        assert np.allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
        assert set(found.maps) == {layer.name for layer in probed.plan.layers}
    first, last = probed.epochs[0], probed.epochs[-1]
    assert not np.allclose(first.filters, last.filters, atol=1e-3), "filters learn"


def test_the_last_epoch_is_what_the_network_itself_says(run: Run) -> None:
    """The run keeps its best epoch; what is stored of that one is compared with the network."""
    probed = read_probed(run.path)
    assert probed is not None
    plan, network = probed.plan, trained_network(run, device="cpu")
    best = probed.epochs[run.record().best_epoch]
    images = probed.images.transpose(0, 3, 1, 2)  # 16 pixels: nothing was made smaller
    heat = explain.grad_cam(network, images, [ClassLogit("class", plan.labels)], [plan.heat_layer])
    assert np.allclose(best.heat, heat[plan.heat_layer][0], atol=heat[plan.heat_layer].max() / 250)
    (layer, *_) = plan.layers
    maps = explain.feature_maps(network, images, [layer.name])[layer.name][:, layer.channels]
    assert np.allclose(best.maps[layer.name], maps, atol=np.ptp(maps) / 250)
    kernels = explain.filters(network, plan.filter_layer)[list(plan.filters)]
    assert np.allclose(best.filters, kernels, atol=np.ptp(kernels) / 250)


def test_looking_changes_nothing_that_is_learnt(run: Run, folder: Path, tmp_path: Path) -> None:
    plain = job.train(folder, out=tmp_path / "plain", **{**SETTINGS, "probe": 0})
    assert not (plain.path / "probe").exists()
    assert read_probed(plain.path) is None
    for name, array in plain.parameters().items():
        assert np.array_equal(array, run.parameters()[name]), name


def killed_after(epoch: int) -> Any:
    def listen(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == epoch:
            raise KeyboardInterrupt

    return listen


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_a_run_that_was_stopped_and_went_on_has_the_same_files(
    engine: Literal["torch", "numpy"], run: Run, folder: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "engine": engine, "epochs": 2}
    if engine == "torch":
        settings, whole = SETTINGS, run
    else:
        whole = job.train(folder, out=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        job.train(folder, out=tmp_path / "cut", listen=killed_after(1), **settings)
    # Killed between the probe's file of an epoch and its checkpoint: the epoch is done again.
    (tmp_path / "cut" / "probe" / "epoch-00002.safetensors").write_bytes(b"half")
    went_on = job.resume(tmp_path / "cut")
    assert written(went_on) == written(whole)


def test_images_are_drawn_evenly_and_never_from_the_test_images(folder: Path) -> None:
    asked = {**SETTINGS, "data": str(folder), "probe": 7}
    prepared = prepare(request(asked))
    rows = probe_rows(prepared)
    assert len(set(rows.tolist())) == 7
    assert set(rows) <= set(prepared.splits.indices["validation"])
    assert sorted(np.bincount(prepared.dataset.labels["class"][rows])) == [2, 2, 3]
    assert np.array_equal(rows, probe_rows(prepared))
    few = prepare(request({**asked, "probe": 2}))
    assert few.dataset.labels["class"][probe_rows(few)].tolist() == [0, 2]
    all_of_them = prepare(request({**asked, "probe": 48}))
    assert len(probe_rows(all_of_them)) == 12


@pytest.mark.parametrize("count", [-1, 49])
def test_a_count_that_no_page_can_show_is_refused(folder: Path, count: int) -> None:
    message = f"^--probe must be 0 to 48 images, got {count}: 12 is usual, 0 is none$"
    with pytest.raises(SettingsError, match=message):
        request({**SETTINGS, "data": str(folder), "probe": count})


def test_a_network_that_learns_from_features_is_refused(
    install: Install, folder: Path, tmp_path: Path
) -> None:
    install()
    message = (
        "^--probe 3: a network that sees the images in every epoch is looked into, and what learns "
        "here sees features that the frozen part of vgg19 gave once: leave --probe out, or let the "
        "whole network learn with --tune all$"
    )
    settings: dict[str, Any] = {"backbone": "vgg19", "epochs": 2, "device": "cpu", "probe": 3}
    with pytest.raises(SettingsError, match=message):
        job.train(folder, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
    run = job.train(folder, out=tmp_path / "run", **settings, tune="all")
    probed = read_probed(run.path)
    assert probed is not None
    assert [found.epoch for found in probed.epochs] == [0, 1, 2]


def test_a_network_without_maps_is_refused(folder: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.yaml"
    layers = (Flatten("flatten"), Dense("out", 3))
    heads = (Head(layers=layers),)
    flat = Architecture(name="flat", input_shape=(3, 16, 16), layers=(), heads=heads)
    net.write_text(to_yaml(flat))
    message = "^--probe 5: network 'flat': .*none does: ask for gradients instead, or leave --probe"
    with pytest.raises(SettingsError, match=message):
        job.train(folder, out=tmp_path / "run", **{**SETTINGS, "model": str(net), "input": None})
