from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.transfer.conftest import files_up_to

from convoscope.arrays import FloatArray, generator
from convoscope.errors import StorageError
from convoscope.transfer.kept_maps import KeptMaps, Kind, NotExactEnoughError, rounding_error


def kept(folder: Path, kind: Kind = "float32", images: int = 10) -> KeptMaps:
    return KeptMaps(folder=folder / "entry", images=images, shape=(2, 3), block=4, kind=kind)


def values(seed: int, images: int = 4) -> FloatArray:
    return generator(seed, "values").normal(0, 1, (images, 2, 3)).astype(np.float32)


def test_blocks_come_in_any_order_and_stay_where_they_belong(tmp_path: Path) -> None:
    maps = kept(tmp_path)
    maps.prepare()
    assert maps.missing(range(3)) == [0, 1, 2]
    maps.write(2, values(2, images=2))
    maps.write(0, values(0))
    assert maps.missing(range(3)) == [1]
    np.testing.assert_array_equal(maps.maps()[8:], values(2, images=2))
    np.testing.assert_array_equal(maps.maps()[:4], values(0))
    assert not maps.maps()[4:8].any()
    assert maps.maps().flags.writeable is False


def test_what_is_there_stays_when_it_is_opened_again(tmp_path: Path) -> None:
    kept(tmp_path).prepare()
    kept(tmp_path).write(1, values(1))
    again = kept(tmp_path)
    again.prepare()
    assert again.missing(range(3)) == [0, 2]
    np.testing.assert_array_equal(again.maps()[4:8], values(1))


def test_how_long_the_blocks_took_is_kept_and_added_up(tmp_path: Path) -> None:
    maps = kept(tmp_path)
    maps.prepare()
    assert maps.seconds() == 0
    maps.write(0, values(0), 1.5)
    maps.write(2, values(2, images=2), 0.25)
    assert kept(tmp_path).seconds() == 1.75
    maps.write(1, values(1))
    assert math.isnan(maps.seconds())


def test_a_folder_from_before_seconds_were_kept_does_not_say_them(tmp_path: Path) -> None:
    maps = kept(tmp_path)
    maps.prepare()
    maps.write(0, values(0), 1.5)
    (maps.folder / "seconds.bin").unlink()
    maps.prepare()
    maps.write(1, values(1), 1.5)
    assert math.isnan(maps.seconds())
    assert maps.missing(range(3)) == [2]


def test_a_folder_with_a_file_cut_short_is_begun_again(tmp_path: Path) -> None:
    maps = kept(tmp_path)
    maps.prepare()
    maps.write(0, values(0))
    with (maps.folder / "maps.bin").open("r+b") as stream:
        stream.truncate(7)
    maps.prepare()
    assert maps.missing(range(3)) == [0, 1, 2]


def test_a_block_whose_journal_was_not_written_is_missing(tmp_path: Path) -> None:
    """As a process leaves it that is killed between the two."""
    maps = kept(tmp_path)
    maps.prepare()
    journal = (maps.folder / "journal.bin").read_bytes()
    maps.write(0, values(0))
    (maps.folder / "journal.bin").write_bytes(journal)
    assert maps.missing(range(3)) == [0, 1, 2]


def test_float16_is_measured(tmp_path: Path) -> None:
    maps = kept(tmp_path, "float16")
    maps.prepare()
    maps.write(0, values(0))
    halves = values(0).astype(np.float16)
    np.testing.assert_array_equal(maps.maps()[:4], halves)
    error = np.linalg.norm(values(0) - halves) / np.linalg.norm(values(0))
    assert maps.rounding() == pytest.approx(error, rel=1e-4)
    assert 0 < maps.rounding() < 2**-11
    exact = kept(tmp_path / "exact")
    exact.prepare()
    exact.write(0, values(0))
    assert exact.rounding() == 0


@pytest.mark.parametrize("factor", [1e6, 1e-8])
def test_values_that_float16_cannot_hold_are_refused_from_then_on(
    tmp_path: Path, factor: float
) -> None:
    maps = kept(tmp_path, "float16")
    maps.prepare()
    with pytest.raises(NotExactEnoughError):
        maps.write(0, values(0) * np.float32(factor))
    with pytest.raises(NotExactEnoughError):
        kept(tmp_path, "float16").prepare()


def test_zeros_round_to_themselves() -> None:
    assert rounding_error(np.zeros(3, np.float32), np.zeros(3, np.float16)) == 0


def test_a_full_disk_is_one_sentence_and_what_was_written_is_kept(tmp_path: Path) -> None:
    maps = kept(tmp_path, images=4000)
    maps.prepare()
    maps.write(0, values(0))
    with files_up_to(20_000), pytest.raises(StorageError, match="needs more room than the disk"):
        maps.write(900, values(1))
    assert maps.missing([0, 900]) == [900]
    maps.write(900, values(1))
    np.testing.assert_array_equal(maps.maps()[3600:3604], values(1))
