"""Named sets fetched from a real server in a thread, and copied from folders and archives."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import MakeImageFolder
from tests.data.catalogue.test_readers import write_cifar10
from tests.serving import Server, serving

from convoscope.data.catalogue.choice import Choice, parse
from convoscope.data.catalogue.fetching import MIRROR, copy, fetch
from convoscope.data.catalogue.named import NamedSet, RemoteFile
from convoscope.data.catalogue.store import find, open_chosen, set_folder
from convoscope.data.catalogue.table import NAMED
from convoscope.errors import DataError, DownloadError, SettingsError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(b"")) as it:
        yield it


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def idx_files(images: int = 20) -> dict[str, bytes]:
    """A set in MNIST's format: images of 2 x 2 pixels, the labels 0 to 9 in turn."""
    files = {}
    for part, count in (("train", images), ("t10k", images // 2)):
        size, side = struct.pack(">I", count), struct.pack(">II", 2, 2)
        pixels = bytes(value % 251 for value in range(count * 4))
        labels = bytes(number % 10 for number in range(count))
        files[f"{part}-images-idx3-ubyte.gz"] = b"\0\0\x08\x03" + size + side + pixels
        files[f"{part}-labels-idx1-ubyte.gz"] = b"\0\0\x08\x01" + size + labels
    return {name: gzip.compress(content, mtime=0) for name, content in files.items()}


def idx_set(server: Server, *, images: int = 20) -> NamedSet:
    """A row of the catalogue for such a set, offered by the server."""
    server.files = idx_files(images)
    host = server.url.rpartition("/")[0]
    return replace(
        NAMED["mnist"],
        name="little",
        images=images + images // 2,
        files=tuple(
            RemoteFile(
                name=name,
                urls=(f"{host}/{name}",),
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                content_md5=hashlib.md5(gzip.decompress(content)).hexdigest(),
            )
            for name, content in server.files.items()
        ),
    )


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_set_is_fetched_once_and_then_opened_without_a_network(server: Server) -> None:
    little = idx_set(server)
    stages: dict[str, tuple[int, int]] = {}
    stored = fetch(little, lambda stage, done, total: stages.update({stage: (done, total)}))
    assert (stored.record.images, stored.record.classes) == (30, 10)
    assert stored.record.origin.is_verified
    assert stored.record.origin.place == server.url.rpartition("/")[0]
    assert all(done == total for done, total in stages.values())
    assert "fetching train-images-idx3-ubyte.gz (MB)" in stages
    asked = len(server.asked)
    assert fetch(little, silent) == stored
    dataset = open_chosen(Choice(words="little", named=little))
    assert len(server.asked) == asked == 4
    assert (len(dataset), dataset.name, dataset.root, dataset.notes) == (30, "little", None, ())
    assert [path.name for path in stored.folder.parent.iterdir()] == ["little"]


def test_what_was_fetched_before_a_failure_is_not_fetched_again(server: Server) -> None:
    little = idx_set(server)
    lost = server.files.pop("t10k-labels-idx1-ubyte.gz")
    with pytest.raises(
        DownloadError, match=r"t10k-labels-idx1-ubyte.gz: this file must be downloa"
    ):
        fetch(little, silent)
    assert find(little) is None
    server.files["t10k-labels-idx1-ubyte.gz"] = lost
    server.asked.clear()
    fetch(little, silent)
    assert len(server.asked) == 1


def test_without_a_published_checksum_it_is_said(server: Server) -> None:
    little = idx_set(server)
    unpinned = replace(
        little,
        files=tuple(
            replace(file, sha256=None, size=None, content_md5=None) for file in little.files
        ),
    )
    stored = fetch(unpinned, silent)
    assert not stored.record.origin.is_verified
    name, content = next(iter(server.files.items()))
    assert stored.record.origin.files[name] == hashlib.sha256(content).hexdigest()
    (note,) = open_chosen(Choice(words="little", named=unpinned)).notes
    assert note.startswith("little came from http://127.0.0.1:")
    assert note.endswith("; no published checksum could be compared")


def test_a_mirror_of_ones_own_is_tried_first(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = idx_set(server)
    with serving(Server(b"")) as mirror:
        mirror.files = {f"little/{name}": content for name, content in server.files.items()}
        monkeypatch.setenv(MIRROR, mirror.url.rpartition("/")[0] + "/")
        fetch(little, silent)
        assert (len(mirror.asked), len(server.asked)) == (4, 0)


def test_an_archive_within_an_archive_is_all_that_is_kept(
    server: Server, tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    caltech = pack_caltech(tmp_path, make_image_folder)
    server.content = caltech.read_bytes()
    (file,) = NAMED["caltech101"].files
    md5 = hashlib.md5(server.content).hexdigest()
    row = replace(NAMED["caltech101"], files=(replace(file, urls=(server.url,), md5=md5),))
    stored = fetch(row, silent)
    assert stored.record.images == 4
    names = {path.name for path in stored.folder.rglob("*")}
    assert "ant" in names
    assert not names & {"Annotations.tar", "caltech-101.zip", "101_ObjectCategories.tar.gz"}
    copied = copy(row, caltech, silent, anew=True)
    assert copied.record.origin.is_verified
    assert copied.record.images == 4


def pack_caltech(tmp_path: Path, make_image_folder: MakeImageFolder) -> Path:
    """caltech-101.zip as it is: a folder with one archive of images and one of outlines."""
    folder = make_image_folder(tmp_path / "101_ObjectCategories", ("ant", "ketch"), per_class=2)
    inner, outer = tmp_path / "101_ObjectCategories.tar.gz", tmp_path / "caltech-101.zip"
    with tarfile.open(inner, "w:gz") as archive:
        archive.add(folder, arcname="101_ObjectCategories")
    with zipfile.ZipFile(outer, "w") as packed:
        packed.write(inner, "caltech-101/101_ObjectCategories.tar.gz")
        packed.writestr("caltech-101/Annotations.tar", b"outlines")
    return outer


@pytest.mark.parametrize("kind", ["as published", "packed again", "unpacked"])
def test_a_copy_is_known_by_its_content(server: Server, tmp_path: Path, kind: str) -> None:
    little = idx_set(server)
    files = dict(server.files)
    if kind == "packed again":
        files = {n: gzip.compress(gzip.decompress(c), 1, mtime=5) for n, c in files.items()}
    elif kind == "unpacked":
        files = {n.removesuffix(".gz"): gzip.decompress(c) for n, c in files.items()}
    source = write(tmp_path / "copy", {**files, "README": b"not part of the set"})
    stored = copy(little, source, silent)
    assert stored.record.origin.is_verified
    assert stored.record.origin.place == str(source)
    assert {path.name for path in (stored.folder / "files").iterdir()} == set(files)
    assert server.asked == []


def test_a_copy_that_differs_in_one_byte_is_refused(server: Server, tmp_path: Path) -> None:
    little = idx_set(server)
    name = "train-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(server.files[name]))
    content[20] ^= 1
    source = write(tmp_path / "copy", {**server.files, name: gzip.compress(bytes(content))})
    with pytest.raises(DataError) as caught:
        copy(little, source, silent)
    assert str(caught.value) == (
        f"{source}: a copy of little must hold its files as published, but {name} differs in its "
        "checksum: get a whole copy, or use this one by its path"
    )
    assert find(little) is None
    assert not set_folder(little).exists()


def test_a_copy_with_other_numbers_of_images_is_refused(server: Server, tmp_path: Path) -> None:
    little = replace(idx_set(server), images=70_000)
    source = write(tmp_path / "copy", server.files)
    with pytest.raises(
        DataError, match=r"a copy of little must hold 70,000 images, this one has 30"
    ):
        copy(little, source, silent)


def test_a_truncated_copy_is_refused(server: Server, tmp_path: Path) -> None:
    little = idx_set(server)
    name = "train-images-idx3-ubyte.gz"
    source = write(tmp_path / "copy", {**server.files, name: server.files[name][:-9]})
    with pytest.raises(
        DataError, match=f"{source}/{name}: a gzipped idx file must unpack without f"
    ):
        copy(little, source, silent)
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"\x1f\x8b\x08 cut short")
    with pytest.raises(
        DataError, match=r"cifar-10-binary.tar.gz: an archive must be whole and of t"
    ):
        copy(NAMED["cifar10"], archive, silent)


def test_a_copy_of_another_set_is_named(shared: Callable[[str], Path]) -> None:
    with pytest.raises(
        DataError, match="of fashion-mnist must hold its files, these are those of mn"
    ):
        copy(NAMED["fashion-mnist"], shared("mnist"), silent)
    with pytest.raises(
        DataError, match="a folder of idx files must hold images under a name such as"
    ):
        copy(NAMED["mnist"], shared("fashion"), silent)


def test_nothing_at_the_path_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"there must be a copy of mnist, but there is nothing: check"
    ):
        copy(NAMED["mnist"], tmp_path / "nowhere", silent)


def test_the_real_mnist_is_verified_and_divided_as_asked(shared: Callable[[str], Path]) -> None:
    assert copy(NAMED["mnist"], shared("mnist"), silent).record.origin.is_verified
    choice = parse("mnist@42000/28000")
    assert choice is not None
    dataset = open_chosen(choice)
    assert dataset.given_split is not None
    assert (len(dataset), dataset.given_split.count("test")) == (70_000, 28_000)
    assert dataset.notes == (
        "70,000 images of mnist were chosen with seed 0: 42,000 for train, 28,000 for test",
    )


def test_a_part_of_caltech_is_a_copy_and_the_published_numbers_can_be_chosen(
    shared: Callable[[str], Path],
) -> None:
    copy(NAMED["caltech101"], shared("caltech3"), silent)
    choice = parse("caltech101:ketch,chandelier,bonsai@50/10/20")
    assert choice is not None
    dataset = open_chosen(choice)
    assert dataset.given_split is not None
    assert [dataset.given_split.count(s) for s in ("train", "validation", "test")] == [150, 30, 60]
    assert "this copy of Caltech-101 has 3 of 101 classes" in dataset.notes


@pytest.mark.parametrize("is_packed", [True, False])
def test_cifar10_is_copied_from_its_archive_or_folder(tmp_path: Path, is_packed: bool) -> None:
    folder = tmp_path / "copy" / "cifar-10-batches-bin"
    write_cifar10(folder)
    row = replace(NAMED["cifar10"], images=12)
    source = tmp_path / "copy"
    if is_packed:
        source = tmp_path / "cifar-10-binary.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(folder, arcname=folder.name)
    stored = copy(row, source, silent)
    assert stored.record.images == 12
    assert not stored.record.origin.is_verified
    assert len(open_chosen(Choice(words="cifar10", named=row))) == 12


def test_a_set_that_is_here_is_replaced_only_if_asked(server: Server, tmp_path: Path) -> None:
    little = idx_set(server)
    source = write(tmp_path / "copy", server.files)
    copy(little, source, silent)
    with pytest.raises(
        SettingsError, match=r"little: .* here already, from .*: use it .* --replace"
    ):
        copy(little, source, silent)
    assert copy(little, source, silent, anew=True).record.images == 30
    assert server.asked == []
    fetch(little, silent, anew=True)
    assert len(server.asked) == 4


def test_what_comes_with_the_program_is_not_fetched(tmp_path: Path) -> None:
    for name in ("digits", "lines"):
        with pytest.raises(SettingsError, match=f"{name}: .* this set comes with the program: use"):
            fetch(NAMED[name], silent)
        with pytest.raises(SettingsError, match="comes with the program"):
            copy(NAMED[name], tmp_path, silent)


def test_a_set_that_is_not_here_says_how_to_get_it() -> None:
    choice = parse("cifar10")
    assert choice is not None
    with pytest.raises(DataError) as caught:
        open_chosen(choice)
    assert str(caught.value) == (
        "cifar10: this data set must be fetched once, it is not on this machine yet: download it "
        "with  convoscope data fetch cifar10  or take it from a copy with  "
        "convoscope data fetch cifar10 --from PATH"
    )


@pytest.mark.parametrize("damage", ["{", json.dumps({"name": "little"})])
def test_a_damaged_record_says_how_to_mend_it(server: Server, damage: str) -> None:
    little = idx_set(server)
    stored = fetch(little, silent)
    (stored.folder / "dataset.json").write_text(damage)
    with pytest.raises(
        DataError, match="get the set again with  convoscope data fetch little --repl"
    ):
        open_chosen(Choice(words="little", named=little))
    assert fetch(little, silent, anew=True).record == stored.record
