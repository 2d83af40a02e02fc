"""How many trainings have room side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import draw_folder

from convoscope.data.sources import open_dataset
from convoscope.errors import SettingsError
from convoscope.jobs import vary_room
from convoscope.jobs.settings import request
from convoscope.jobs.vary_resolve import Resolved, resolved
from convoscope.jobs.vary_room import Room, asked_jobs, room
from convoscope.runs.variations import PlannedVariant


@pytest.fixture
def variant(tmp_path: Path) -> Resolved:
    data = draw_folder(tmp_path / "d", per_class=2)
    base = request({"data": str(data), "model": "small", "input": "32", "epochs": 2})
    planned = PlannedVariant(name="v", levels={}, changes={})
    return resolved(planned, base, open_dataset(str(data)))


def test_a_number_is_taken_as_it_is_but_for_more_than_there_is_to_do() -> None:
    assert asked_jobs("3") == 3
    assert asked_jobs("auto") is None
    assert room(3, (), trainings=9, device="cpu").jobs == 3
    assert room(3, (), trainings=2, device="cpu").jobs == 2
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(SettingsError, match="--jobs: must be auto or a number"):
            asked_jobs(wrong)


def test_the_cores_are_shared_out(variant: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vary_room, "core_count", lambda: 8)
    monkeypatch.setattr(vary_room, "_free_bytes", lambda: 2**40)
    assert room(None, [variant], trainings=20, device="cpu") == Room(jobs=8, threads=1)
    assert room(None, [variant], trainings=3, device="cpu") == Room(jobs=3, threads=2)
    assert room(2, [variant], trainings=20, device="cpu") == Room(jobs=2, threads=4)
    assert room(None, [variant], trainings=20, device="cuda") == Room(jobs=4, threads=2)


def test_memory_limits_how_many_run_at_once(
    variant: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vary_room, "core_count", lambda: 8)
    monkeypatch.setattr(vary_room, "_free_bytes", lambda: 2 * 2**30)
    assert room(None, [variant], trainings=20, device="cpu").jobs == 2
    monkeypatch.setattr(vary_room, "_free_bytes", lambda: 1)
    assert room(None, [variant], trainings=20, device="cpu").jobs == 1
    monkeypatch.setattr(vary_room, "_free_bytes", lambda: None)
    assert room(None, [variant], trainings=20, device="cpu").jobs == 8
