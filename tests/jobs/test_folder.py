"""A new run never lands on something that is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from convoscope.errors import RunError
from convoscope.jobs.folder import claim
from convoscope.runs import Run, RunRecord

RECORD = RunRecord(kind="train", settings={}, command=(), seed=0, started="2026-01-01T00:00:00")


def test_runs_are_counted_per_data_and_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [claim(None, data="/a b/photos", model="nets/my net.yaml").name for _ in range(2)]
    names.append(claim(None, data="digits", model="small").name)
    assert names == ["photos-my-net-1", "photos-my-net-2", "digits-small-1"]


def test_data_named_dot_gives_the_folder_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shells").mkdir()
    monkeypatch.chdir(tmp_path / "shells")
    assert claim(None, data=".", model="small").name == "shells-small-1"


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    assert claim(tmp_path, data="d", model="m").path == tmp_path


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("finished", r"holds a finished run: choose another --out, or first  convoscope runs rm"),
        ("running", r"holds an unfinished run: go on with it by  convoscope train --resume"),
        ("interrupted", r"holds an unfinished run"),
    ],
)
def test_a_run_s_folder_is_refused(tmp_path: Path, status: str, sentence: str) -> None:
    Run(tmp_path).write_record(replace(RECORD, status=status))  # type: ignore[arg-type]
    with pytest.raises(RunError, match=sentence):
        claim(tmp_path, data="d", model="m")


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("variations", "vary"),
        ("ladder", "ladder"),
        ("learning curve", "ladder"),
        ("cross-validation", "train"),
    ],
)
def test_an_unfinished_run_names_the_command_that_goes_on_with_its_kind(
    tmp_path: Path, kind: str, command: str
) -> None:
    Run(tmp_path).write_record(replace(RECORD, kind=kind))
    with pytest.raises(RunError, match=rf"go on with it by  convoscope {command} --resume"):
        claim(tmp_path, data="d", model="m")


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").touch()
    with pytest.raises(RunError, match="holds other files: choose another --out"):
        claim(tmp_path, data="d", model="m")
    with pytest.raises(RunError, match="this is a file"):
        claim(tmp_path / "holiday.txt", data="d", model="m")


def test_half_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 1, "ki')
    with pytest.raises(RunError, match="holds half a run"):
        claim(tmp_path, data="d", model="m")
