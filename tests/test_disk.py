from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from convoscope import disk
from convoscope.errors import StorageError


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    disk.write_text(file, "old")
    disk.write_text(file, "ü")
    assert file.read_text(encoding="utf-8") == "ü"
    assert [p.name for p in file.parent.iterdir()] == ["a.txt"]


def test_a_failure_halfway_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    disk.write_bytes(file, b"old")

    def fill(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        disk.write(file, fill)
    assert file.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_full_disk_is_one_sentence() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full to fill")
    with (
        pytest.raises(StorageError, match=r"/dev/full: writing needs more room .* free some space"),
        disk.storing(full),
        full.open("wb", buffering=0) as stream,
    ):
        stream.write(b"x" * 4096)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="the folder must be writable"):
            disk.write_text(tmp_path / "a", "x")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_in_the_place_of_the_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="this is a folder: add a file's name"):
        disk.write_text(tmp_path, "x")
    assert list(tmp_path.parent.glob(".*.part")) == []


def test_other_system_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), disk.storing(tmp_path):
        tmp_path.open("wb")


def test_permission_errors_become_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"the system said .*choose another folder"),
        disk.storing(tmp_path),
    ):
        raise OSError(errno.EROFS, "Read-only file system")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"the system said 'No such file .*choose another folder"),
        disk.storing(tmp_path),
    ):
        raise OSError(errno.ENOENT, "No such file or directory")


def test_only_one_at_a_time_is_alone_and_nothing_is_left(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with disk.alone(tmp_path / "a"):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.0001)
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert list(tmp_path.iterdir()) == []


def test_a_filled_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "set"
    with pytest.raises(RuntimeError, match="killed"), disk.filling(folder) as part:
        (part / "half").write_text("x")
        raise RuntimeError("killed")
    assert list(folder.parent.iterdir()) == []
    with disk.filling(folder) as part:
        (part / "a").write_text("x")
        assert not folder.exists()
    assert [path.name for path in folder.parent.iterdir()] == ["set"]
    assert (folder / "a").read_text() == "x"


def test_whoever_fills_a_folder_first_wins_and_half_a_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "set"

    def is_whole(it: Path) -> bool:
        return (it / "record").exists()

    for content in ("first", "second"):
        with disk.filling(folder, is_whole=is_whole) as part:
            (part / "record").write_text(content)
    assert (folder / "record").read_text() == "first"
    (folder / "record").unlink()
    with disk.filling(folder, is_whole=is_whole) as part:
        (part / "record").write_text("third")
    assert (folder / "record").read_text() == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_parts_of_the_day_before_are_taken_away(tmp_path: Path) -> None:
    for name, age in (("old.part", 100_000), ("new.part", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, times=(time.time() - age,) * 2)
    disk.remove_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new.part"]
