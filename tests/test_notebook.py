from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from tests.conftest import draw_folder
from torch import nn

import convoscope
from convoscope import notebook
from convoscope.architecture.zoo import make
from convoscope.jobs.describe import describe
from convoscope.jobs.doubts import Doubts
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.metrics.review import Review, review
from convoscope.metrics.summary import summarise
from convoscope.runs import Run, RunRecord


def cells(html: str) -> list[list[str]]:
    """The rows of a table's body, tags taken off."""
    rows = re.findall(r"<tr>(.*?)</tr>", html.split("<tbody>")[1])
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def predictions() -> Predictions:
    head = HeadPredictions(
        class_names=("<b>", "dog"),
        labels=np.array([0, 0, 1, 1]),
        logits=np.array([[3.0, 0], [2.0, 0], [0, 1.0], [1.0, 0]]),
    )
    return Predictions(split="test", ids=tuple("abcd"), heads={"class": head})


def test_whatever_is_put_into_a_table_is_text() -> None:
    html = notebook.table("<i>", ["<h>"], [["<b>", 1234567]])
    assert cells(html) == [["&lt;b&gt;", "1,234,567"]]
    assert "<i>" not in html
    assert "<h>" not in html


def test_an_undefined_figure_is_a_dash() -> None:
    assert notebook.figure(None, None, None) == "–"
    assert notebook.figure(0.5, None, None) == "0.5000"
    assert notebook.figure(0.5, 0.25, 0.75) == "0.5000 (0.2500 to 0.7500)"


def test_an_architecture_shows_layers_that_add_up_to_its_total() -> None:
    *layers, total = cells(make("architecture-1")._repr_html_())
    assert total[3] == "211,701"
    parameters = [int(row[3].replace(",", "")) for row in layers]
    assert sum(parameters) == 211_701
    assert layers[-1][0] == "class: dense2"


def test_a_description_adds_memory_and_receptive_fields() -> None:
    *layers, total = cells(describe("architecture-1")._repr_html_())
    assert total[3:6] == ["211,701", "10,222,304", "159,252"]
    assert sum(int(row[5].replace(",", "")) for row in layers) == 159_252
    assert layers[2] == ["conv2", "conv2d", "16x22x22", "3,216", "1,548,800", "30,976", "51x51"]


def test_metrics_show_each_head_with_intervals() -> None:
    (row,) = cells(summarise(predictions())._repr_html_())
    assert row[:3] == ["class", "4", "3"]
    assert row[3].startswith("0.7500 (")


def test_predictions_show_each_class_with_how_often_it_was_named() -> None:
    html = predictions()._repr_html_()
    assert "test: predictions of 4 images" in html
    assert cells(html) == [["class", "&lt;b&gt;", "2", "3", "2"], ["class", "dog", "2", "1", "1"]]


def test_a_comparison_shows_its_runs_and_what_may_be_said_of_them(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "shapes", per_class=12)
    asked: dict[str, Any] = {"model": "lenet-5", "input": "28", "engine": "numpy", "epochs": 1}
    runs = [convoscope.train(folder, out=tmp_path / f"r{s}", seed=0, **asked) for s in (0, 1)]
    found = convoscope.compare(runs)
    html = found._repr_html_()
    first, second = cells(html)
    assert [row[:3] for row in (first, second)] == [["A", "r0", "lenet-5"], ["B", "r1", "lenet-5"]]
    assert first[4:] == second[4:], "the same seed, so the same figures"
    assert f"<p>{escape(found.verdicts[0].sentence)}</p>" in html


def test_a_run_shows_its_status_and_the_accuracy_of_each_split(tmp_path: Path) -> None:
    run = Run(tmp_path / "a<b>")
    record = RunRecord(kind="train", settings={}, command=(), seed=0, started="", status="finished")
    run.write_record(record)
    run.write_predictions(predictions())
    html = run._repr_html_()
    assert "a&lt;b&gt;: train, finished" in html
    assert cells(html) == [["test", "4", "0.7500 (0.3006 to 0.9544)"]]


def test_doubts_show_the_labels_that_are_doubted_and_what_to_label_next(tmp_path: Path) -> None:
    logits = np.array([[3.0, 0], [2.5, 0], [0, 3.0], [0, 2.5], [2.9, 0], [0.3, 0.1]])
    head = HeadPredictions(
        class_names=("<cat>", "dog"), labels=np.array([0, 0, 1, 1, 1, -1]), logits=logits
    )
    said = Predictions(split="test", ids=(*"abcde", "new"), heads={"class": head})
    found = Review(run="r", splits=("test",), heads=review([said], top=3), notes=("A <note>.",))
    html = Doubts(review=found, pictures={})._repr_html_()
    assert html == found._repr_html_()
    assert "class (test): 1 of 5 labels are doubted<" in html
    doubted, following = html.split("label next")
    assert cells(doubted) == [["e", "test", "dog 5.2%", "&lt;cat&gt; 94.8%"]]
    assert cells(following) == [["new", "&lt;cat&gt; 55.0%", "dog 45.0%"]]
    assert html.endswith("<p>A &lt;note&gt;.</p>")


def test_a_checked_data_set_shows_what_is_wrong_and_what_there_is(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "shapes", classes=("bars", "disc"), per_class=30)
    (folder / "disc" / "same.png").write_bytes(next((folder / "bars").iterdir()).read_bytes())
    (folder / "disc" / "half.png").write_bytes(b"no picture")
    found = convoscope.check_data(folder)
    html = found._repr_html_()
    findings, counts = html.split("class: images")
    assert f"shapes, 61 of 62 images: {len(found.audit.wrong)} wrong, " in findings
    assert cells(findings) == [[f.severity, escape(f.sentence)] for f in found.audit.findings]
    assert {row[0] for row in cells(findings)} >= {"wrong"}
    assert cells(counts) == [["bars", "30"], ["disc", "31"]]


def test_a_data_set_in_which_nothing_was_found_says_so(tmp_path: Path) -> None:
    found = convoscope.check_data("digits")
    html = found._repr_html_()
    assert not found.audit.findings
    assert "<p>digits, 1,797 images: 0 wrong, 0 to look at</p>" in html
    assert sum(int(row[1]) for row in cells(html)) == 1797


def test_any_module_s_explanations_show_what_it_says_of_each_image(tmp_path: Path) -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(196, 2)
    )
    network = convoscope.adopt(module, input_shape=(3, 16, 16), device="cpu")
    files = sorted(draw_folder(tmp_path / "shapes", classes=("disc",), per_class=2).rglob("*.png"))
    (broken := tmp_path / "broken.png").write_bytes(b"no picture")
    found = convoscope.explain_images(network, [*files, broken])
    assert "<p>" in found._repr_html_()
    assert "broken.png" in found._repr_html_()
    first, second = cells(found._repr_html_())
    for file, image, (name, said, views, neuron) in zip(
        files, found.images, (first, second), strict=True
    ):
        facts = image.facts
        assert name == facts.name
        assert file.name in facts.file
        assert said == f"{facts.said[0].classes[0]} {facts.said[0].probabilities[0]:.2f}"
        assert "guided-backprop" in views
        assert neuron.endswith(f"{max(one.value for one in facts.neurons):.3g}")
    assert len(repr(found)) < 6000  # the arrays are not in it
