"""Training a new head on a pretrained network, from the files to what the run holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeImageFolder
from tests.jobs.conftest import ADOPTED, Install

import convoscope
from convoscope.arrays import Array
from convoscope.errors import (
    ArchitectureError,
    RunError,
    SettingsError,
    UnknownNameError,
    WeightsError,
)
from convoscope.jobs.folds import cross_validate
from convoscope.jobs.seeds import repeat
from convoscope.jobs.trained import trained_network
from convoscope.runs import Run
from convoscope.training.events import EpochEnded, Event

Train = Callable[..., Run]


@pytest.fixture
def train(tmp_path: Path, shapes_folder: Path, install: Install) -> Train:
    """``convoscope.train`` on three shapes and a small backbone with random weights."""
    install()

    def run(out: str = "r", data: Path = shapes_folder, **settings: Any) -> Run:
        asked = {"backbone": "vgg19", "epochs": 3, "batch": 8, "engine": "numpy", **settings}
        return convoscope.train(data, out=tmp_path / out, **asked)

    return run


def logits(run: Run) -> dict[str, Array]:
    return {split: run.predictions(split).heads["class"].logits for split in run.splits()}


def check_agreement(run: Run, tolerance: float = 1e-6) -> None:
    """What was saved while training on features is what the whole network says of the images: no
    logit differs by more than a millionth of the largest.
    """
    before = logits(run)
    convoscope.evaluate(run)
    for split, said in logits(run).items():
        largest = np.abs(said).max()
        np.testing.assert_allclose(said, before[split], rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(
    "head", ["norm-linear", "linear", "flatten", "max-512", "avg-512", "mlp", "top"]
)
def test_the_whole_network_says_of_images_what_the_head_said_of_features(
    train: Train, head: str, engine: str
) -> None:
    run = train(head=head, engine=engine, epochs=1)
    assert set(run.splits()) == {"train", "validation", "test"}
    check_agreement(run)


def test_it_learns(train: Train) -> None:
    run = train(head="flatten", epochs=40, learning_rate=0.01)
    assert convoscope.evaluate(run)["test"].whole.accuracy.value == 1


def test_what_is_frozen_is_the_store_s_byte_for_byte(train: Train, install: Install) -> None:
    run = train(head="linear")
    network, stored = trained_network(run), install().arrays()
    for name, array in network.parameters().items():
        if not name.startswith("head_"):
            assert array.tobytes() == stored[name].tobytes()
    assert "norm1.running_var" in network.parameters()


def test_the_run_says_what_was_pretrained_and_what_learnt(train: Train, install: Install) -> None:
    facts = train(head="linear").model()["backbone"]
    assert facts == {
        "name": "vgg19",
        "source": "zoo/vgg19",
        "weights_sha256": install().sha256,
        "origin": "weights.npz",
        "licence": "MIT",
        "head": "linear",
        "tune": "last",
        "trained": "the new head",
        "stages": [],
        "frozen_up_to": "pool2",
        "frozen_parameters": (3 * 9 * 6 + 6) + 12 + (6 * 9 * 8 + 8),
        "learnt_parameters": 8 * 3 + 3,
        "views": 1,
    }


def test_runs_on_one_backbone_share_its_frozen_part_on_disk(train: Train) -> None:
    runs = [train(head, head=head) for head in ("linear", "flatten")]
    files = [run.path / "model" / "frozen.safetensors" for run in runs]
    assert files[0].samefile(files[1])
    learnt = [run.path / "model" / "weights.safetensors" for run in runs]
    assert all(file.stat().st_size < 10_000 for file in learnt)


def test_a_run_needs_neither_store_nor_cache_once_it_is_there(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shapes_folder: Path
) -> None:
    run = train()
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path / "empty"))
    said = convoscope.predict(run, [shapes_folder / "test" / "disc" / "disc_0.png"])
    assert len(said) == 1
    check_agreement(run)


def stages(train: Train, **asked: Any) -> list[tuple[int, int]]:
    """What was told of the stage ``features``."""
    told: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "features":
            told.append((done, total))

    train(progress=progress, **asked)
    return told


def test_heads_and_seeds_share_the_features(train: Train) -> None:
    assert stages(train, out="a", head="linear")[0] == (0, 48)
    assert stages(train, out="b", head="max-512") == [(48, 48)]
    assert stages(train, out="c", seed=3) == [(48, 48)]


def test_stopped_and_resumed_it_ends_as_if_never_stopped(train: Train) -> None:
    asked = {"head": "mlp", "epochs": 4}
    whole, ended = train("whole", **asked), 0

    def count(event: Event) -> None:
        nonlocal ended
        ended += isinstance(event, EpochEnded)

    stopped = train("stopped", **asked, listen=count, should_stop=lambda: ended >= 2)
    assert stopped.record().status == "interrupted"
    resumed = convoscope.resume(stopped.path)
    assert resumed.record().status == "finished"
    names = ("model/weights.safetensors", "model/frozen.safetensors", "predictions/test.npz")
    for name in (*names, "baseline/test.npz", "samples.npz", "model/model.json"):
        assert (whole.path / name).read_bytes() == (resumed.path / name).read_bytes()


def test_with_other_weights_a_run_does_not_go_on(train: Train, install: Install) -> None:
    run = train(should_stop=lambda: True)
    install(seed=1)
    with pytest.raises(
        RunError,
        match=r"going on needs the weights that the run began with \(SHA-256 [0-9a-f]{12}\), those "
        r"of vgg19 are now [0-9a-f]{12}: bring the first ones back, or train again",
    ):
        convoscope.resume(run.path)


def test_folds_and_seeds_are_whole_runs_on_one_set_of_features(
    tmp_path: Path, install: Install, make_image_folder: MakeImageFolder
) -> None:
    install()
    data = make_image_folder(tmp_path / "plain", per_class=6)
    asked: dict[str, Any] = {"backbone": "vgg19", "epochs": 1, "engine": "numpy"}
    told: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "features":
            told.append((done, total))

    folds = cross_validate(data, folds=2, out=tmp_path / "f", progress=progress, **asked)
    seeds = repeat(data, seeds=2, out=tmp_path / "s", progress=progress, **asked)
    assert told == [(0, 18), (16, 18), (18, 18), (18, 18)]
    for part in (*folds.path.glob("folds/*"), *seeds.path.glob("seeds/*")):
        check_agreement(Run(part))
    assert len(folds.predictions("out-of-fold").ids) == 18
    compared = convoscope.compare([Run(part) for part in sorted(seeds.path.glob("seeds/*"))])
    assert len(compared.entries) == 2


def test_the_nearest_neighbours_are_the_figure_to_beat(train: Train) -> None:
    run = train()
    (note,) = run.record().notes
    said = run.baseline("test")
    head = said.heads["class"]
    right = (head.logits.argmax(axis=1) == head.labels).mean()
    assert note.startswith(
        "without any training, the nearest neighbours in the features of pool2 (k = "
    )
    assert f"are right on {right:.1%} of 12 test images (95% interval " in note
    assert said.ids == run.predictions("test").ids


def test_views_vary_what_the_head_sees(train: Train) -> None:
    told = stages(train, out="v", views=3, augment="flip")
    assert told[0] == (0, 48 + 2 * 32)  # the training images fill two blocks of 16
    plain, varied = train("p"), Run(train("w", views=3, augment="flip").path)
    assert plain.history()[0]["train_loss"] != varied.history()[0]["train_loss"]
    check_agreement(varied)


def test_augmentation_of_a_frozen_backbone_needs_views(train: Train, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="augment 'flip': a frozen backbone computes an image"):
        train(augment="flip")
    assert not (tmp_path / "r").exists()


def test_a_rate_above_0_lets_layers_of_the_trunk_learn_too(train: Train, install: Install) -> None:
    run = train(rate={"conv2": 0.5}, epochs=1, head="linear")
    facts, stored = run.model()["backbone"], install().arrays()
    assert facts["frozen_up_to"] == "pool1"
    assert facts["learnt_parameters"] == 8 * 3 + 3 + 6 * 9 * 8 + 8
    learnt = run.parameters()
    assert (learnt["conv2.weight"] != stored["conv2.weight"]).any()
    np.testing.assert_array_equal(learnt["conv1.weight"], stored["conv1.weight"])
    check_agreement(run)


def test_where_all_learns_nothing_is_frozen_and_images_vary_anew(
    train: Train, install: Install
) -> None:
    run = train(rate={"conv": 1, "norm": 1}, augment="flip", epochs=1)
    facts, stored = run.model()["backbone"], install().arrays()
    assert (facts["frozen_up_to"], facts["frozen_parameters"]) == (None, 0)
    assert not (run.path / "model" / "frozen.safetensors").exists()
    moved = run.parameters()["conv1.weight"] - stored["conv1.weight"]
    assert 0 < np.abs(moved).max() < 0.02  # from the pretrained values, not from drawn ones
    with pytest.raises(SettingsError, match="views: a fixed number of them is for a frozen"):
        train("x", rate={"conv": 1, "norm": 1}, views=2, augment="flip")


def test_an_adopted_network_is_frozen_too_and_its_batch_norm_stands_still(
    tmp_path: Path, install: Install, shapes_folder: Path
) -> None:
    stored = install(ADOPTED)
    run = convoscope.train(
        shapes_folder, backbone=ADOPTED, epochs=2, device="cpu", out=tmp_path / "r"
    )
    arrays, kept = stored.arrays(), trained_network(run).parameters()
    still = [name for name in kept if not name.startswith("head_")]
    assert any(name.endswith("running_var") for name in still)
    for name in still:
        assert kept[name].tobytes() == arrays[name].tobytes(), name
    check_agreement(run, 1e-5)


# -- what people have -----------------------------------------------------------------------------


def test_gray_pictures_and_pictures_smaller_than_the_input(
    train: Train, tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    data = make_image_folder(tmp_path / "tiny", size=9, splits={"train": 4, "val": 2, "test": 2})
    for file in data.rglob("*.png"):
        Image.open(file).convert("L").save(file)
    check_agreement(train(data=data))


def test_one_image_per_class(
    train: Train, tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    data = make_image_folder(tmp_path / "one", splits={"train": 1, "test": 1})
    run = train(data=data, validation=0)
    assert run.splits() == ("train", "test")
    assert "(k = 3, " in run.record().notes[0]


def test_a_thousand_classes(train: Train, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "many.npz", images=pixels, labels=np.arange(2000) % 1000)
    run = train(data=tmp_path / "many.npz", test=0, validation=0, epochs=1, head="top")
    assert logits(run)["train"].shape == (2000, 1000)


def test_several_questions_have_a_head_each(train: Train, tmp_path: Path) -> None:
    names = []
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3)).astype(np.uint8)
        names.append(f"{number}.png")
        Image.fromarray(pixels).save(tmp_path / names[-1])
    rows = [f"{name},{'ab'[n % 2]},{'xyz'[n % 3]}" for n, name in enumerate(names)]
    (tmp_path / "t.csv").write_text("\n".join(["file,kind,side", *rows]))
    run = train(
        data=tmp_path / "t.csv",
        label_column=("kind", "side"),
        test=0.25,
        validation=0,
        epochs=1,
    )
    assert set(run.predictions("test").heads) == {"kind", "side"}
    assert "k = 5, k = 5" in run.record().notes[0]


# -- what goes wrong ------------------------------------------------------------------------------


def test_missing_weights_are_said_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        WeightsError,
        match="backbone 'vgg19': its weights must be on this machine, they are not: run  "
        "convoscope weights fetch vgg19 ",
    ):
        convoscope.train(tmp_path / "not-there", backbone="vgg19")


def test_an_unknown_backbone_and_an_unknown_layer_name_the_nearest(train: Train) -> None:
    with pytest.raises(UnknownNameError, match="no backbone 'vgg91': did you mean 'vgg19'"):
        train(backbone="vgg91")
    with pytest.raises(UnknownNameError, match="no layer 'conv3': did you mean 'conv"):
        train(rate={"conv3": 1})


def test_a_top_that_is_not_there_cannot_be_kept(tmp_path: Path, install: Install) -> None:
    install(ADOPTED)
    with pytest.raises(ArchitectureError, match="head 'top' keeps a pretrained head that ends in"):
        convoscope.train("digits", backbone=ADOPTED, head="top", out=tmp_path / "r")


def test_an_engine_that_cannot_compute_the_backbone_is_refused(
    tmp_path: Path, install: Install
) -> None:
    install(ADOPTED)
    with pytest.raises(SettingsError, match="engine='numpy' computes networks of our own layers"):
        convoscope.train("digits", backbone=ADOPTED, engine="numpy", out=tmp_path / "r")
