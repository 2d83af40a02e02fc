"""Variations, really trained: in processes of their own, on the NumPy engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import draw_folder
from tests.networks import TINY

from convoscope.errors import ConvoscopeError, RunError, SettingsError
from convoscope.jobs.side_by_side import Ended, News
from convoscope.jobs.vary import resume, vary
from convoscope.jobs.vary_compare import compare
from convoscope.jobs.vary_space import Factor, Level, Space, from_sets
from convoscope.jobs.vary_trainings import Begun, Watching
from convoscope.runs import Run, open_run
from convoscope.runs.variations import read_plan

Vary = Callable[..., Run]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny network and three shapes."""
    folder = tmp_path_factory.mktemp("vary")
    (folder / "tiny.yaml").write_text(TINY)
    draw_folder(folder / "shapes", splits={"train": 8, "val": 4, "test": 4})
    return folder


@pytest.fixture(scope="module")
def tiny(place: Path) -> Vary:
    """``vary`` of the tiny network, on the NumPy engine, two at a time."""

    def run(out: str, sets: list[str] | Space, **settings: Any) -> Run:
        asked: dict[str, Any] = {"epochs": 2, "batch": 8, "engine": "numpy", "seeds": 2, "jobs": 2}
        space = from_sets(sets) if isinstance(sets, list) else sets
        model = place / "tiny.yaml"
        data = place / "shapes"
        return vary(space, data, model=model, out=place / out, **{**asked, **settings})

    return run


@pytest.fixture(scope="module")
def sized(tiny: Vary) -> Run:
    """Two kernel sizes that can be and one that cannot, with two seeds."""
    return tiny("sized", ["layers.conv.kernel_size=3,5,17"])


def weights(run: Run, name: str) -> bytes:
    return (run.path / "variants" / name / "model" / "weights.safetensors").read_bytes()


def test_every_variant_has_a_run_per_seed_on_one_split(sized: Run) -> None:
    record = sized.record()
    assert (record.kind, record.status) == ("variations", "finished")
    assert record.parts == (
        *("variants/as-it-is/0", "variants/conv-kernel_size-5/0"),
        *("variants/as-it-is/1", "variants/conv-kernel_size-5/1"),
    )
    for name in record.parts:
        part = open_run(sized.path / name)
        assert part.record().status == "finished"
        assert part.split_file.read_text() == sized.split_file.read_text()
        assert part.record().machine["peak_memory_bytes"] > 10_000_000
    assert "kernel_size: 5" in (sized.path / "models" / "conv-kernel_size-5.yaml").read_text()


def test_what_cannot_be_is_refused_by_arithmetic_with_its_sentence(sized: Run) -> None:
    (refused,) = compare(sized).refused
    assert refused.label == "conv kernel_size 17"
    assert refused.refusal is not None
    assert "a 17x17 kernel with padding 0 does not fit in a map of 16x16" in refused.refusal


def test_the_comparison_adds_up(sized: Run) -> None:
    found = compare(sized)
    content = json.loads(json.dumps(found.to_json()))
    assert [variant["variant"] for variant in content["variants"]] == [
        "as-it-is",
        "conv-kernel_size-5",
    ]
    assert found.images == 12
    for one in found.trained:
        shares = [
            (p.heads["class"].predicted() == p.heads["class"].labels).mean()
            for path in one.runs
            for p in [open_run(path).predictions("validation")]
        ]
        assert one.validation.value == pytest.approx(sum(shares) / 2)
        assert one.gap == pytest.approx(one.validation_loss - one.train_loss)
        assert len(one.curves["train_loss"]) == 2
    assert [tested.number for tested in found.tested] == [found.chosen]
    best = max(one.validation.value or 0 for one in found.trained)
    assert found.numbered(found.chosen).validation.value == best
    assert len(compare(sized, shows_all_tests=True).tested) == 2


def test_a_variant_is_the_training_that_train_would_make(sized: Run, place: Path) -> None:
    import convoscope

    alone = convoscope.train(
        place / "shapes",
        model=sized.path / "models" / "conv-kernel_size-5.yaml",
        out=place / "alone",
        epochs=2,
        batch=8,
        engine="numpy",
        seed=1,
        split=str(sized.split_file),
    )
    theirs = (alone.path / "model" / "weights.safetensors").read_bytes()
    assert weights(sized, "conv-kernel_size-5/1") == theirs


@pytest.mark.slow
def test_stopped_variations_go_on_to_the_same_bytes(tiny: Vary, sized: Run, place: Path) -> None:
    ended: list[News] = []

    def stop() -> bool:
        return any(isinstance(news, Ended) for news in ended)

    run = tiny(
        "stopped",
        ["layers.conv.kernel_size=3,5"],
        jobs=1,
        watching=Watching(news=ended.append, should_stop=stop),
    )
    assert run.record().status == "interrupted"
    begun: list[Begun] = []
    again = resume(run.path, Watching(begun=begun.append), jobs=2)
    assert again.record().status == "finished"
    assert len(begun[0].costs) < 4
    for name in ("as-it-is/0", "as-it-is/1", "conv-kernel_size-5/0", "conv-kernel_size-5/1"):
        assert weights(again, name) == weights(sized, name)
    with pytest.raises(RunError, match="only unfinished variations can go on, all of these are"):
        resume(again.path)


def test_a_training_that_breaks_is_recorded_and_the_rest_goes_on(tiny: Vary) -> None:
    run = tiny("broken", ["learning_rate=0.001,1e30", "optimiser=sgd"], seeds=1, epochs=1)
    assert run.record().status == "finished"
    found = compare(run)
    assert [one.variant.label for one in found.trained] == ["learning_rate 0.001"]
    (note,) = [note for note in found.notes if "learning_rate 1e+30" in note]
    assert "no longer" in note or "finite" in note
    assert any("trained with one seed" in note for note in found.notes)


def test_a_process_that_is_killed_is_a_failure_with_a_sentence(
    tiny: Vary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # no Python can start
    ended: list[News] = []
    run = tiny("killed", ["epochs=1,2"], seeds=1, watching=Watching(news=ended.append))
    assert run.record().status == "finished"
    with pytest.raises(RunError, match="needs finished trainings, none of 2 variants has one"):
        compare(run)
    reasons = [news.reason for news in ended if isinstance(news, Ended)]
    assert len(reasons) == 2
    assert all(reason and "its process ended" in reason for reason in reasons)


@pytest.mark.slow
def test_options_of_a_network_and_augmentations_can_be_varied(place: Path) -> None:
    space = from_sets(["model.options.blocks=1,2", "augment=none,flip", "model.options.filters=2"])
    run = vary(
        space, place / "shapes", model="flexible", input="16", epochs=1, batch=8, engine="numpy",
        seeds=1, jobs=2, out=place / "flexible",
    )  # fmt: skip
    found = compare(run)
    assert len(found.trained) == 4
    assert found.is_grid
    one = open_run(found.trained[3].runs[0]).record().settings
    assert (one["set"], one["augment"]) == ({"filters": 2, "blocks": 2}, "flip")


def test_networks_are_varied_and_the_first_is_what_others_are_compared_with(place: Path) -> None:
    other = place / "wider.yaml"
    other.write_text(TINY.replace("filters: 4", "filters: 6"))
    models = [str(place / "tiny.yaml"), str(other)]
    asked: dict[str, Any] = {"epochs": 1, "batch": 8, "engine": "numpy", "seeds": 1, "jobs": 2}
    run = vary({"model": models}, place / "shapes", out=place / "models", **asked)
    found = compare(run)
    assert [one.parameters for one in found.trained] == [127, 189]
    (contrast,) = found.contrasts
    assert contrast.sentence.startswith("model")


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["layers.conv9.kernel_size=3,5"], "there is no layer 'conv9': did you mean 'conv'"),
        (["layers.conv.size=3,5"], "there is no field of a conv2d layer 'size'"),
        (["training.scheduel=none,step"], "there is no address 'training.scheduel'"),
        (["seed=1,2"], "with the same seeds, got 'seed' to vary: --seeds repeats each variant"),
        (["validation=0.1,0.2"], "compared on one split of one data set"),
        (["layers.conv.kernel_size=3"], "there must be something to vary"),
        (["layers.conv.kernel_size=17,19"], "at least one variant must be possible, none of 2 is"),
        (["model=tiny,tinyy"], "at least one variant must be possible|there is no model"),
    ],
)
def test_what_cannot_be_varied_is_said(tiny: Vary, sets: list[str], says: str) -> None:
    with pytest.raises(ConvoscopeError, match=says):
        tiny("never", sets)


def test_two_variants_that_are_the_same_are_said(tiny: Vary) -> None:
    levels = (
        Level(name="as it is"),
        Level(name="long", changes={"epochs": 5}),
        Level(name="longer", changes={"epochs": 5}),
    )
    space = Space(factors=(Factor(name="length", levels=levels),))
    with pytest.raises(SettingsError, match="'length longer' and 'length long' are the same"):
        tiny("never", space)


def test_variants_need_validation_images_seeds_and_a_number_of_jobs(
    tiny: Vary, place: Path
) -> None:
    with pytest.raises(SettingsError, match="seeds must be at least 1, got 0"):
        tiny("never", ["epochs=1,2"], seeds=0)
    with pytest.raises(SettingsError, match="--jobs: must be auto or a number of trainings at a"):
        tiny("never", ["epochs=1,2"], jobs="many")
    bare = draw_folder(place / "bare", splits={"train": 8, "test": 4})
    space = from_sets(["epochs=1,2"])
    with pytest.raises(SettingsError, match="on validation images, this split has none"):
        vary(space, bare, model=place / "tiny.yaml", validation=0, engine="numpy")


def test_other_runs_are_not_gone_on_with(sized: Run) -> None:
    with pytest.raises(RunError, match="vary --resume goes on with variations, this run is one of"):
        resume(sized.path / "variants" / "as-it-is" / "0")


def test_the_plan_is_read_back_and_a_broken_one_is_said(sized: Run, tmp_path: Path) -> None:
    plan = read_plan(sized)
    assert plan.seeds == (0, 1)
    assert plan.factors == {"conv kernel_size": ("3", "5", "17")}
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "variations.json").write_text('{"factors": 3}')
    with pytest.raises(RunError, match="must say what was varied, reading it gave"):
        read_plan(Run(tmp_path))
