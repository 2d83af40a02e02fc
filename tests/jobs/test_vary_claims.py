"""What each change is worth, in numbers and sentences."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope.arrays import FloatArray, generator
from convoscope.jobs.vary_claims import Answers, contrasts, told_apart
from convoscope.runs.variations import Plan, PlannedVariant


def answers(share: float, loss: float, *, seed: int, seeds: int = 3, images: int = 400) -> Answers:
    """Networks that are right so often, each image with a difficulty that all share."""
    difficulty = generator(0, "difficulty").random(images)
    noise = generator(seed, "noise").normal(0, 0.02, (seeds, images))
    right: FloatArray = (difficulty + noise < share).astype(np.float64)
    losses = loss + 0.1 * difficulty + noise
    return Answers(
        seeds=tuple(range(seeds)),
        right=right,
        losses=losses,
        train_right=right,
        train_losses=losses,
    )


def plan(**factors: tuple[str, ...]) -> Plan:
    """The whole grid of those factors."""
    levels: list[dict[str, str]] = [{}]
    for name, words in factors.items():
        levels = [{**one, name: word} for one in levels for word in words]
    planned = [
        PlannedVariant(name="-".join(one.values()), levels=one, changes={}) for one in levels
    ]
    return Plan(factors=factors, variants=tuple(planned), seeds=(0, 1, 2), threads=1)


def test_a_large_difference_is_claimed_and_a_small_one_is_not() -> None:
    asked = plan(size=("3", "5", "7"))
    found = {
        "3": answers(0.9, 0.3, seed=1),
        "5": answers(0.7, 0.5, seed=2),
        "7": answers(0.901, 0.3, seed=3),
    }
    worse, same = contrasts(asked, found)
    assert worse.is_more_than_noise
    assert not same.is_more_than_noise
    assert worse.claim == (
        "size 5 instead of 3: training loss higher, validation loss higher, "
        "validation accuracy lower"
    )
    assert "400 images, 3 seeds)" in worse.evidence
    assert same.claim == "size 7 instead of 3: no difference that is more than noise"
    assert "may be noise" in same.evidence
    assert worse.accuracy.value == pytest.approx(found["5"].right.mean() - found["3"].right.mean())


def test_a_change_that_changes_nothing_is_said_so() -> None:
    """Such as a rate that falls after more epochs than there are."""
    same = answers(0.9, 0.3, seed=1)
    (found,) = contrasts(plan(rate=("constant", "falling")), {"constant": same, "falling": same})
    assert found.claim == (
        "rate falling instead of constant: trained alike, to the last figure; within these epochs "
        "it changes nothing"
    )


def test_p_values_are_corrected_for_all_comparisons() -> None:
    asked = plan(size=("3", "5", "7"))
    found = {name: answers(0.9, 0.3, seed=k) for k, name in enumerate(("3", "5", "7"))}
    for contrast in contrasts(asked, found):
        assert contrast.p_adjusted >= contrast.accuracy.p_value


def test_of_many_changes_a_small_one_is_not_claimed_though_its_own_interval_excludes_0() -> None:
    """The same two variants, compared alone and beside many more."""
    few = {"0": answers(0.9, 0.3, seed=0), "1": answers(0.888, 0.3025, seed=1)}
    many = {**few, **{str(k): answers(0.9, 0.3, seed=k) for k in range(2, 40)}}
    (alone,) = contrasts(plan(size=("0", "1")), few)
    among = contrasts(plan(size=tuple(many)), many)[0]
    assert alone.is_more_than_noise
    assert "loss higher" in alone.claim
    assert not among.is_more_than_noise
    assert among.claim == "size 1 instead of 0: no difference that is more than noise"
    assert "; may be noise, all changes looked at together)" in among.evidence
    assert among.accuracy.interval.high < 0


def test_in_a_grid_a_level_is_compared_over_all_matched_pairs() -> None:
    asked = plan(size=("3", "5"), rate=("a", "b"))
    found = {
        "3-a": answers(0.8, 0.3, seed=1),
        "3-b": answers(0.7, 0.3, seed=2),
        "5-a": answers(0.9, 0.3, seed=3),
        "5-b": answers(0.8, 0.3, seed=4),
    }
    size, rate = contrasts(asked, found)
    assert (size.pairs, rate.pairs) == (2, 2)
    assert size.accuracy.value == pytest.approx(
        (
            found["5-a"].right.mean()
            + found["5-b"].right.mean()
            - found["3-a"].right.mean()
            - found["3-b"].right.mean()
        )
        / 2
    )
    assert "2 pairs of variants" in size.evidence


def test_a_variant_that_failed_leaves_its_pairs_out() -> None:
    asked = plan(size=("3", "5"), rate=("a", "b"))
    found = {name: answers(0.8, 0.3, seed=1) for name in ("3-a", "3-b", "5-a")}
    size, rate = contrasts(asked, found)
    assert (size.pairs, rate.pairs) == (1, 1)
    assert contrasts(asked, {"5-b": found["3-a"]}) == ()


def test_one_seed_makes_a_claim_about_these_networks_only() -> None:
    asked = plan(size=("3", "5"))
    found = {"3": answers(0.9, 0.3, seed=1, seeds=1), "5": answers(0.6, 0.5, seed=2, seeds=1)}
    (contrast,) = contrasts(asked, found)
    assert "over other images with these very networks, 400 images, 1 seed)" in contrast.evidence


def test_seeds_that_only_some_variants_have_are_left_out() -> None:
    whole, part = answers(0.9, 0.3, seed=1), answers(0.9, 0.3, seed=2, seeds=2)
    (contrast,) = contrasts(plan(size=("3", "5")), {"3": whole, "5": part})
    assert contrast.accuracy.seeds == 2


def test_only_those_far_from_the_chosen_one_are_told_apart() -> None:
    found = {
        "a": answers(0.9, 0.3, seed=1),
        "b": answers(0.899, 0.3, seed=2),
        "c": answers(0.6, 0.3, seed=3),
    }
    assert told_apart("a", found) == ("b",)
