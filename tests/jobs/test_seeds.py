"""One training with several seeds, on one split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import draw_folder
from tests.networks import TINY

import convoscope
from convoscope.errors import RunError, SettingsError
from convoscope.runs import Run
from convoscope.training.events import EpochEnded, Event, TrainingStarted


@pytest.fixture
def repeat(tmp_path: Path) -> Callable[..., Run]:
    """``convoscope.repeat`` of a tiny network on three shapes, on the NumPy engine."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    data = draw_folder(tmp_path / "shapes", per_class=12)

    def run(out: str, **settings: Any) -> Run:
        asked: dict[str, Any] = {"epochs": 2, "batch": 8, "engine": "numpy", "seeds": 3}
        model = tmp_path / "tiny.yaml"
        return convoscope.repeat(data, model=model, out=tmp_path / out, **{**asked, **settings})

    return run


def weights(run: Run, seed: int) -> bytes:
    return (run.path / "seeds" / str(seed) / "model" / "weights.safetensors").read_bytes()


def test_the_seeds_differ_and_the_split_does_not(repeat: Callable[..., Run]) -> None:
    run = repeat("r", seed=4)
    assert run.record().parts == ("seeds/4", "seeds/5", "seeds/6")
    assert (run.record().kind, run.record().status) == ("seeds", "finished")
    assert len({weights(run, seed) for seed in (4, 5, 6)}) == 3
    for seed in (4, 5, 6):
        part = convoscope.open_run(run.path / "seeds" / str(seed))
        assert part.record().seed == seed
        assert part.split_file.read_bytes() == run.split_file.read_bytes()


def test_the_first_seed_is_the_run_that_one_training_makes(
    repeat: Callable[..., Run], tmp_path: Path
) -> None:
    run = repeat("r", seed=4)
    settings: dict[str, Any] = {"epochs": 2, "batch": 8, "engine": "numpy", "seed": 4}
    alone = convoscope.train(
        tmp_path / "shapes", model=tmp_path / "tiny.yaml", out=tmp_path / "alone", **settings
    )
    assert (alone.path / "model" / "weights.safetensors").read_bytes() == weights(run, 4)


def test_killed_and_gone_on_with_it_ends_as_if_never_killed(
    repeat: Callable[..., Run], tmp_path: Path
) -> None:
    whole = repeat("whole")
    begun = 0

    def kill(event: Event) -> None:
        nonlocal begun
        begun += isinstance(event, TrainingStarted)
        if begun == 2 and isinstance(event, EpochEnded):
            raise SystemExit("killed")

    with pytest.raises(SystemExit):
        repeat("killed", listen=kill)
    names: list[str] = []
    resumed = convoscope.resume(tmp_path / "killed", started=lambda run: names.append(run.name))
    assert names == ["killed", "1", "2"]
    for seed in range(3):
        assert weights(resumed, seed) == weights(whole, seed)


def test_a_finished_one_has_nothing_to_go_on_with(repeat: Callable[..., Run]) -> None:
    run = repeat("r", seeds=2)
    with pytest.raises(RunError, match="only an unfinished run can go on, this one is finished"):
        convoscope.resume(run.path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seeds": 1}, "seeds must be at least 2 to show a spread, got 1: 5 is usual"),
        ({"test": 0.0}, "a spread needs images to test, this split has none: give a --test"),
    ],
)
def test_what_shows_no_spread_is_refused(
    repeat: Callable[..., Run], tmp_path: Path, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        repeat("r", **settings)
    assert not (tmp_path / "r").exists()
