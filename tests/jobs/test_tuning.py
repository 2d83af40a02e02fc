"""Fine-tuning by each strategy: what stays as it was, what learns, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.jobs.conftest import ADOPTED, Install

import convoscope
from convoscope import report
from convoscope.arrays import Array
from convoscope.errors import (
    ConvoscopeError,
    RunError,
    SettingsError,
    UnknownNameError,
)
from convoscope.jobs.settings import request
from convoscope.jobs.trained import trained_network
from convoscope.runs import Run
from convoscope.runs.calibration import calibration_of
from convoscope.training.events import EpochEnded, Event

Train = Callable[..., Run]
TRUNK = ("conv1", "norm1", "conv2")
ENDS_IN_A_POOL = """\
name: tiny
input_shape: [3, 16, 16]
layers:
- {kind: conv2d, name: conv, filters: 4, kernel_size: 3, activation: relu}
heads:
  class:
    layers:
    - {kind: conv2d, name: classes, filters: 3, kernel_size: 1}
    - {kind: global_avg_pool, name: pool}
"""
FILES = ("model/weights.safetensors", "predictions/test.npz", "baseline/test.npz")


@pytest.fixture
def train(tmp_path: Path, shapes_folder: Path, install: Install) -> Train:
    """``convoscope.train`` on three shapes and a small backbone with random weights."""
    install()

    def run(out: str = "r", **settings: Any) -> Run:
        start = {} if "from_run" in settings else {"backbone": "vgg19"}
        asked = {**start, "epochs": 3, "batch": 8, "engine": "numpy", **settings}
        return convoscope.train(shapes_folder, out=tmp_path / out, **asked)

    return run


def changed(run: Run, before: dict[str, Array]) -> set[str]:
    """The parameters that are not byte for byte what they were before, of those that were."""
    now = trained_network(run).parameters()
    return {name for name, array in before.items() if now[name].tobytes() != array.tobytes()}


def of_layers(parameters: dict[str, Array], *layers: str) -> set[str]:
    return {name for name in parameters if name.partition(".")[0] in layers}


def check_agreement(run: Run) -> None:
    """What was saved while training on features is what the whole network says of the images."""
    before = {split: run.predictions(split).heads["class"].logits for split in run.splits()}
    convoscope.evaluate(run)
    for split, said in before.items():
        now = run.predictions(split).heads["class"].logits
        np.testing.assert_allclose(now, said, rtol=0, atol=1e-5 * max(1, np.abs(said).max()))


@pytest.mark.parametrize(
    ("tune", "learns"),
    [
        ("svm", ()),
        ("last", ()),
        ("last:1", ()),
        ("last:2", ("conv2",)),
        ("last:2blocks", TRUNK),
        ("last:1block", ("conv2",)),
        ("last:conv2", ("conv2",)),
        ("layerwise", TRUNK),
        ("freeze-then-tune", TRUNK),
        ("all", TRUNK),
    ],
)
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_frozen_is_frozen_and_unfrozen_learns(
    train: Train,
    install: Install,
    shapes_folder: Path,
    tune: str,
    learns: tuple[str, ...],
    engine: str,
) -> None:
    """Byte for byte, statistics of batch norm and the new head included."""
    shutil.rmtree(shapes_folder / "val")  # without it the weights of the last epoch are kept
    # The usual rates are too small to show in every float32 after two epochs.
    rates = {"head_epochs": 1, "tune_rate": 1.0} if tune == "freeze-then-tune" else {}
    settings: dict[str, Any] = {
        "tune": tune, "engine": engine, "epochs": 2, "warmup": 0, "schedule": "none",
        "validation": 0.0, "head": "linear" if tune == "svm" else None, **rates,
    }  # fmt: skip
    run = train(**settings)
    stored = install().arrays()
    trunk = {name: stored[name] for name in of_layers(stored, *TRUNK)}
    assert changed(run, trunk) == of_layers(trunk, *learns)
    now = trained_network(run).parameters()
    head = {name: array for name, array in now.items() if name not in trunk}
    if tune == "svm":
        assert all(array.any() for array in head.values())
    else:
        begun = train("begun", **settings, should_stop=lambda: True)
        first = trained_network(begun).parameters()
        assert changed(run, {name: first[name] for name in head}) == set(head)
    check_agreement(run)


def test_every_trained_tensor_of_an_adopted_network_changes_and_no_other(
    train: Train, install: Install
) -> None:
    stored = install(name=ADOPTED).arrays()
    run = train(
        backbone=ADOPTED, engine="torch", tune="last:1block", epochs=1, warmup=0, schedule="none"
    )
    facts = run.model()["backbone"]
    assert facts["frozen_up_to"] == "layer3"
    trunk = {n: a for n, a in stored.items() if n in trained_network(run).parameters()}
    expected = {name for name in trunk if name.startswith("trunk.layer4.")}
    assert changed(run, trunk) == expected
    assert (run.path / "model" / "frozen.safetensors").exists()
    check_agreement(run)


def stopped_after(epochs: int, train: Train, asked: dict[str, Any]) -> Run:
    ended = 0

    def count(event: Event) -> None:
        nonlocal ended
        ended += isinstance(event, EpochEnded)

    return train(f"stopped-{epochs}", **asked, listen=count, should_stop=lambda: ended >= epochs)


@pytest.mark.parametrize("tune", ["last:2", "freeze-then-tune", "all"])
def test_stopped_and_resumed_it_ends_as_if_never_stopped(train: Train, tune: str) -> None:
    asked = {"tune": tune, "epochs": 4, "seed": 2}
    asked |= {"head_epochs": 2} if tune == "freeze-then-tune" else {}
    whole = train("whole", **asked)
    for stop in (1, 2, 3):
        stopped = stopped_after(stop, train, asked)
        assert stopped.record().status == "interrupted"
        resumed = convoscope.resume(stopped.path)
        assert resumed.record().status == "finished"
        for name in FILES:
            assert (whole.path / name).read_bytes() == (resumed.path / name).read_bytes()
        rows = [
            [{k: v for k, v in row.items() if k != "seconds"} for row in run.history()]
            for run in (whole, resumed)
        ]
        assert rows[0] == rows[1]


def test_two_phases_are_one_history(train: Train) -> None:
    run = train(tune="freeze-then-tune", head_epochs=2, epochs=5, patience=0)
    assert [row["epoch"] for row in run.history()] == [1, 2, 3, 4, 5]
    assert [row["phase"] for row in run.history()] == ["head"] * 2 + ["tuned"] * 3
    assert [row["learning_rate"] for row in run.history()[:2]] == [0.003, 0.003]
    assert max(row["learning_rate"] for row in run.history()[2:]) <= 0.003 * 0.003
    assert run.model()["backbone"]["stages"] == ["head", "tuned"]


def test_a_run_knows_how_long_its_frozen_features_took(train: Train) -> None:
    first, second = train("first", tune="last"), train("second", tune="last", seed=1)
    took = first.record().features
    assert took["seconds"] > 0
    assert (took["images"], took["views"]) == (first.record().data["images"], 1)
    assert second.record().features == took, "computed once, whoever did it"
    assert train("whole", tune="all").record().features == {}
    page = report.write(second).read_text(encoding="utf-8")
    assert f"for the frozen features of {took['images']} pictures" in page


def test_blocks_are_unfrozen_one_after_the_other(train: Train) -> None:
    run = train(tune="all", unfreeze_every=1, epochs=4, patience=0)
    assert [row["phase"] for row in run.history()] == ["head", "last 1", "tuned", "tuned"]


def test_a_machine_is_a_run_like_any_other(train: Train) -> None:
    run = train(tune="svm")
    record = run.record()
    assert (record.status, record.stop_reason, record.epochs) == ("finished", "solved", 0)
    assert any("linear SVM with C = " in note for note in record.notes)
    assert run.calibration() is not None
    assert run.history() == []
    assert convoscope.evaluate(run)["test"].whole.accuracy.value is not None


def test_a_machine_is_the_same_when_solved_again(train: Train) -> None:
    one, other = train("one", tune="svm"), train("other", tune="svm")
    for name in FILES:
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes()


def test_batch_norm_keeps_still_or_moves_as_asked(train: Train, install: Install) -> None:
    stored = install().arrays()
    norm = {name: stored[name] for name in of_layers(stored, "norm1")}
    still = train("still", tune="all", norms="still", warmup=0, epochs=1)
    assert changed(still, norm) == set()
    moves = train("moves", tune="last", norms="adapt", epochs=1)
    assert changed(moves, norm) == set(norm)
    rest = {name: stored[name] for name in of_layers(stored, "conv1", "conv2")}
    assert changed(moves, rest) == set()


def test_a_run_can_be_the_start_with_its_own_head(train: Train) -> None:
    first = train("first", tune="last", head="mlp")
    before = trained_network(first).parameters()
    second = train("second", from_run=str(first.path), tune="last:2", warmup=0)
    assert changed(second, dict(before)) == of_layers(dict(before), "head_dense", "head_hidden")
    facts = second.model()["backbone"]
    assert facts["name"] == "run first"
    assert facts["head"] == "its own"
    assert any("started from the parameters of" in note for note in second.record().notes)
    check_agreement(second)


def test_a_network_from_scratch_can_be_the_start(
    train: Train, shapes_folder: Path, tmp_path: Path
) -> None:
    small = convoscope.train(
        shapes_folder,
        model="lenet-5",
        input="16",
        epochs=1,
        engine="numpy",
        out=tmp_path / "scratch",
    )
    run = train("tuned", from_run=str(small.path), tune="svm")
    assert run.record().status == "finished"
    assert run.model()["backbone"]["frozen_up_to"] == "pool2"
    check_agreement(run)


def test_a_run_with_other_classes_gets_a_fresh_last_layer(
    train: Train, shapes_folder: Path, tmp_path: Path
) -> None:
    first = train("first", tune="last")
    for split in ("train", "val", "test"):
        for folder in (shapes_folder / split).glob("disc"):
            folder.rename(folder.with_name("round"))
    second = train("second", from_run=str(first.path), tune="last", epochs=1)
    (note,) = [n for n in second.record().notes if "started from" in n]
    assert note.endswith("freshly initialised: head_dense")


def test_going_on_needs_the_run_that_it_began_with(train: Train) -> None:
    first = train("first", tune="last")
    stopped = train("s", from_run=str(first.path), tune="all", should_stop=lambda: True)
    first.write_parameters({k: v + 1 for k, v in first.parameters().items()})
    with pytest.raises(RunError, match="going on needs the weights that the run began with"):
        convoscope.resume(stopped.path)


def test_a_rate_that_destroys_what_was_learnt_is_noticed(train: Train) -> None:
    run = train(tune="all", learning_rate=30.0, warmup=0, optimiser="sgd", weight_decay=0.0)
    exploded, harm = run.record().warnings[-2:]
    loss = run.history()[0]["train_loss"]
    assert exploded == (
        f"the loss exploded in epoch 1, the first in which pretrained layers learnt: {loss:.3g}, "
        "where guessing evenly gives 1.1: what they knew is probably lost, train again with a "
        "much lower learning rate than 30, 0.01 is usual for sgd, or a longer --warmup"
    )
    assert harm.startswith("learning did the pretrained layers harm: on validation the network is ")
    assert harm.endswith(
        "the nearest neighbours in the features that it began with on 100.0%: train again with a "
        "much lower learning rate than 30, 0.01 is usual for sgd, or with --tune last"
    )
    assert set(run.record().warnings) < set(run.record().notes)
    assert train("good", tune="last").record().warnings == ()


def test_a_head_that_was_better_alone_is_noticed(train: Train) -> None:
    run = train(tune="freeze-then-tune", head_epochs=3, epochs=6, tune_rate=300.0, patience=0)
    assert run.record().best_epoch <= 3
    losses = [row["validation_loss"] for row in run.history()]
    (said,) = [each for each in run.record().warnings if "brought nothing" in each]
    assert said.startswith(
        f"learning on after the head brought nothing: the validation loss was {min(losses):.3g} "
        f"with the head alone (epoch {run.record().best_epoch}, which is kept) and "
        f"{min(losses[3:]):.3g} at best after it"
    )
    harm = [each for each in run.record().warnings if "did the pretrained layers harm" in each]
    assert harm == [], "the epoch that is kept left them as they were"


def test_a_machine_needs_a_head_that_ends_in_one_plain_dense_layer(
    train: Train, shapes_folder: Path, tmp_path: Path
) -> None:
    net = tmp_path / "net.yaml"
    net.write_text(ENDS_IN_A_POOL)
    own = convoscope.train(shapes_folder, model=net, epochs=1, engine="numpy", out=tmp_path / "own")
    with pytest.raises(SettingsError) as caught:
        train("machine", from_run=str(own.path), tune="svm")
    assert str(caught.value) == (
        "--tune svm: the head must end in one plain dense layer, which the machine becomes, head "
        "'class' ends in global_avg_pool: choose another --head, such as linear or flatten"
    )
    assert not (tmp_path / "machine").exists()
    run = train("machine", from_run=str(own.path), tune="svm", head="linear")
    assert run.record().status == "finished"


def test_each_of_several_heads_becomes_a_machine(train: Train, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hue, size = rng.permutation(np.arange(48) % 2), rng.permutation(np.arange(48) % 3)
    images = rng.integers(0, 40, (48, 16, 16, 3)).astype(np.uint8)
    for image, colour, side in zip(images, hue, size, strict=True):
        image[: 4 * (side + 1), :, 2 * colour] += 200
    np.savez(tmp_path / "two.npz", images=images, hue_labels=hue, size_labels=size)
    run = convoscope.train(
        tmp_path / "two.npz", backbone="vgg19", tune="svm", engine="numpy", out=tmp_path / "two"
    )
    notes = [note for note in run.record().notes if "linear SVM" in note]
    assert [note.partition(": linear SVM with C = ")[0] for note in notes] == [
        "head hue", "head size",
    ]  # fmt: skip
    calibrated = calibration_of(run)
    assert calibrated is not None
    assert set(calibrated.temperatures) == {"hue", "size"}
    metrics = convoscope.evaluate(run)["train"]
    assert metrics.heads["hue"].accuracy.value == metrics.heads["size"].accuracy.value == 1
    page = report.write(run).read_text(encoding="utf-8")
    assert 'id="head-1"' in page
    assert 'id="head-2"' in page
    names = {file.name for file in run.path.rglob("*.safetensors")}
    assert {"weights.safetensors", "frozen.safetensors"} <= names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tune": "lats"}, "there is no strategy 'lats': did you mean 'last'?"),
        ({"tune": "last:0"}, "--tune last:0: at least the last layer must learn, got 0"),
        (
            {"tune": "last:9"},
            "--tune last:9: vgg19 has 3 layers with weights, got 9: ask for fewer",
        ),
        ({"tune": "last:9blocks"}, "vgg19 has 2 blocks with weights, got 9"),
        ({"tune": "last:conv7"}, "there is no block or layer 'conv7': did you mean 'conv2'?"),
        (
            {"tune": "svm", "augment": "flip"},
            "--tune svm: the machine is solved once, from each image as it is, got --augment flip",
        ),
        (
            {"tune": "svm", "head": "top", "backbone": ADOPTED, "engine": "torch"},
            "head 'top' keeps a pretrained head that ends in a dense or conv layer",
        ),
        (
            {"tune": "freeze-then-tune", "epochs": 20},
            "epochs: the head alone and the blocks after it take 20 epochs",
        ),
        ({"tune": "all", "pretrained_rate": 0.0}, "--pretrained-rate must be above 0 and finite"),
        ({"tune": "all", "head_epochs": -1}, "--head-epochs must be at least 0 epochs, got -1"),
        ({"tune": "all", "views": 4, "augment": "flip"}, "a fixed number of them is for a frozen"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_image_is_computed(
    train: Train, install: Install, settings: dict[str, Any], message: str
) -> None:
    install(name=ADOPTED)
    with pytest.raises(ConvoscopeError) as caught:
        train(**settings)
    assert message in str(caught.value)


def test_there_must_be_something_to_tune() -> None:
    with pytest.raises(SettingsError, match="named by --backbone or by --from alone, got neither"):
        request({"data": "digits", "tune": "last"})
    with pytest.raises(SettingsError, match=r"got --model small: .* leave --model out"):
        request({"data": "digits", "model": "small", "tune": "last"})
    with pytest.raises(UnknownNameError, match="no strategy 'al': did you mean 'all'"):
        request({"data": "digits", "backbone": "vgg19", "tune": "al"})


def test_a_strategy_s_settings_are_the_defaults_and_the_command_is_short() -> None:
    asked = request({"data": "digits", "backbone": "vgg19", "tune": "all", "epochs": 7})
    assert (asked.optimiser, asked.schedule, asked.warmup, asked.epochs) == (
        "adamw",
        "cosine",
        1,
        7,
    )
    assert asked.command()[2:] == (
        "digits", "--backbone", "vgg19", "--tune", "all", "--epochs", "7",
    )  # fmt: skip
    usual = request({"data": "digits", "backbone": "vgg19", "tune": "all", "optimiser": "adam"})
    assert "--optimiser" in usual.command()
