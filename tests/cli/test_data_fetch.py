"""``convoscope data list | fetch | info`` and named sets in other commands."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import MakeImageFolder
from tests.serving import Server, serving

from convoscope.data.catalogue.fetching import MIRROR
from convoscope.data.catalogue.table import NAMED


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def caltech(tmp_path: Path, make_image_folder: MakeImageFolder) -> Path:
    """Three classes of Caltech-101 with eight drawn pictures each."""
    return make_image_folder(tmp_path / "copy", ("ant", "bonsai", "ketch"))


def refusal(convoscope: Convoscope, *words: object) -> str:
    result = convoscope(*words)
    assert result.exit_code == 2, result.stdout
    (line,) = result.stderr.splitlines()
    return line


def test_the_list_has_a_line_for_each_set(convoscope: Convoscope) -> None:
    result = convoscope("data", "list")
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        "data", "images", "classes", "download", "here", "pixels", "licence",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == list(NAMED)
    mnist = next(line.split() for line in lines if line.startswith("mnist"))
    assert mnist[:6] == ["mnist", "70,000", "10", "12", "MB", "no"]
    assert "CC BY-SA 3.0" in next(line for line in lines if line.startswith("mnist"))


def test_the_list_as_json_says_everything(convoscope: Convoscope, caltech: Path) -> None:
    convoscope("data", "fetch", "caltech101", "--from", caltech)
    found = json.loads(convoscope("data", "list", "--json").stdout)
    assert found["schema_version"] == 1
    sets = {each["name"]: each for each in found["sets"]}
    assert list(sets) == list(NAMED)
    assert sets["digits"]["is_here"]
    assert sets["digits"]["stored"] is None
    assert not sets["mnist"]["is_here"]
    assert sets["caltech101"]["stored"]["images"] == 24
    assert not sets["caltech101"]["stored"]["is_verified"]
    assert sets["caltech101"]["numbers_count"] == "of each class"


def test_a_copy_is_fetched_and_then_used_by_its_name(convoscope: Convoscope, caltech: Path) -> None:
    result = convoscope("data", "fetch", "caltech101", "--from", caltech)
    assert result.exit_code == 0, result.stderr
    assert f"from       {caltech} (no published checksum compared)" in result.stdout
    assert "copying (files) 24 done" in result.stderr
    assert "in part" in convoscope("data", "list").stdout
    words = "caltech101:ketch,ant@4/2/2"
    info = json.loads(convoscope("data", "info", words, "--json").stdout)
    assert info["named"]["name"] == "caltech101"
    assert info["counts"]["class"]["ant"] == {"train": 4, "validation": 2, "test": 2}
    assert convoscope("data", "check", words, "--no-page", "-q").exit_code == 0
    assert convoscope("data", "split", words, "-q").exit_code == 0
    assert convoscope("data", "preview", words).exit_code == 0


@pytest.mark.slow
def test_a_part_of_a_named_set_is_trained_on(
    convoscope: Convoscope, caltech: Path, tiny: Path
) -> None:
    convoscope("data", "fetch", "caltech101", "--from", caltech, "-q")
    words = ("train", "caltech101:ketch,ant,bonsai@4/2/2", "-m", tiny, "-e", "1", "-q")
    result = convoscope(*words, "--engine", "numpy", "--no-report")
    assert result.exit_code == 0, result.stderr
    (run,) = Path("runs").iterdir()
    assert run.name == "caltech101-ketch-ant-bonsai-4-2-2-tiny-1"
    split = (run / "split.csv").read_text().splitlines()
    assert sum(",train," in line for line in split) == 12


def test_info_says_who_made_a_set_and_how_to_get_it(convoscope: Convoscope) -> None:
    result = convoscope("data", "info", "cifar10")
    assert result.exit_code == 0
    assert "source     Krizhevsky 2009" in result.stdout
    assert "here       no; get it (170 MB) with  convoscope data fetch cifar10" in result.stdout
    as_json = json.loads(convoscope("data", "info", "cifar10", "--json").stdout)
    assert list(as_json) == ["schema_version", "named"]
    here = convoscope("data", "info", "digits", "-q")
    assert "licence    CC BY 4.0" in here.stdout
    assert "split   none: training would divide so" in here.stdout


def test_a_set_comes_over_the_network_and_is_said_to_be_as_published(
    convoscope: Convoscope, monkeypatch: pytest.MonkeyPatch, shared: Callable[[str], Path]
) -> None:
    sprite = (shared("fashion") / "fashion-mnist-sprite.png").read_bytes()
    with serving(Server(sprite)) as server:
        monkeypatch.setenv(MIRROR, server.url.rpartition("/")[0])
        result = convoscope("data", "fetch", "fashion-sprite", "--json")
        found = json.loads(result.stdout)
        assert result.stderr == ""
        assert found["stored"]["images"] == 900
        assert convoscope("data", "fetch", "fashion-sprite").exit_code == 0
        assert server.asked == [None]


def test_a_cut_download_is_gone_on_with_by_the_same_command(
    convoscope: Convoscope, monkeypatch: pytest.MonkeyPatch, shared: Callable[[str], Path]
) -> None:
    sprite = (shared("fashion") / "fashion-mnist-sprite.png").read_bytes()
    with serving(Server(sprite, cut_after=[200_000, 300_000, 400_000])) as server:
        monkeypatch.setenv(MIRROR, server.url.rpartition("/")[0])
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
        said = refusal(convoscope, "data", "fetch", "fashion-sprite", "-q")
        assert "broke off after 0.4 MB of 0.8 MB" in said
        assert said.endswith("run the same command again, it goes on where it stopped")
        assert convoscope("data", "fetch", "fashion-sprite", "-q").exit_code == 0
        assert server.asked[-1] == "bytes=400000-"


def test_without_a_network_it_is_one_sentence(
    convoscope: Convoscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    said = refusal(convoscope, "data", "fetch", "cifar10", "-q")
    assert "cifar-10-binary.tar.gz: this file must be downloaded once, but https://www.cs" in said
    assert "could not be reached" in said
    assert said.endswith(": check the network, or put the file there yourself")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data", "fetch", "mnits"), "there is no data set 'mnits': did you mean 'mnist'?"),
        (("data", "fetch", "digits"), "digits: only what is elsewhere is fetched, this set comes"),
        (("data", "info", "mnits@5/5"), "there is no data set or folder 'mnits': did you mean 'm"),
        (("data", "check", "mnist"), "mnist: this data set must be fetched once, it is not on th"),
        (("data", "info", "mnist@5"), "mnist@5: after @ there must be numbers of images, TRAIN/"),
        (("train", "mnist", "-m", "small"), "download it with  convoscope data fetch mnist  or t"),
        (("data", "fetch", "mnist", "--from", "no"), "no: there must be a copy of mnist, but the"),
    ],
)
def test_bad_input_is_one_sentence(
    convoscope: Convoscope, words: tuple[str, ...], message: str
) -> None:
    assert message in refusal(convoscope, *words)


def test_bad_choices_of_a_set_that_is_here_are_one_sentence(
    convoscope: Convoscope, caltech: Path
) -> None:
    convoscope("data", "fetch", "caltech101", "--from", caltech, "-q")
    assert "there is no class of caltech101 'kitch': did you mean 'ketch'?" in refusal(
        convoscope, "data", "info", "caltech101:ant,kitch", "--json"
    )
    assert "9 images of 'ant' are asked for, there are 8: ask for fewer" in refusal(
        convoscope, "data", "check", "caltech101@7/2", "-q"
    )
    assert "here already, from" in refusal(
        convoscope, "data", "fetch", "caltech101", "--from", caltech
    )


def test_a_truncated_copy_is_one_sentence(convoscope: Convoscope, tmp_path: Path) -> None:
    copy = tmp_path / "mnist"
    copy.mkdir()
    (copy / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x03\0\0"))
    (copy / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\1\0")
    said = refusal(convoscope, "data", "fetch", "mnist", "--from", copy, "-q")
    assert "the header of an idx file with 3 dimensions must have 16 bytes, got 6: the fi" in said


def test_the_summaries_in_help_are_not_cut(convoscope: Convoscope) -> None:
    text = convoscope("data", "--help").stdout
    assert "..." not in text.partition("Commands:")[2]
    for command in ("check", "fetch", "info", "list", "preview", "split"):
        assert f"\n  {command} " in text
