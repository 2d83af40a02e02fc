from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.data.conftest import facts_of_small_images

from convoscope.arrays import Array
from convoscope.data import similar
from convoscope.data.facts import ImageFacts, perceptual_hash
from convoscope.data.similar import near_duplicates


def facts_of_smalls(smalls: Array, side: int = 64) -> ImageFacts:
    """Facts of pictures whose luminances at 32 x 32 are those."""
    names = [str(row) for row in range(len(smalls))]
    return replace(
        facts_of_small_images(names, names),
        width=np.full(len(smalls), side),
        height=np.full(len(smalls), side + 10),
        perceptual=np.array([perceptual_hash(small) for small in smalls]),
        small=smalls,
    )


def blots(count: int, rng: np.random.Generator) -> Array:
    """Smooth random pictures (count, 32, 32), no two alike."""
    coarse = rng.integers(0, 256, (count, 4, 4)).astype(np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def test_pairs_are_those_that_comparing_all_with_all_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(similar, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    smalls = blots(40, rng)
    noise = rng.normal(0, 12, (20, 32, 32))
    smalls[20:] = np.clip(smalls[rng.integers(0, 20, 20)] + noise, 0, 255)
    facts = facts_of_smalls(smalls)
    expected = []
    for a in range(40):
        for b in range(a + 1, 40):
            apart = (int(facts.perceptual[a]) ^ int(facts.perceptual[b])).bit_count()
            alike = np.corrcoef(smalls[a].ravel(), smalls[b].ravel())[0, 1]
            if apart <= similar.BITS_APART and alike >= similar.CORRELATION:
                expected.append((a, b, alike))
    found = near_duplicates(facts)
    assert len(expected) >= 15
    by_row = sorted(zip(*found.rows.T.tolist(), found.correlations.tolist(), strict=True))
    assert [pair[:2] for pair in by_row] == [pair[:2] for pair in expected]
    assert [pair[2] for pair in by_row] == pytest.approx([pair[2] for pair in expected])


def test_pictures_with_a_side_below_64_pixels_are_not_looked_at() -> None:
    smalls = np.repeat(blots(1, np.random.default_rng(0)), 2, axis=0)
    assert len(near_duplicates(facts_of_smalls(smalls, side=64)).rows) == 1
    assert len(near_duplicates(facts_of_smalls(smalls, side=63)).rows) == 0


def test_blank_pictures_are_not_alike() -> None:
    rng = np.random.default_rng(0)
    almost_blank = rng.integers(100, 102, (4, 32, 32)).astype(np.uint8)
    almost_blank[1] = almost_blank[0]
    assert len(near_duplicates(facts_of_smalls(almost_blank)).rows) == 0


def test_no_picture_has_no_pair() -> None:
    assert near_duplicates(facts_of_smalls(np.zeros((0, 32, 32), np.uint8))).rows.shape == (0, 2)
