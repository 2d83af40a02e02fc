"""Archives: what they hold is found, and what would harm is refused."""

from __future__ import annotations

import io
import os
import resource
import stat
import struct
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.conftest import MakeImageFolder

from convoscope.data.archive_members import Limits, archive_name, is_archive
from convoscope.data.archives import source_within, unpack
from convoscope.data.sources import open_dataset
from convoscope.errors import DataError, StorageError

KINDS = {".zip": "", ".tar": "w:", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2",
         ".txz": "w:xz"}  # fmt: skip
OLD = (1980, 1, 1, 0, 0, 0)


def pack(folder: Path, archive: Path, top: str = "") -> Path:
    """Everything in a folder as an archive of the kind that its suffix says."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [str(Path(top, path.relative_to(folder))) for path in files]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            for path, name in zip(files, names, strict=True):
                out.write(path, name)
    else:
        mode = next(mode for suffix, mode in KINDS.items() if archive.name.endswith(suffix))
        with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
            for path, name in zip(files, names, strict=True):
                tar.add(path, name)
    return archive


def make_zip(path: Path, *members: tuple[str, bytes] | tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def make_tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# -- what archives hold ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", sorted(KINDS))
@pytest.mark.parametrize("top", ["", "shapes", "a/b"])
def test_a_packed_folder_reads_as_the_folder(
    shapes_folder: Path, tmp_path: Path, suffix: str, top: str
) -> None:
    expected = open_dataset(shapes_folder)
    dataset = open_dataset(pack(shapes_folder, tmp_path / f"my.shapes{suffix}", top))
    assert dataset.name == "my.shapes"
    assert dataset.ids == expected.ids
    assert dataset.given_split == expected.given_split
    assert dataset.class_names == expected.class_names
    assert np.array_equal(dataset.labels["class"], expected.labels["class"])
    assert dataset.files is not None
    assert expected.files is not None
    assert [f.read_bytes() for f in dataset.files] == [f.read_bytes() for f in expected.files]


def test_a_packed_table_is_read_as_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    (folder / "images").mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        Image.new("L", (4, 4)).save(folder / "images" / f"{name}.png")
    (folder / "labels.csv").write_text("file,label\na.png,cat\nb.png,dog\nc.png,cat\nd.png,dog\n")
    dataset = open_dataset(pack(folder, tmp_path / "pets.zip", "pets"))
    assert dataset.name == "pets"
    assert dataset.ids == ("images/a.png", "images/b.png", "images/c.png", "images/d.png")
    assert dataset.class_names == {"class": ("cat", "dog")}


def test_a_packed_table_may_not_look_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("L", (4, 4)).save(secret)
    archive = make_zip(
        tmp_path / "x.zip", ("t.csv", f"path,label\na.png,1\n{secret},2\n".encode()),
        ("a.png", secret.read_bytes()),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"x\.zip: .*line 3: a table from an archive may only name"):
        open_dataset(archive)


def test_a_table_of_counts_beside_class_folders_is_not_the_source(
    make_image_folder: MakeImageFolder, tmp_path: Path
) -> None:
    folder = make_image_folder(tmp_path / "shapes", per_class=2)
    (folder / "counts.csv").write_text("class,count\nbars,2\npoles,2\n")
    assert len(open_dataset(pack(folder, tmp_path / "s.tar"))) == 6


def test_packed_arrays_and_idx_files_are_found(tmp_path: Path) -> None:
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    np.savez(arrays / "digits.npz", images=np.eye(4).reshape(1, 4, 4).repeat(2, 0), labels=[0, 1])
    dataset = open_dataset(pack(arrays, tmp_path / "d.zip", "top"))
    assert (dataset.name, dataset.ids) == ("d", ("d/00000", "d/00001"))
    idx = tmp_path / "idx"
    idx.mkdir()
    (idx / "test-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 2, 1, 1) + b"ab")
    (idx / "test-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 2) + b"\1\2")
    assert open_dataset(pack(idx, tmp_path / "i.tgz", "top")).ids == ("test/00000", "test/00001")


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    archive = make_zip(
        tmp_path / "x.zip", ("cats/1.png", b"1"), ("__MACOSX/cats/._1.png", b"2"),
        ("cats/.DS_Store", b"3"), ("cats/._1.png", b"4"), ("cats/Thumbs.db", b"5"),
        ("cats/Icon\r", b"6"),
    )  # fmt: skip
    assert files_in(unpack(archive)) == {"cats/1.png": b"1"}


def test_names_in_utf_8_that_do_not_say_so(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", ("käse/1.png", b"1"))
    content = bytearray(archive.read_bytes())
    for start, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(start) + flags + 1] &= ~8  # the flag for UTF-8 is bit 11
    archive.write_bytes(content)
    with zipfile.ZipFile(archive) as out:
        assert out.namelist() != ["käse/1.png"]
    assert files_in(unpack(archive)) == {"käse/1.png": b"1"}


def test_backslashes_are_slashes(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "x.tar", entry("cats\\1.png"))
    assert files_in(unpack(archive)) == {"cats/1.png": b""}


def test_a_split_or_a_lone_class_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "a" / "train" / "cat").mkdir(parents=True)
    assert source_within(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "b" / "cat").mkdir(parents=True)
    (tmp_path / "b" / "cat" / "1.png").touch()
    assert source_within(tmp_path / "b") == tmp_path / "b"


def test_names_of_archives() -> None:
    assert is_archive(Path("a.TAR.GZ"))
    assert not is_archive(Path("a.gz"))
    assert archive_name(Path("x/my.pets.tar.gz")) == "my.pets"
    assert archive_name(Path("pets.Zip")) == "pets"


# -- what is refused ------------------------------------------------------------------------------


def linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, OLD)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def fifo(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, OLD)
    info.external_attr = (stat.S_IFIFO | 0o666) << 16
    return info


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "../evil.png",
            r"member '\.\./evil\.png': .* below its own top only, but .* out by '\.\.'",
        ),
        ("a/../../evil.png", r"leads out by '\.\.': unpack it yourself if you trust it"),
        ("..\\evil.png", r"leads out by '\.\.'"),
        ("/etc/evil", "member '/etc/evil': .* relative paths only, but this one is absolute"),
        ("\\\\host\\evil", "relative paths only"),
        ("C:\\evil", "relative paths only"),
        ("c:evil", "relative paths only"),
        ("a\nb", "names of printable signs only"),
        ("x" * 300, "names of usual length only, but it has 300 signs"),
        ("x/" * 600 + "x", "names of usual length only, but it has 1201 signs"),
    ],
)
@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_names_that_lead_elsewhere_are_refused(
    tmp_path: Path, own_cache: Path, name: str, sentence: str, kind: str
) -> None:
    path = tmp_path / f"x{kind}"
    archive = (
        make_zip(path, ("ok.png", b""), (name, b"evil"))
        if kind == ".zip"
        else make_tar(path, entry("ok.png"), entry(name))
    )
    before = set(own_cache.rglob("*"))
    with pytest.raises(DataError, match=rf"x\{kind}: .*" + sentence):
        open_dataset(archive)
    assert set(own_cache.rglob("*")) <= before | {own_cache / "archives"}
    assert {path.name for path in tmp_path.iterdir()} == {archive.name}


@pytest.mark.parametrize(
    ("member", "found"),
    [
        (entry("l.png", tarfile.SYMTYPE, link="/etc/passwd"), "member 'l.png': .* this is a link"),
        (entry("l.png", tarfile.LNKTYPE, link="ok.png"), "plain files only, but this is a link"),
        (entry("p", tarfile.FIFOTYPE), "this is a device or pipe"),
        (entry("d", tarfile.CHRTYPE), "member 'd': .* this is a device or pipe"),
    ],
)
def test_tar_members_that_are_no_files_are_refused(
    tmp_path: Path, member: tarfile.TarInfo, found: str
) -> None:
    with pytest.raises(DataError, match=found):
        unpack(make_tar(tmp_path / "x.tar", entry("ok.png"), member))


@pytest.mark.parametrize(
    ("member", "found"),
    [(linked("l.png"), "member 'l.png': .* this is a link"), (fifo("p"), "device or pipe")],
)
def test_zip_members_that_are_no_files_are_refused(
    tmp_path: Path, member: zipfile.ZipInfo, found: str
) -> None:
    with pytest.raises(DataError, match=found):
        unpack(make_zip(tmp_path / "x.zip", ("ok.png", b""), (member, b"/etc/passwd")))


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", ("abc", b"1"))
    archive.write_bytes(archive.read_bytes().replace(b"abc", b"\0bc"))
    with pytest.raises(DataError, match="members with a name only, but this one has none"):
        unpack(archive)


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", ("a.png", b"secret"))
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\3\4") + 6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"member 'a\.png': .*readable members .* is encrypted"):
        unpack(archive)


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_bombs_are_refused_before_they_are_unpacked(
    tmp_path: Path, own_cache: Path, kind: str
) -> None:
    zeros = bytes(1 << 22)
    path = tmp_path / f"x{kind}"
    if kind == ".zip":
        make_zip(path, ("ok.png", b""), ("bomb.png", zeros))
    else:
        make_tar(path, entry("bomb.png", size=len(zeros)), content=zeros)
    with pytest.raises(
        DataError, match=r"member 'bomb\.png': .*most 200 times as many bytes as it"
    ):
        unpack(path, limits=Limits(ratio_from=1 << 20))
    assert not list((own_cache / "archives").glob("*.part"))
    assert unpack(path).is_dir()  # four mebibytes of zeros are no bomb by the usual limits


def test_counts_and_totals_are_limited(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", ("a", b"12345"), ("b", b"67890"), ("c", b""))
    with pytest.raises(DataError, match=r"member 'c': .* at most 2 members, but this is one more"):
        unpack(archive, limits=Limits(members=2))
    with pytest.raises(DataError, match=r"member 'b': .* at most 9 bytes, but these are 10"):
        unpack(archive, limits=Limits(total_bytes=9))


def test_a_tar_header_cannot_fill_the_memory(tmp_path: Path) -> None:
    pax = entry("././@PaxHeader", tarfile.XHDTYPE, size=1 << 32)
    (tmp_path / "x.tar").write_bytes(pax.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(DataError, match=r"cannot be read \(.*a header claims to have 4294967296 b"):
        unpack(tmp_path / "x.tar")


@pytest.mark.parametrize(
    "names", [("a.png", "a.png"), ("a", "a/b.png"), ("a/b.png", "a"), ("a/x.png", "./a//x.png")]
)
def test_two_members_with_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    archive = make_tar(tmp_path / "x.tar", *map(entry, names))
    with pytest.raises(DataError, match=r"must have a name of its own, but another one is there"):
        unpack(archive)


@pytest.mark.parametrize("suffix", sorted(KINDS))
@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100])
def test_what_is_no_archive_is_one_sentence(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"must be whole and of the kind that its name says, but it"
    ):
        open_dataset(path)


def test_an_archive_without_files_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold images, but there are no files in it"):
        unpack(make_tar(tmp_path / "x.tar", entry("a", tarfile.DIRTYPE)))


@pytest.mark.parametrize("suffix", sorted(KINDS))
def test_a_cut_archive_is_refused_and_leaves_nothing(
    shapes_folder: Path, tmp_path: Path, suffix: str
) -> None:
    path = pack(shapes_folder, tmp_path / f"x{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"x\.\w+.*must be whole"):
        unpack(path, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache" / "archives").iterdir()) == []


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", entry("a.png"), entry("b.png"))
    content = bytearray(path.read_bytes())
    content[512] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="after 512 bytes there is no member and no proper end"):
        unpack(path)
    path.write_bytes(content[:512])
    with pytest.raises(DataError, match="it breaks off after 512 bytes"):
        unpack(path)


@settings(max_examples=200, deadline=None)
@given(
    suffix=st.sampled_from([".zip", ".tar", ".tgz"]),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_archive_never_harms(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, damage: list[tuple[float, int]]
) -> None:
    """Whatever bytes are changed: it is unpacked below its folder, or refused in a sentence."""
    folder = tmp_path_factory.mktemp("damage")
    path = folder / f"x{suffix}"
    if suffix == ".zip":
        make_zip(path, ("a/1.png", b"abc" * 9), ("b/2.png", b"x"))
    else:
        make_tar(path, entry("a/1.png", size=9), entry("b/2.png", size=9), content=b"abc" * 3)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[int(place * (len(content) - 1))] = value
    path.write_bytes(content)
    refusal = inside = None
    try:
        inside = unpack(path, cache_dir=folder / "cache")
    except DataError as error:
        refusal = str(error)
    if inside is None:
        assert refusal is not None
        assert refusal.startswith(f"{path}: ")
        assert not list(folder.glob("cache/archives/*"))
    else:
        assert inside.is_relative_to(folder / "cache")
    assert {found.name for found in folder.iterdir()} <= {path.name, "cache"}


# -- the cache ------------------------------------------------------------------------------------


def test_an_archive_is_unpacked_once_and_found_by_its_content(tmp_path: Path) -> None:
    first = make_zip(tmp_path / "x.zip", ("a.png", b"1"))
    folder = unpack(first)
    (folder / "mark").touch()
    copied = tmp_path / "copy.zip"
    copied.write_bytes(first.read_bytes())
    assert (unpack(copied) / "mark").exists()
    assert unpack(make_zip(tmp_path / "y.zip", ("a.png", b"2"))) != folder


def test_many_at_once_end_with_one_folder(shapes_folder: Path, tmp_path: Path) -> None:
    archive = pack(shapes_folder, tmp_path / "x.tgz")
    found: list[Path] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        found.append(unpack(archive, cache_dir=tmp_path / "cache"))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert list((tmp_path / "cache" / "archives").iterdir()) == [found[0]]
    assert files_in(found[0]) == files_in(shapes_folder)


def test_what_killed_processes_left_is_removed_after_a_day(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "archives"
    old, new = place / "k.1.part", place / "k.2.part"
    for folder in (old, new):
        folder.mkdir(parents=True)
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    unpack(make_zip(tmp_path / "x.zip", ("a.png", b"1")), cache_dir=tmp_path / "cache")
    assert (old.exists(), new.exists()) == (False, True)


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """Let this process write no file of more than ``most`` bytes: the disk says it is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "x.zip", ("a.png", os.urandom(9000)))
    with (
        small_files(4096),
        pytest.raises(StorageError, match=r"x\.zip: .*needs more room than the disk has left"),
    ):
        unpack(archive, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache" / "archives").iterdir()) == []


@pytest.mark.slow
def test_real_photographs_survive_packing(shared: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared("caltech5")
    dataset = open_dataset(pack(folder, tmp_path / "caltech5.tar.gz", "caltech5"))
    assert dataset.ids == open_dataset(folder).ids
    assert len(dataset) == 400
