from __future__ import annotations

import numpy as np

from convoscope.arrays import as_unit_float, generator


def test_the_same_seed_and_purpose_give_the_same_numbers() -> None:
    first, second = (generator(7, "augment", 3, 41).random(5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_every_part_of_the_purpose_counts() -> None:
    purposes = [(7, "a", 1), (7, "a", 2), (7, "b", 1), (8, "a", 1), (7, "a1")]
    draws = {generator(*purpose).integers(1 << 62) for purpose in purposes}  # type: ignore[arg-type]
    assert len(draws) == len(purposes)


def test_parts_of_a_purpose_do_not_run_together() -> None:
    assert generator(0, "ab", "c").random() != generator(0, "a", "bc").random()


def test_bytes_are_read_as_a_fraction_of_255_and_floats_pass() -> None:
    assert (
        as_unit_float(np.array([0, 51, 255], np.uint8)).tolist()
        == np.array([0, 0.2, 1], np.float32).tolist()
    )
    floats = np.array([0.25], np.float64)
    assert as_unit_float(floats) is floats
