from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convoscope.architecture.analysis import analyse
from convoscope.architecture.zoo import make
from convoscope.report import material
from convoscope.report.reading import Contents, read
from convoscope.runs.record import Status
from convoscope.runs.store import Run


@pytest.fixture(scope="module")
def contents(digits_run: Run) -> Contents:
    return read(digits_run)


def test_images_per_class_and_split_are_counted_in_the_predictions(contents: Contents) -> None:
    (head,) = material.head_data(contents)
    for column, split in enumerate(contents.splits):
        labels = contents.predictions[split].heads["class"].labels
        counted = [a_class.counts[column] for a_class in head.classes]
        np.testing.assert_array_equal(counted, np.bincount(labels))
    assert sum(a_class.total for a_class in head.classes) == 1400
    assert head.unknown == (0, 0, 0)
    assert all(a_class.samples for a_class in head.classes)


def test_the_networks_rows_add_up(contents: Contents) -> None:
    network = material.network(contents)
    assert network.parameters == sum(row.parameters for row in network.rows) == 650
    assert network.macs == sum(row.macs for row in network.rows) == 640


@pytest.mark.parametrize("status", ["running", "interrupted", "diverged", "failed"])
def test_a_run_that_did_not_finish_says_so_first(contents: Contents, status: Status) -> None:
    notes, data = ("a", "b", "a"), {"notes": ["b", "c"]}
    record = replace(contents.record, status=status, notes=notes, data=data)
    said = material.banners(replace(contents, record=record))
    assert said == (material.STATUS_NOTES[status], "a", "b", "c")


def test_a_finished_run_without_notes_has_no_banner(contents: Contents) -> None:
    assert material.banners(contents) == ()


def test_preprocessing_is_one_sentence_and_nothing_where_it_is_unknown(contents: Contents) -> None:
    assert material.preprocessing(contents) == (
        "Every picture is squashed to 8 × 8 pixels, read as gray in [0, 1] and standardised with "
        "mean 0, standard deviation 1."
    )
    assert material.preprocessing(replace(contents, model={})) == ""


def test_the_environment_names_machine_versions_and_data(contents: Contents) -> None:
    facts = dict(material.environment(contents))
    assert facts["memory"] == "8\N{NO-BREAK SPACE}GiB"
    assert facts["engine"] == "numpy"
    assert facts["data fingerprint"] == "0f3a"
    assert facts["started"].startswith("2026-11-21")


def test_settings_are_written_for_people(contents: Contents) -> None:
    record = replace(contents.record, settings={"allow_leak": True, "split": None, "set": {"a": 1}})
    assert material.settings(replace(contents, record=record)) == (
        ("allow leak", "yes"),
        ("split", "–"),
        ("set", '{"a": 1}'),
    )


PRETRAINED = {
    "name": "vgg19",
    "origin": "vgg19.h5",
    "weights_sha256": "0123456789abcdef",
    "licence": "MIT",
    "head": "linear",
    "frozen_up_to": "flatten",
    "frozen_parameters": 20_024_384,
    "learnt_parameters": 1,
}


def test_a_pretrained_network_says_what_stayed_and_what_learnt(contents: Contents) -> None:
    assert material.pretrained(contents) == ""
    pretrained = replace(contents, model={**contents.model, "backbone": PRETRAINED})
    assert material.pretrained(pretrained) == (
        "The network is pretrained: vgg19 with the weights of vgg19.h5 (SHA-256 0123456789ab, "
        "licence: MIT), and a new head, linear. Everything up to flatten stayed as it was and was "
        "computed once; what comes after it has learnt from these images (1 parameter; 20,024,384 "
        "parameters kept)."
    )
    all_of_it = {**PRETRAINED, "frozen_up_to": None, "frozen_parameters": 0}
    whole = replace(contents, model={"backbone": all_of_it})
    assert "linear. All of it has learnt from these images (1 parameter" in material.pretrained(
        whole
    )


def test_a_tuned_network_says_its_strategy_and_where_its_stages_end(contents: Contents) -> None:
    said = {**PRETRAINED, "name": "run r-1", "source": "run/photos", "head": "its own"}
    tuned = replace(
        contents,
        model={"backbone": {**said, "trained": "a two-layer head, then everything"}},
        record=replace(contents.record, settings={"tune": "freeze-then-tune"}),
        history=[{"epoch": 1, "phase": "head"}, {"epoch": 2, "phase": "tuned"}],
    )
    text = material.pretrained(tuned)
    assert text.startswith("The network goes on from run r-1 (SHA-256 0123456789ab), with its own ")
    assert text.endswith(
        "The strategy was freeze-then-tune: a two-layer head, then everything, in stages: head "
        "alone (until epoch 1), then all that learns (until epoch 2)."
    )


def test_what_stayed_as_it_was_is_not_drawn_as_learning(contents: Contents) -> None:
    frozen = {**PRETRAINED, "frozen_up_to": contents.analysis.rows[-1].name}
    still = replace(contents, model={**contents.model, "backbone": frozen})
    assert material.network(still).diagram != material.network(contents).diagram


def test_a_layer_that_sees_everything_says_so_as_describe_does(contents: Contents) -> None:
    flatten, dense = material.network(contents).rows
    assert [row.sees for row in (flatten, dense)] == ["all", "all"]
    small = replace(contents, analysis=analyse(make("lenet-5")))
    rows = {row.name: row for row in material.network(small).rows}
    assert {name: row.sees for name, row in rows.items() if row.jump != "–"} == {
        "conv1": "5 × 5",
        "pool1": "6 × 6",
        "conv2": "14 × 14",
        "pool2": "16 × 16",
    }
    vectors = ("flatten", "dense1", "dense2", "dense3")
    assert {rows[name].sees for name in vectors} == {"all"}
