from __future__ import annotations

from dataclasses import fields

import pytest

from convoscope.errors import SettingsError, UnknownNameError
from convoscope.jobs.request import TrainRequest
from convoscope.transfer.strategies import DECAY, STRATEGIES, tuned_defaults, tuning


def test_the_table_holds_each_strategy_under_its_name_cheapest_first() -> None:
    assert list(STRATEGIES) == ["svm", "last", "last:K", "layerwise", "freeze-then-tune", "all"]
    assert all(name == row.name for name, row in STRATEGIES.items())
    assert all(row.sentence.endswith(".") and row.title for row in STRATEGIES.values())


def test_its_settings_are_those_of_a_request() -> None:
    known = {field.name for field in fields(TrainRequest)}
    assert all(row.defaults.keys() <= known for row in STRATEGIES.values())


@pytest.mark.parametrize("name", ["svm", "last", "layerwise", "freeze-then-tune", "all"])
def test_a_name_alone_is_its_row(name: str) -> None:
    assert tuning(name).strategy is STRATEGIES[name]


@pytest.mark.parametrize(
    ("text", "layers", "blocks", "first", "words"),
    [
        ("last:1", 1, 0, "", "the last layer"),
        ("last:3", 3, 0, "", "the last 3 layers"),
        ("last:3layers", 3, 0, "", "the last 3 layers"),
        ("last:1block", 0, 1, "", "the last block"),
        ("last:2blocks", 0, 2, "", "the last 2 blocks"),
        ("last:block5", 0, 0, "block5", "everything from block5 on"),
        ("last:layer4.2", 0, 0, "layer4.2", "everything from layer4.2 on"),
    ],
)
def test_what_stands_after_last(
    text: str, layers: int, blocks: int, first: str, words: str
) -> None:
    found = tuning(text)
    assert found.strategy is STRATEGIES["last:K"]
    assert (found.layers, found.blocks, found.first) == (layers, blocks, first)
    assert found.trained == words


def test_what_stands_after_layerwise() -> None:
    assert tuning("layerwise").decay == DECAY
    assert tuning("layerwise:0.5").decay == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "last:0",
            "--tune last:0: at least the last layer must learn, got 0: write last:1 or more",
        ),
        ("last:-2blocks", "--tune last:-2blocks: at least the last layer must learn, got -2blocks"),
        ("last:", "--tune last:: at least the last layer must learn, got no number: write last:1"),
        ("all:3", "--tune all:3: strategy 'all' takes nothing after it, got '3': write --tune all"),
        ("layerwise:2", "above 0 and at most 1 from block to block, got '2': 0.7 is usual"),
        ("layerwise:slow", "above 0 and at most 1 from block to block, got 'slow'"),
    ],
)
def test_what_cannot_stand_after_a_strategy(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        tuning(text)
    assert message in str(caught.value)


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no strategy 'layerwize': did you mean 'layerwise'"
    ):
        tuning("layerwize")


def test_a_run_keeps_its_own_head() -> None:
    of_backbone = tuned_defaults("freeze-then-tune", is_from_run=False)
    of_run = tuned_defaults("freeze-then-tune", is_from_run=True)
    assert of_backbone.keys() - of_run.keys() == {"head"}


def test_what_means_nothing_has_no_settings() -> None:
    assert tuned_defaults(None, is_from_run=False) == {}
    assert tuned_defaults("last:0", is_from_run=False) == {}
