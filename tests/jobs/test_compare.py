"""Comparing real little runs: the figures re-counted, and everything that cannot be compared."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.report.conftest import DIGIT_NAMES, Task, write_run

from convoscope.arrays import generator
from convoscope.errors import ConvoscopeError, DataError, RunError, SettingsError
from convoscope.jobs.compare import LUCK, compare
from convoscope.metrics.comparison import holm
from convoscope.metrics.predictions import Predictions
from convoscope.runs import Run

Change = Callable[[Predictions], Predictions]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, Run]:
    """A linear classifier after 12 epochs, after 1, and the first with a noisy memory."""
    folder = tmp_path_factory.mktemp("runs")
    heads = {"class": (DIGIT_NAMES, lambda values: values)}
    long = write_run(folder / "long", Task(heads=heads))
    short = write_run(folder / "short", Task(heads=heads, epochs=1))
    noisy = copied(long, folder / "noisy", noise)
    return long, short, noisy


def noise(said: Predictions) -> Predictions:
    head = said.heads["class"]
    rng = generator(1, "noise", said.split)
    louder = head.logits + rng.normal(0, 1.5, head.logits.shape)
    return replace(said, heads={"class": replace(head, logits=louder)})


def copied(run: Run, path: Path, change: Change) -> Run:
    """The same run elsewhere, its test predictions changed."""
    shutil.copytree(run.path, path)
    other = Run(path)
    other.write_predictions(change(run.predictions("test")))
    return other


def right(run: Run) -> dict[str, bool]:
    said = run.predictions("test")
    head = said.heads["class"]
    return dict(zip(said.ids, (head.predicted() == head.labels).tolist(), strict=True))


def test_each_pair_is_counted_one_image_at_a_time(runs: tuple[Run, Run, Run]) -> None:
    found = compare(runs)
    assert [entry.letter for entry in found.entries] == ["A", "B", "C"]
    assert found.images == 300
    by_letter = dict(zip("ABC", map(right, runs), strict=True))
    assert len(found.verdicts) == 3
    for verdict, (one, other) in zip(found.verdicts, itertools.combinations("ABC", 2), strict=True):
        assert (verdict.first, verdict.second, verdict.head) == (one, other, "class")
        pairs = [(by_letter[one][name], by_letter[other][name]) for name in by_letter[one]]
        assert verdict.both_right == pairs.count((True, True))
        assert verdict.test.only_first == len(verdict.only_first) == pairs.count((True, False))
        assert verdict.test.only_second == len(verdict.only_second) == pairs.count((False, True))
        assert verdict.both_wrong == pairs.count((False, False))
        first, second = verdict.test.only_first, verdict.test.only_second
        assert verdict.test.p_value == pytest.approx(
            stats.binomtest(first, first + second).pvalue if first + second else 1.0
        )
        gain = (second - first) / 300
        assert verdict.difference.value == pytest.approx(gain)
    adjusted = holm([verdict.test.p_value for verdict in found.verdicts])
    assert tuple(verdict.p_adjusted for verdict in found.verdicts) == pytest.approx(adjusted)
    for verdict in found.verdicts:
        assert verdict.is_more_than_noise == (verdict.p_adjusted < 0.05)


def test_the_images_come_with_what_each_run_said_the_surest_mistake_first(
    runs: tuple[Run, Run, Run],
) -> None:
    (verdict,) = compare([runs[0], runs[2]]).verdicts
    assert verdict.only_first, "the noise must have spoilt something"
    long, noisy = runs[0].predictions("test"), runs[2].predictions("test")
    sure = [image.second_probability for image in verdict.only_first]
    assert sure == sorted(sure, reverse=True)
    for image in verdict.only_first:
        row = long.ids.index(image.id)
        assert image.true == DIGIT_NAMES[long.heads["class"].labels[row]] == image.first_said
        probabilities = noisy.heads["class"].probabilities()[row]
        assert image.second_said == DIGIT_NAMES[int(probabilities.argmax())] != image.true
        assert image.second_probability == pytest.approx(probabilities.max())


def test_the_sentence_names_who_is_ahead_and_whether_it_is_noise(
    runs: tuple[Run, Run, Run],
) -> None:
    (verdict,) = compare(runs[1:]).verdicts
    more = verdict.test.only_first > verdict.test.only_second
    better, worse = ("short", "noisy") if more else ("noisy", "short")
    assert verdict.sentence.startswith(f"{better} is ")
    assert worse in verdict.sentence
    says_noise = "may well be noise" in verdict.sentence
    assert says_noise != verdict.is_more_than_noise
    (clear,) = compare([runs[0], runs[2]]).verdicts
    assert clear.is_more_than_noise
    assert clear.sentence.startswith("long is right more often than noisy, by ")
    assert "and that is more than noise: of the " in clear.sentence


def test_the_same_answers_cannot_be_told_apart(runs: tuple[Run, Run, Run], tmp_path: Path) -> None:
    twin = copied(runs[0], tmp_path / "twin", lambda said: said)
    (verdict,) = compare([runs[0], twin]).verdicts
    assert verdict.sentence == (
        "long and twin have the very same pictures right: nothing tells them apart."
    )
    assert verdict.test.p_value == 1.0
    assert not verdict.is_more_than_noise


def test_the_order_of_the_images_does_not_matter(
    runs: tuple[Run, Run, Run], tmp_path: Path
) -> None:
    def turned(said: Predictions) -> Predictions:
        head = said.heads["class"]
        back = replace(head, labels=head.labels[::-1], logits=head.logits[::-1])
        return replace(said, ids=said.ids[::-1], heads={"class": back})

    noisy = copied(runs[2], tmp_path / "noisy", turned)
    assert compare([runs[0], noisy]).verdicts == compare([runs[0], runs[2]]).verdicts


def test_settings_that_differ_and_what_must_be_said(
    runs: tuple[Run, Run, Run], tmp_path: Path
) -> None:
    found = compare(runs)
    assert found.settings == {"epochs": ("12", "1", "12")}
    assert found.notes[-1] == LUCK
    assert any("compared by name and label alone" in note for note in found.notes)
    other = copied(runs[0], tmp_path / "other", noise)
    other.update_record(status="interrupted")
    notes = compare([runs[0], other]).notes
    assert "other is not finished (interrupted): its figures may still change." in notes


def test_folders_of_one_name_are_called_by_their_paths(
    runs: tuple[Run, Run, Run], tmp_path: Path
) -> None:
    again = copied(runs[0], tmp_path / "long", noise)
    names = [entry.name for entry in compare([runs[0], again]).entries]
    assert names == [str(runs[0].path), str(again.path)]


def test_several_heads_are_judged_together_and_each(tmp_path: Path) -> None:
    heads = {
        "size": (("small", "large"), lambda values: values // 5),
        "parity": (("even", "odd"), lambda values: values % 2),
    }
    long = write_run(tmp_path / "long", Task(heads=heads, epochs=10))
    short = write_run(tmp_path / "short", Task(heads=heads, epochs=1))
    found = compare([long, short])
    assert [verdict.head for verdict in found.verdicts] == [None, "size", "parity"]
    whole = found.verdicts[0]
    assert (whole.only_first, whole.only_second) == ((), ())
    for letter, run in zip("AB", (long, short), strict=True):
        said = run.predictions("test")
        every = np.logical_and.reduce(
            [head.predicted() == head.labels for head in said.heads.values()]
        )
        alone = whole.test.only_first if letter == "A" else whole.test.only_second
        assert whole.both_right + alone == every.sum()
    assert "(size)" in found.verdicts[1].claim


def test_json_has_the_documented_keys_and_no_surprises(runs: tuple[Run, Run, Run]) -> None:
    content = json.loads(json.dumps(compare(runs).to_json()))
    assert set(content) == {"split", "images", "level", "runs", "pairs", "settings", "notes"}
    first = content["runs"][0]
    assert first["accuracy"]["value"] == sum(right(runs[0]).values()) / 300
    assert first["heads"]["class"]["accuracy"] == first["accuracy"]
    pair = content["pairs"][0]
    assert pair["only_first_right"] == len(pair["images_only_first_right"])
    counted = ("both_right", "only_first_right", "only_second_right", "both_wrong")
    assert sum(pair[key] for key in counted) == pair["images"] == 300


# -- what cannot be compared ----------------------------------------------------------------------


def fewer(said: Predictions) -> Predictions:
    head = said.heads["class"]
    kept = replace(head, labels=head.labels[1:], logits=head.logits[1:])
    return replace(said, ids=said.ids[1:], heads={"class": kept})


def renamed(said: Predictions) -> Predictions:
    head = said.heads["class"]
    names = (*DIGIT_NAMES[:-1], "nine")
    return replace(said, heads={"class": replace(head, class_names=names)})


def reordered(said: Predictions) -> Predictions:
    head = said.heads["class"]
    return replace(said, heads={"class": replace(head, class_names=DIGIT_NAMES[::-1])})


def relabelled(said: Predictions) -> Predictions:
    head = said.heads["class"]
    labels = head.labels.copy()
    labels[:2] = (labels[:2] + 1) % 10
    return replace(said, heads={"class": replace(head, labels=labels)})


def another_head(said: Predictions) -> Predictions:
    return replace(said, heads={"digit": said.heads["class"]})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            fewer,
            "runs can be compared on the same test images only, theirs, 300 and 299, have 299 in "
            "common: train one with --split and the split.csv of the other",
        ),
        (renamed, "on the same classes only, 2 names are not in both, such as '9': train both"),
        (reordered, "on the same classes only, theirs are in another order: train both"),
        (relabelled, "on the same labels only, 2 of 300 differ: test both again"),
        (another_head, "on a head that both have, they have class and digit: compare others"),
    ],
)
def test_different_test_sets_are_refused_in_a_sentence(
    runs: tuple[Run, Run, Run], tmp_path: Path, change: Change, sentence: str
) -> None:
    other = copied(runs[0], tmp_path / "other", change)
    with pytest.raises(DataError) as error:
        compare([runs[0], other])
    assert sentence in str(error.value)
    assert str(error.value).startswith(f"{runs[0].path} and {other.path}: ")
    assert "\n" not in str(error.value)


def test_the_same_names_with_other_bytes_are_refused(
    runs: tuple[Run, Run, Run], tmp_path: Path
) -> None:
    ids = runs[0].predictions("test").ids
    made = [copied(runs[0], tmp_path / name, lambda said: said) for name in ("a", "b")]
    for run, last in zip(made, ("ff", "ee"), strict=True):
        hashes = dict.fromkeys(ids, "00") | {ids[7]: last}
        lines = [f"{name},1,test,{value}" for name, value in hashes.items()]
        run.split_file.write_text("\n".join(["file,class,split,sha256", *lines]))
    with pytest.raises(DataError) as error:
        compare(made)
    assert f"1 of 300 have the same name but other bytes, such as {ids[7]}: train" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("names", "kind", "sentence"),
    [
        ((), SettingsError, "a comparison needs at least two runs, got 0: name another one"),
        (("long",), SettingsError, "a comparison needs at least two runs, got 1"),
        (
            ("long", "short", "short/../long"),
            SettingsError,
            "this one is named twice: name each run once",
        ),
        (("long", "nowhere"), RunError, "nowhere: there is no such run folder"),
    ],
)
def test_what_is_no_comparison(
    runs: tuple[Run, Run, Run], names: tuple[str, ...], kind: type[ConvoscopeError], sentence: str
) -> None:
    with pytest.raises(kind, match=r"^[^\n]+$") as error:
        compare([runs[0].path.parent / name for name in names])
    assert sentence in str(error.value)


def test_too_many_runs_and_a_split_that_was_never_predicted(runs: tuple[Run, Run, Run]) -> None:
    with pytest.raises(SettingsError, match="at most 26 runs, got 27: leave some out"):
        compare([runs[0]] * 27)
    with pytest.raises(RunError) as error:
        compare(runs, split="holdout")
    assert str(error.value) == (
        f"{runs[0].path}: a comparison on 'holdout' needs saved predictions for it, this run has "
        "train, validation, test: choose another --split, or make them with  "
        f"convoscope evaluate {runs[0].path}"
    )


def test_a_run_that_has_lost_its_architecture_is_refused_in_a_sentence(
    runs: tuple[Run, Run, Run], tmp_path: Path
) -> None:
    lost = copied(runs[0], tmp_path / "lost", noise)
    lost.architecture_file.unlink()
    with pytest.raises(RunError) as error:
        compare([runs[1], lost])
    assert str(error.value) == (
        f"{lost.path}: model/architecture.yaml is missing from a run that was finished with it: "
        "put it back, or train again with --out elsewhere"
    )


def test_a_run_of_several_seeds_has_no_test_predictions_of_its_own(
    runs: tuple[Run, Run, Run], tmp_path: Path
) -> None:
    several = Run(tmp_path / "several")
    several.write_record(replace(runs[0].record(), kind="seeds", parts=("seeds/0", "seeds/1")))
    with pytest.raises(RunError) as error:
        compare([runs[0], several])
    assert str(error.value) == (
        f"{several.path}: a comparison on 'test' needs saved predictions for it, this run has "
        "none: choose another --split, or name one of its 2 trainings, such as "
        f"{several.path / 'seeds/0'}"
    )


def test_a_split_without_labels_cannot_be_compared(
    runs: tuple[Run, Run, Run], tmp_path: Path
) -> None:
    def unlabelled(said: Predictions) -> Predictions:
        head = said.heads["class"]
        return replace(said, heads={"class": replace(head, labels=np.full_like(head.labels, -1))})

    made = [copied(runs[0], tmp_path / name, unlabelled) for name in ("a", "b")]
    with pytest.raises(DataError, match="needs images whose label is known, found none"):
        compare(made)
