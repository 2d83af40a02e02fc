"""Ladders, really climbed: a small backbone with random weights, on the NumPy engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import draw_folder
from tests.jobs.conftest import Install

from convoscope.architecture import files
from convoscope.errors import ConvoscopeError, LeakError, RunError, SettingsError, WeightsError
from convoscope.jobs.ladder import ladder, resume
from convoscope.jobs.ladder_compare import compare
from convoscope.jobs.ladder_plan import Asked, suited
from convoscope.jobs.ladder_trainings import Clock, Watching, budget_seconds
from convoscope.jobs.ladder_worth import nothing_to_show, steps_in_vain
from convoscope.jobs.train import train
from convoscope.jobs.trained import trained_network
from convoscope.metrics.classification import whole_right
from convoscope.runs import Run
from convoscope.runs.ladder import read_attempts, read_plan

Climb = Callable[..., Run]


@pytest.fixture
def climb(tmp_path: Path, shapes_folder: Path, install: Install) -> Climb:
    """``ladder`` on three shapes and a small backbone with random weights."""
    install()

    def run(*strategies: str, out: str = "r", watching: Watching | None = None, **how: Any) -> Run:
        own = {name: how.pop(name) for name in ("budget", "climbs_all", "runs") if name in how}
        asked = Asked(backbones=("vgg19",), strategies=strategies, seeds=1, **own)
        settings: dict[str, Any] = {"epochs": 3, "batch": 8, "engine": "numpy", **how}
        return ladder(
            asked, shapes_folder, out=tmp_path / out, watching=watching or Watching(), **settings
        )

    return run


@pytest.mark.slow
def test_rungs_are_climbed_compared_and_one_is_recommended(climb: Climb) -> None:
    said: list[str] = []
    run = climb("svm", "last", "last:99", climbs_all=True, watching=Watching(say=said.append))
    found = compare(run)
    assert [each.reason for each in found.not_climbed if each.ending == "failed"] == []
    assert {rung.planned.strategy for rung in found.rungs} == {"svm", "last"}
    assert [each.ending for each in found.not_climbed] == ["refused"]
    assert "99" in found.not_climbed[0].reason
    assert any(line.startswith("1/3  vgg19 ") for line in said)
    for rung in found.rungs:
        (path,) = rung.runs
        right = whole_right(Run(path).predictions("validation"))
        assert rung.validation.value == pytest.approx(right.mean())
        assert (rung.peak_memory or 0) > 2**20
        assert 0 < rung.learnt < rung.parameters
    (step,) = found.steps
    rows = {rung.number: rung.validation.value or 0.0 for rung in found.rungs}
    assert step.accuracy.value == pytest.approx(rows[2] - rows[1])
    assert found.recommendation.startswith(f"Take {found.numbered(found.recommended).title}")
    assert run.record().status == "finished"
    assert {Run(path).split_file.read_text() for r in found.rungs for path in r.runs} == {
        run.split_file.read_text()
    }
    with pytest.raises(RunError, match="nothing is left of this one"):
        resume(run.path)


@pytest.mark.slow
def test_a_stopped_ladder_is_climbed_on_without_training_anything_twice(climb: Climb) -> None:
    ended: list[str] = []
    watching = Watching(
        news=lambda news: ended.append(type(news).__name__),
        should_stop=lambda: "Ended" in ended,
    )
    run = climb("svm", "last", climbs_all=True, watching=watching)
    assert run.record().status == "interrupted"
    (first,) = read_attempts(run)
    before = (run.path / first / "0" / "model" / "weights.safetensors").stat().st_mtime_ns
    assert resume(run.path).record().status == "finished"
    assert len(compare(run).rungs) == 2
    after = (run.path / first / "0" / "model" / "weights.safetensors").stat().st_mtime_ns
    assert after == before


def test_a_rung_that_does_not_fit_into_the_budget_is_skipped_and_said(climb: Climb) -> None:
    run = climb("svm", "last", budget="1s")
    assert {attempt.ending for attempt in read_attempts(run).values()} == {"over budget"}
    assert run.record().status == "finished"
    with pytest.raises(RunError, match=r"none of 2 was: it would take about \d+ s, .* left"):
        compare(run)


@pytest.mark.slow
def test_a_rung_that_fails_leaves_the_others(climb: Climb) -> None:
    def spoil(run: Run) -> None:
        place = run.path / next(r.folder for r in read_plan(run).rungs if r.strategy == "svm")
        place.parent.mkdir(parents=True)
        place.write_text("a file where a folder is needed")

    run = climb("svm", "last", climbs_all=True, watching=Watching(begun=spoil))
    found = compare(run)
    assert [rung.planned.strategy for rung in found.rungs] == ["last"]
    assert [each.ending for each in found.not_climbed] == ["failed"]
    assert found.not_climbed[0].reason


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"backbones": ()}, "a ladder starts from networks that have learnt before, got none"),
        ({"runs": ("no-run",)}, "no-run: there is no such run folder"),
        ({"backbones": ("vgg91",)}, "there is no backbone 'vgg91': did you mean 'vgg19'"),
        ({"strategies": ("lst",)}, "there is no strategy 'lst': did you mean 'last'"),
        ({"strategies": ("svm", "svm")}, "'svm' is there twice"),
        ({"strategies": ("last:99",)}, "no rung of this ladder can be: "),
        ({"seeds": 0}, "--seeds must be at least 1, got 0"),
        ({"budget": "soon"}, "--budget: must be a duration above 0, got 'soon': write it as 90s"),
    ],
)
def test_what_is_no_ladder_is_one_sentence(
    asked: dict[str, Any], says: str, shapes_folder: Path, install: Install
) -> None:
    install()
    whole = Asked(**{"backbones": ("vgg19",), "strategies": ("svm",), **asked})
    with pytest.raises(ConvoscopeError, match=r"^[^\n]*$") as error:
        ladder(whole, shapes_folder, engine="numpy")
    assert says in str(error.value)


@pytest.mark.slow
def test_what_goes_astray_is_said_and_the_rest_is_climbed(climb: Climb) -> None:
    run = climb("svm", "last:2", "all", climbs_all=True, learning_rate=1e25)
    found = compare(run)
    assert [rung.planned.strategy for rung in found.rungs] == ["svm"]
    failed = {each.planned.strategy: each for each in found.not_climbed}
    assert {name: each.ending for name, each in failed.items()} == dict.fromkeys(
        ("last:2", "all"), "failed"
    )
    assert "the loss must be a finite number, found nan since step" in failed["all"].reason


@pytest.mark.slow
def test_a_rate_that_destroys_a_network_is_said_beside_the_table(climb: Climb) -> None:
    destroying = {"learning_rate": 30.0, "optimiser": "sgd", "warmup": 0, "weight_decay": 0.0}
    found = compare(climb("svm", "all", climbs_all=True, **destroying))
    assert found.numbered(found.recommended).title == "vgg19 svm"
    assert any(note.startswith("vgg19 all, seed 0: the loss exploded in ") for note in found.notes)


@pytest.mark.slow
def test_a_ladder_starts_from_a_run_of_one_s_own_beside_a_backbone(
    climb: Climb, shapes_folder: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"epochs": 1, "engine": "numpy", "validation": 0.1, "test": 0.2}
    few = {"train": 6, "val": 3, "test": 3}
    others = draw_folder(tmp_path / "others", splits=few, size=20)
    own = train(others, model="lenet-5", input="16", out=tmp_path / "own", **settings)
    run = climb("last", climbs_all=True, runs=(str(own.path),))
    found = compare(run)
    assert {rung.title for rung in found.rungs} == {"vgg19 last", "own last"}
    (part,) = next(rung for rung in found.rungs if rung.planned.backbone == "own").runs
    facts = Run(part).model()["backbone"]
    assert (facts["name"], facts["head"]) == ("run own", "its own")
    kept = trained_network(Run(part)).parameters()
    before = own.parameters()
    still = {name for name in before if kept[name].tobytes() == before[name].tobytes()}
    assert {name.partition(".")[0] for name in before} - {n.partition(".")[0] for n in still} == {
        last_layer(own)
    }
    assert shapes_folder.name in run.record().settings["data"]


def last_layer(run: Run) -> str:
    """The name of the layer whose units are the classes."""
    (head,) = files.read(run.architecture_file).heads
    return head.layers[-1].name


def test_a_run_that_has_learnt_from_what_would_judge_it_is_refused(
    shapes_folder: Path, tmp_path: Path, install: Install
) -> None:
    install()
    settings: dict[str, Any] = {"engine": "numpy", "epochs": 1, "input": "16"}
    own = train(shapes_folder, model="lenet-5", out=tmp_path / "own", **settings)
    for split in ("train", "test"):
        (shapes_folder / split).rename(shapes_folder / f"{split}-now")
    (shapes_folder / "train-now").rename(shapes_folder / "test")
    (shapes_folder / "test-now").rename(shapes_folder / "train")
    with pytest.raises(LeakError, match="judged on what it has learnt from, this one has learnt"):
        ladder(
            Asked(backbones=("vgg19",), runs=(str(own.path),), strategies=("last",)),
            shapes_folder,
            out=tmp_path / "r",
            engine="numpy",
        )
    assert not (tmp_path / "r").exists()


def test_two_beginnings_of_one_name_are_refused(
    shapes_folder: Path, tmp_path: Path, install: Install
) -> None:
    install()
    own = train(
        shapes_folder,
        model="lenet-5",
        input="16",
        epochs=1,
        engine="numpy",
        out=tmp_path / "vgg19",
    )
    with pytest.raises(SettingsError, match=r"--backbone and --from: .* 'vgg19' is there twice"):
        ladder(Asked(backbones=("vgg19",), runs=(str(own.path),)), shapes_folder)


def test_missing_weights_are_told_with_how_to_get_them(
    shapes_folder: Path, install: Install
) -> None:
    install()
    with pytest.raises(WeightsError, match=r"squeezenet1_0.*convoscope weights"):
        ladder(Asked(backbones=("vgg19", "squeezenet1_0")), shapes_folder)


def test_without_validation_there_is_no_ladder(
    tmp_path: Path, make_image_folder: Callable[..., Path], install: Install
) -> None:
    install()
    data = make_image_folder(tmp_path / "d", per_class=8)
    with pytest.raises(SettingsError, match="this split has none: give a --validation above 0"):
        ladder(Asked(backbones=("vgg19",)), data, engine="numpy", validation=0.0)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("0.5h", 1800), (None, None)]
)
def test_a_budget_is_a_duration(text: str | None, seconds: float | None) -> None:
    assert budget_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "1h30", "-5m", "0s", "5 parsecs", "1..5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be a duration above 0"):
        budget_seconds(text)


def test_a_clock_counts_what_was_spent_before() -> None:
    assert Clock(10.0, spent=11.0).is_over()
    assert not Clock(1000.0, spent=11.0).is_over()
    assert Clock(None).left() is None


def test_few_epochs_leave_some_for_both_stages() -> None:
    assert suited("freeze-then-tune", {"epochs": 6})["head_epochs"] == 2
    assert "head_epochs" not in suited("freeze-then-tune", {"epochs": 60})
    assert suited("svm", {"augment": "flip", "views": 3, "batch": 4}) == {"batch": 4}


@pytest.mark.parametrize(("wrong", "stops"), [(0, True), (5, True), (6, False), (20, False)])
def test_nothing_can_be_shown_where_fewer_than_six_pictures_are_wrong(
    wrong: int, stops: bool
) -> None:
    """The exact sign test: six of six one way have p = 2 / 2^6 = 0.031, five of five 0.063."""
    right = np.ones((1, 60))
    right[0, :wrong] = 0
    said = nothing_to_show("vgg19 last", right, None)
    assert (said is not None) == stops
    if said:
        assert f"vgg19 last is wrong on {wrong} of 60 validation pictures" in said


def test_only_steps_above_noise_count() -> None:
    poor, good = np.zeros((1, 50)), np.ones((1, 50))
    poor[0, :25] = 1
    same = poor.copy()
    same[0, 25:27] = 1
    assert steps_in_vain([poor], None) == 0
    assert steps_in_vain([poor, same, poor], None) == 2
    assert steps_in_vain([poor, same, good], None) == 0
    assert steps_in_vain([poor, good, same], None) == 1
