"""A request is the same in Python, on the command line, in a file and in run.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from convoscope.errors import RunError, SettingsError, UnknownNameError
from convoscope.jobs.request import TrainRequest, input_shape, option_value, quoted
from convoscope.jobs.settings import (
    absolute,
    asked_out,
    asked_request,
    gathered,
    read_settings,
    request,
    training_settings,
)


def test_a_request_survives_json() -> None:
    asked = request({"data": "d", "model": "flexible", "set": {"blocks": 3, "x": 0.5}, "seed": 4})
    assert request(json.loads(json.dumps(asked.to_json()))) == asked


def test_the_command_leaves_defaults_out_and_quotes() -> None:
    asked = TrainRequest(
        data="my photos", model="small", set={"norm": True}, epochs=3, nesterov=True, from_run="r"
    )
    assert quoted(asked.command()) == (
        "convoscope train 'my photos' --model small --set norm=true --from r --epochs 3 --nesterov"
    )


def test_files_are_named_from_the_root_and_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "small").mkdir()
    monkeypatch.chdir(tmp_path)
    asked = absolute(TrainRequest(data="photos", model="nets/a.yaml", from_run="r", split="s.csv"))
    found = (asked.data, asked.model, asked.from_run, asked.split)
    names = ("photos", "nets/a.yaml", "r", "s.csv")
    assert found == tuple(str(tmp_path / name) for name in names)
    embedded = TrainRequest(data="digits", model="small")
    assert absolute(embedded) == embedded


def test_numbers_reach_the_training_settings() -> None:
    asked = request(
        {
            "data": "d",
            "model": "m",
            "optimiser": "sgd",
            "momentum": 0.9,
            "patience": 0,
            "schedule": "step",
            "schedule_every": 5,
            "batch": "7",
        }
    )
    settings = training_settings(asked)
    assert settings.optimiser.momentum == 0.9
    assert settings.patience is None
    assert (settings.schedule.kind, settings.schedule.every) == ("step", 5)
    assert settings.batch_size == 7


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no setting 'epoch': did you mean 'epochs'"):
        request({"data": "d", "model": "m", "epoch": 3})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "m"}, "data must be given, got none: name a folder"),
        (
            {"data": "d", "model": "m", "backbone": "vgg19"},
            "either trained from scratch or pretrained, got --model m and --backbone vgg19: leave",
        ),
        (
            {"data": "d", "model": "m", "head": "linear"},
            r"--head: a network trained from scratch \(--model m\) has no such choice, got 'lin",
        ),
        (
            {"data": "d", "backbone": "vgg19", "input": "64"},
            r"--input: a pretrained network \(--backbone vgg19\) has no such choice, got '64'",
        ),
        ({"data": "d", "backbone": "vgg19", "views": 0}, "views must be at least 1, got 0"),
        (
            {"data": "d", "model": "m", "epochs": "many"},
            "^epochs: must be a valid integer, got 'many': correct it$",
        ),
        ({"data": "d", "model": "m", "epochs": 0}, "epochs must be at least 1, got 0"),
        ({"data": "d", "model": "m", "patience": -1}, "patience must be at least 1, got -1"),
        ({"data": "d", "model": "m", "resize": "fold"}, "resize: .*'squash', 'crop' or 'pad'"),
        ({"data": "d", "model": "m", "nesterov": True}, "nesterov needs momentum above 0"),
        ({"data": "d", "model": "m", "momentum": 0.9}, "momentum is for optimiser 'sgd', got 0.9"),
    ],
)
def test_a_wrong_value_is_one_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        request(settings)


def test_a_run_without_whole_settings_is_refused() -> None:
    with pytest.raises(RunError, match=r"r: run.json must hold the settings of a training run"):
        asked_request(Path("r"), {"data": "d"})
    with pytest.raises(RunError, match="model or backbone must be given, got neither"):
        asked_request(Path("r"), {"data": "d", "epochs": 3})


def test_a_head_that_nobody_knows_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no head 'flaten': did you mean 'flatten'"):
        request({"data": "d", "backbone": "vgg19", "head": "flaten"})


def test_a_network_named_in_the_call_replaces_that_of_the_settings_file(tmp_path: Path) -> None:
    (file := tmp_path / "s.yaml").write_text("model: small\nepochs: 3\n")
    asked = gathered("d", None, file, {"backbone": "vgg19"})
    assert (asked.model, asked.backbone, asked.epochs) == (None, "vgg19", 3)


def test_a_settings_file_may_use_the_option_s_spelling(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("learning-rate: 0.01\nset:\n  blocks: 2\n")
    assert read_settings(file) == {"learning_rate": 0.01, "set": {"blocks": 2}}


@pytest.mark.parametrize("size", [64, "64"])
def test_an_input_of_one_size_may_be_a_number(tmp_path: Path, size: object) -> None:
    assert request({"data": "d", "model": "m", "input": size}).input == "64"
    (file := tmp_path / "s.yaml").write_text(f"input: {size!r}\n")
    assert gathered("d", "m", file, {}).input == "64"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [", "must be YAML, reading it gave"),
        ("- epochs", "must hold lines such as  epochs: 20 , got list"),
        ("epoch: 2", "no setting 'epoch': did you mean 'epochs'"),
        ("epochs: many", "epochs: must be a valid integer, got 'many': correct it"),
        (
            "folds: 5",
            "folds: a settings file says how one network is trained, got folds: 5: leave ",
        ),
        ("seeds: 3", "leave it out and write --seeds 3 beside --settings"),
    ],
)
def test_a_wrong_settings_file_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(content)
    with pytest.raises((SettingsError, UnknownNameError), match=sentence) as error:
        read_settings(file)
    assert str(error.value).startswith(str(file))


def test_a_settings_file_may_name_where_a_run_goes_and_where_it_starts(tmp_path: Path) -> None:
    (file := tmp_path / "s.yaml").write_text("out: runs/mine\nfrom: runs/first\nmodel: small\n")
    assert read_settings(file) == {"from_run": "runs/first", "model": "small"}
    assert asked_out(None, file) == "runs/mine"
    assert asked_out("elsewhere", file) == "elsewhere"
    assert asked_out(None, None) is None
    (bare := tmp_path / "bare.yaml").write_text("model: small\n")
    assert asked_out(None, bare) is None


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such settings file"):
        read_settings(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("text", "shape"),
    [("3x64x96", (3, 64, 96)), ("64x96", (1, 64, 96)), ("64", (1, 64, 64)), ("1X8X8", (1, 8, 8))],
)
def test_input_is_written_three_ways(text: str, shape: tuple[int, ...]) -> None:
    assert input_shape(text, channels=1) == shape


@pytest.mark.parametrize("text", ["", "a", "3x0x3", "2x64x64", "1x2x3x4", "64x"])
def test_another_input_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="input must be CHANNELSxHEIGHTxWIDTH"):
        input_shape(text, channels=3)


def test_options_of_a_network_are_read_as_one_means_them() -> None:
    values = [option_value(text) for text in ("3", "0.5", "true", "no", "selu")]
    assert values == [3, 0.5, True, False, "selu"]


def test_every_option_of_train_is_a_setting_and_says_its_default() -> None:
    from convoscope.cli import program

    page = CliRunner().invoke(program, ["train", "--help"]).output
    for words in ("--epochs", "[50]", "--learning-rate", "[0.001]", "--patience", "Learning:"):
        assert words in page
