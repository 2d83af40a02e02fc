"""Fine-tuning by each strategy: what stays as it was, what learns, and what is said of it."""

from __future__ import annotations

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
from convoscope.training.events import EpochEnded, Event

Train = Callable[..., Run]
TRUNK = ("conv1", "norm1", "conv2")
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
    train: Train, install: Install, tune: str, learns: tuple[str, ...], engine: str
) -> None:
    # two layers head of the strategy is too large to be quick; rates high enough to show in float32
    rates = {"head_epochs": 1, "tune_rate": 1.0} if tune == "freeze-then-tune" else {}
    head = "linear" if tune == "svm" else None
    run = train(
        tune=tune,
        engine=engine,
        epochs=2,
        warmup=0,
        schedule="none",
        head=head,
        patience=0,
        **rates,
    )
    stored = install().arrays()
    trunk = {name: stored[name] for name in of_layers(stored, *TRUNK)}
    # whichever epoch was best: of freeze-then-tune the first is the head's alone
    expected = of_layers(trunk, *learns)
    if tune == "freeze-then-tune" and run.record().best_epoch == 1:
        expected = set()
    assert changed(run, trunk) == expected
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
    assert any("the loss exploded in epoch 1" in note for note in run.record().notes)


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
