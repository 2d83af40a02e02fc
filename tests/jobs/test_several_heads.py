"""Several questions asked of one picture, through every stage and on both engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convoscope import report
from convoscope.errors import ArchitectureError, ConvoscopeError, UnknownNameError
from convoscope.jobs.compare import compare
from convoscope.jobs.data_lines import write_lines
from convoscope.jobs.doubts import doubts
from convoscope.jobs.evaluate import evaluate
from convoscope.jobs.folds import cross_validate
from convoscope.jobs.predict import predict
from convoscope.jobs.train import train
from convoscope.metrics.classification import whole_right
from convoscope.metrics.summary import summarise
from convoscope.network import Engine
from convoscope.runs import Run

NET = """\
name: four
input_shape: [3, 28, 28]
layers:
- {kind: conv2d, name: conv, filters: 6, kernel_size: 5, stride: 2, activation: relu}
- {kind: max_pool2d, name: pool}
- {kind: flatten, name: flatten}
heads:
  length: {output: sigmoid, layers: [{kind: dense, name: a, units: 1}]}
  width: {output: sigmoid, layers: [{kind: dense, name: b, units: 1}]}
  colour: {output: sigmoid, layers: [{kind: dense, name: c, units: 1}]}
  angle: {layers: [{kind: dense, name: d, units: 12}]}
"""
HEADS = ("length", "width", "angle", "colour")
PATTERN = "{length}_{width}_{angle}_{colour}_{id}"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("net") / "four.yaml"
    file.write_text(NET)
    return file


@pytest.fixture(scope="module", params=["torch", "numpy"])
def run(request: pytest.FixtureRequest, net: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A few steps on lines, by each engine."""
    engine: Engine = request.param
    out = tmp_path_factory.mktemp(engine) / "run"
    return train(
        "lines:heads@8/3", model=net, out=out, engine=engine, epochs=3, batch=32,
        learning_rate=0.003, watch=("test",), head_weight={"angle": 2},
    )  # fmt: skip


def test_each_head_and_the_whole_have_their_curve(run: Run) -> None:
    for epoch in run.history():
        for split in ("validation", "test"):
            each = [epoch[f"{split}_accuracy/{head}"] for head in HEADS]
            assert epoch[f"{split}_accuracy"] <= min(each), "all right is at most the worst head"


def test_sigmoids_and_softmaxes_learn_on_one_trunk(run: Run) -> None:
    said = run.predictions("test")
    assert {head: found.logits.shape[1] for head, found in said.heads.items()} == {
        "length": 1,
        "width": 1,
        "angle": 12,
        "colour": 1,
    }
    metrics = summarise(said)
    colour = metrics.heads["colour"].accuracy.value
    assert colour is not None
    assert colour > 0.9, "which channel is lit is learnt at once"
    right = whole_right(said)
    assert metrics.whole.correct == right.sum()


def test_the_weighted_losses_add_up_to_the_one_that_is_learnt_from(run: Run) -> None:
    history = run.history()
    best = history[(run.record().best_epoch or 1) - 1]
    heads = summarise(run.predictions("test")).heads
    total = sum(
        (2 if name == "angle" else 1) * (head.loss.value or 0) for name, head in heads.items()
    )
    assert best["test_loss"] == pytest.approx(total, rel=1e-4)


def test_a_sigmoid_is_thresholded_never_truncated(run: Run) -> None:
    """Truncating a probability to a whole number would say class 0 for all below 1."""
    colour = run.predictions("test").heads["colour"]
    probable = 1 / (1 + np.exp(-colour.logits[:, 0].astype(np.float64)))
    assert np.array_equal(colour.predicted(), probable > 0.5)
    assert 0.3 < colour.predicted().mean() < 0.7


def test_predict_answers_every_question(run: Run, tmp_path: Path) -> None:
    write_lines(tmp_path / "set", train=1, test=1)
    (image,) = predict(run, tmp_path / "set" / "train" / "1_1_9_0_0.png", top=2)
    assert set(image.heads) == set(HEADS)
    assert {best.name for best in image.heads["colour"]} == {"red", "blue"}
    assert sum(best.probability for best in image.heads["colour"]) == pytest.approx(1)
    assert image.heads["colour"][0].name == "red"


def test_evaluate_and_report_speak_of_every_head(run: Run) -> None:
    before = run.predictions("test")
    again = evaluate(run)
    assert again["test"].to_json() == summarise(before).to_json()
    page = report.write(run).read_text()
    for number in range(1, 5):
        assert f'id="head-{number}"' in page
        assert f'id="confusion-{number}"' in page
    assert 'id="factors"' in page
    assert "named right by all 4 heads" in page


def test_doubts_speak_of_every_head(run: Run) -> None:
    assert {head.head for head in doubts(run).review.heads} == set(HEADS)


def test_runs_are_compared_head_by_head_and_as_a_whole(run: Run, net: Path, tmp_path: Path) -> None:
    other = train("lines:heads@8/3", model=net, out=tmp_path / "other", epochs=1, seed=1)
    compared = compare([run, other])
    assert {pair.head for pair in compared.verdicts} == {None, *HEADS}


def test_folds_test_every_head_of_every_image(net: Path, tmp_path: Path) -> None:
    run = cross_validate("lines:heads@3/3", model=net, folds=3, out=tmp_path / "run", epochs=1)
    pooled = run.predictions("out-of-fold")
    assert set(pooled.heads) == set(HEADS)
    assert len(pooled.ids) == 96 * 6
    assert (pooled.heads["colour"].output, pooled.heads["angle"].output) == ("sigmoid", "softmax")


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_a_missing_label_teaches_nothing_and_counts_nowhere(
    engine: Engine, net: Path, tmp_path: Path
) -> None:
    """Without any label of a head known for training, that head's layers stay as they were."""
    write_lines(tmp_path / "set", train=2, test=1)
    rows = ["file,length,width,angle,colour,split"]
    for file in sorted((tmp_path / "set").rglob("*.png")):
        labels = file.stem.split("_")[:4]
        split = file.parent.name
        if split == "train" and int(labels[2]) % 2:
            labels[3] = ""
        rows.append(",".join([str(file), *labels, split]))
    (tmp_path / "set.csv").write_text("\n".join(rows) + "\n")
    asked: dict[str, Any] = {
        "label_column": HEADS, "engine": engine, "epochs": 1, "validation": 0.0, "batch": 64
    }  # fmt: skip
    run = train(tmp_path / "set.csv", model=net, out=tmp_path / "run", **asked)
    train_colour = summarise(run.predictions("train")).heads["colour"]
    metrics = summarise(run.predictions("train"))
    assert (metrics.images, train_colour.n, metrics.heads["angle"].n) == (192, 96, 192)
    assert metrics.whole.n == 96, "the whole counts where all labels are known"


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_a_chosen_threshold_is_what_every_stage_answers_by(
    engine: Engine, net: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"engine": engine, "epochs": 1, "validation": 0.1, "batch": 64}
    usual = train("lines:heads@4/2", model=net, out=tmp_path / "usual", **asked)
    strict = train(
        "lines:heads@4/2", model=net, out=tmp_path / "strict", threshold={"width": 0.9}, **asked
    )
    one, other = (each.predictions("test").heads["width"] for each in (usual, strict))
    assert np.array_equal(one.logits, other.logits), "learning is the same"
    probable = 1 / (1 + np.exp(-other.logits[:, 0].astype(np.float64)))
    assert np.array_equal(other.predicted(), probable > 0.9)
    assert other.predicted().sum() < one.predicted().sum()
    again = evaluate(strict)["test"].heads["width"]
    assert again.classes[1].predicted == other.predicted().sum()
    write_lines(tmp_path / "set", train=1, test=1)
    for image in predict(strict, tmp_path / "set"):
        first, second = image.heads["width"]
        wide = first if first.name == "3" else second
        assert (first.name == "3") == (wide.probability > 0.9)


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"threshold": {"width": 1.2}}, ArchitectureError, "must be a probability between 0 and 1"),
        ({"threshold": {"angle": 0.7}}, ArchitectureError, "this head is a softmax of 12: leave"),
        ({"threshold": {"widht": 0.7}}, UnknownNameError, "did you mean 'width'"),
        ({"head_weight": {"angel": 2}}, UnknownNameError, "did you mean 'angle'"),
    ],
)
def test_a_head_that_cannot_be_told_so_is_one_sentence(
    net: Path, tmp_path: Path, settings: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        train("lines:heads@2/1", model=net, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def _heads_of_another_kind(path: Path) -> None:
    np.savez(path, images=np.zeros((8, 28, 28, 3), np.uint8), hue_labels=np.arange(8) % 2,
             size_labels=np.arange(8) // 4)  # fmt: skip


def _a_head_without_labels(path: Path) -> None:
    np.savez(path, images=np.zeros((8, 28, 28, 3), np.uint8), hue_labels=np.arange(8) % 2,
             size_labels=np.full(8, -1))  # fmt: skip


def _a_label_out_of_range(path: Path) -> None:
    names = np.array(["small", "large"])
    np.savez(path, images=np.zeros((8, 28, 28, 3), np.uint8), hue_labels=np.arange(8) % 2,
             size_labels=np.arange(8) % 3, size_class_names=names)  # fmt: skip


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (_heads_of_another_kind, r"must be what the data labels \(hue, size\).* got angle, colour"),
        (_a_head_without_labels, "'size_labels': there must be at least two classes .* found none"),
        (_a_label_out_of_range, "one for each label 0 to 2, got 2: small, large: save a name for"),
    ],
)
def test_labels_that_do_not_fit_are_one_sentence(
    net: Path, tmp_path: Path, write: Callable[[Path], None], sentence: str
) -> None:
    write(tmp_path / "set.npz")
    with pytest.raises(ConvoscopeError, match=sentence) as caught:
        train(tmp_path / "set.npz", model=net, out=tmp_path / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_four_heads_as_published_learns_on_both_engines(engine: Engine, tmp_path: Path) -> None:
    run = train(
        "lines:heads@8/2", model="four-heads", out=tmp_path / "run", engine=engine,
        epochs=1, batch=16, validation=0.0,
    )  # fmt: skip
    metrics = summarise(run.predictions("test"))
    assert set(metrics.heads) == set(HEADS)
    colour = metrics.heads["colour"].accuracy.value
    assert colour is not None
    assert colour > 0.7
