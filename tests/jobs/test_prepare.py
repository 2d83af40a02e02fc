from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import MakeImageFolder

from convoscope.data.cache import Decoded
from convoscope.errors import SettingsError
from convoscope.jobs.folds import cross_validate
from convoscope.jobs.prepare import prepare
from convoscope.jobs.request import TrainRequest
from convoscope.runs import Run


def notes_of(data: Path, **asked: Any) -> tuple[str, ...]:
    request = TrainRequest(data=str(data), model="lenet-5", input="28", **asked)
    return prepare(request).notes


@pytest.mark.parametrize(
    ("asked", "unused"),
    [({"test": 0.5}, "--test 0.5"), ({"validation": 0.25}, "--validation 0.25")],
)
def test_a_part_that_the_data_brings_itself_is_said_not_to_be_used(
    make_image_folder: MakeImageFolder, tmp_path: Path, asked: dict[str, float], unused: str
) -> None:
    data = make_image_folder(
        tmp_path / "split", splits={"train": 6, "val": 4, "test": 4}, size=(28, 28)
    )
    split = unused.split()[0].removeprefix("--")
    assert f"{unused} is not used: the data brings its own {split} split" in notes_of(data, **asked)
    assert not [note for note in notes_of(data) if "is not used" in note]


def test_a_part_that_is_used_is_not_spoken_of(
    make_image_folder: MakeImageFolder, tmp_path: Path
) -> None:
    data = make_image_folder(tmp_path / "plain", per_class=12, size=(28, 28))
    assert not [note for note in notes_of(data, test=0.25) if "is not used" in note]


def test_impossible_shares_are_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="validation must be a share of at least 0 and below 1"):
        notes_of(tmp_path / "not-there", validation=1.5)


def test_a_device_that_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="device='cuda:99' needs an NVIDIA GPU"):
        notes_of(tmp_path / "not-there", device="cuda:99")
    with pytest.raises(SettingsError, match="device: engine 'numpy' computes on the CPU"):
        notes_of(tmp_path / "not-there", device="cuda", engine="numpy")


def test_what_a_data_check_would_say_is_worked_out_once_for_all_divisions(
    make_image_folder: MakeImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convoscope.jobs import prepare as module

    asked: list[str] = []

    def notes(decoded: Decoded, request: TrainRequest) -> tuple[str, ...]:
        asked.append(request.data)
        return ("a suspicion",)

    monkeypatch.setattr(module, "training_notes", notes)
    data = make_image_folder(tmp_path / "plain", per_class=6, size=(28, 28))
    run = cross_validate(
        data, folds=3, model="lenet-5", input="28", epochs=1, engine="numpy", out=tmp_path / "r"
    )
    assert len(asked) == 1
    for part in (run, *(Run(path) for path in run.path.glob("folds/*"))):
        assert "a suspicion" in part.record().data["notes"]
