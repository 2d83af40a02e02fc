"""``convoscope vary``: what it prints, and how it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder

from convoscope.cli.train import train
from convoscope.cli.vary import vary
from convoscope.cli.varying import begun_lines, called, ended_line
from convoscope.jobs.side_by_side import Ended, Task
from convoscope.jobs.vary_room import Room
from convoscope.jobs.vary_trainings import Begun
from convoscope.runs import Run
from convoscope.runs.variations import Plan, PlannedVariant


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "shapes", splits={"train": 8, "val": 4, "test": 4})


def test_variants_are_trained_compared_shown_and_reported(
    convoscope: Convoscope, shapes: Path, tiny: Path
) -> None:
    words = ("vary", shapes, "-m", tiny, "--set", "layers.conv.kernel_size=3,5,17", "-e", 1)
    result = convoscope(*words, "--seeds", 1, "--engine", "numpy", "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert "cannot be: conv kernel_size 17: layer 'conv' (1 of 4): a 17x17" in result.stderr
    assert "2 variants, 2 trainings, " in result.stderr
    assert "2/2  " in result.stderr
    assert "conv kernel_size 5 instead of 3: " in result.stdout
    assert "test    conv kernel_size " in result.stdout
    assert "note: Each variant was trained with one seed" in result.stdout
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert "a 17x17 kernel with padding 0 does not fit" in page
    command = re.sub(r"</?span[^>]*>", "", page)
    assert "--set layers.conv.kernel_size=3,5,17 --seeds 1 --out out" in command

    shown = convoscope("runs", "show", "out")
    assert shown.exit_code == 0
    assert "variations" in shown.stdout
    assert "finished, 2 variants" in convoscope("runs", "list", ".").stdout
    assert convoscope("report", "out").stdout.strip() == "out/report.html"
    assert convoscope("report", "out", "-o", "page.html").stdout.strip() == "page.html"
    assert Path("page.html").read_text() == Path("out/report.html").read_text()
    again = convoscope("vary", "--resume", "out")
    assert again.exit_code == 2
    assert "only unfinished variations can go on" in again.stderr
    other = convoscope("train", "--resume", "out")
    assert other.exit_code == 2
    assert "these are variations: go on with  convoscope vary --resume out" in other.stderr


@pytest.mark.slow
def test_json_has_every_documented_key(convoscope: Convoscope, shapes: Path, tiny: Path) -> None:
    words = ("vary", shapes, "-m", tiny, "--set", "learning-rate=0.001,0.01", "-e", 1, "--json")
    result = convoscope(*words, "--seeds", 2, "--engine", "numpy", "--show-test", "all", "-q")
    content = json.loads(result.stdout)
    assert result.stderr == ""
    assert set(content) == {
        *("run", "report", "factors", "seeds", "images", "level", "variants", "refused"),
        *("contrasts", "chosen", "not_told_apart", "tested", "notes"),
    }
    assert content["factors"] == {"learning-rate": ["0.001", "0.01"]}
    assert len(content["tested"]) == 2
    assert any("none of them chose anything" in note for note in content["notes"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "layers.conv9.filters=1,2"), "there is no layer 'conv9': did you mean 'conv'?"),
        (("--set", "schedul=none,step"), "there is no address 'schedul': did you mean 'schedule'?"),
        (("--set", "layers.conv.filters=two,three"), "filters must be an int >= 1, got 'two'"),
        (("--set", "layers.conv.filters="), "--set: must be followed by ADDRESS=VALUE,VALUE"),
        ((), "there must be something to vary, got no address with two values"),
        (("--set", "epochs=1,2,1"), "each value must be there once, '1' is there 2 times"),
        (("--named", "row-9"), "there is no list of variations 'row-9': did you mean 'row-9d'?"),
        (("--named", "none.yaml"), "none.yaml: variations must be a readable YAML file"),
        (("--set", "epochs=1,2", "--seeds", 0), "seeds must be at least 1, got 0"),
        (("--set", "epochs=1,2", "--jobs", "x"), "--jobs: must be auto or a number of trainings"),
    ],
)
def test_what_cannot_be_varied_is_one_sentence(
    convoscope: Convoscope, shapes: Path, tiny: Path, words: tuple[object, ...], says: str
) -> None:
    result = convoscope("vary", shapes, "-m", tiny, "--engine", "numpy", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("runs").exists()


def test_a_run_is_gone_on_with_as_it_began(convoscope: Convoscope) -> None:
    result = convoscope("vary", "--resume", "out", "--set", "epochs=1,2")
    assert result.exit_code == 2
    assert "--resume: a run goes on with its own settings, got --set too" in result.stderr


def test_the_options_of_train_are_there_but_for_those_that_mean_nothing() -> None:
    ours, theirs = ({p.name for p in one.params} for one in (vary, train))
    assert theirs - ours == {"set", "folds", "from_run"}
    assert ours - theirs == {"sets", "named", "one_at_a_time", "jobs", "show_test"}


def test_what_is_about_to_happen_is_said() -> None:
    variant = PlannedVariant(name="a", levels={"size": "9"}, changes={}, refusal="it does not fit")
    plan = Plan(factors={"size": ("3", "9")}, variants=(variant,), seeds=(0,), threads=1)
    begun = Begun(
        run=Run(Path("out")),
        plan=plan,
        costs={f"variants/{name}": 1.0 for name in "abcdef"},
        variants=2,
        room=Room(jobs=2, threads=1),
        seconds=125.0,
    )
    assert begun_lines(begun) == [
        "run out",
        "cannot be: size 9: it does not fit",
        "2 variants, 6 trainings, 2 at a time with 1 thread each, about 2 min 05 s at most",
    ]
    task = Task(name="variants/a/0", out=Path("out"), settings=None)
    ended = Ended(task=task, status="failed", reason="it broke")
    names = called(plan)
    failed = "size 9, seed 0  failed: it broke"
    assert ended_line(ended, 1, 6, None, names) == f"1/6  {failed}"
    assert ended_line(ended, 3, 6, 62.0, names) == f"3/6  {failed}, about 1 min 02 s left"
    assert ended_line(ended, 5, 6, 0.4, names) == f"5/6  {failed}"
    assert ended_line(ended, 6, 6, 9.0, names) == f"6/6  {failed}"
