"""Downloads against a real HTTP server in a thread, which misbehaves as it is told."""

from __future__ import annotations

import hashlib
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.serving import Server, serving

from convoscope.arrays import generator
from convoscope.download import fetch
from convoscope.errors import DownloadError, SettingsError, StorageError

CONTENT = generator(0, "download").bytes(1_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(CONTENT)) as it:
        yield it


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "data.bin"


def assert_alone(file: Path) -> None:
    """The file is right, and nothing else is left."""
    assert file.read_bytes() == CONTENT
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_is_fetched_checked_and_nothing_else_is_left(server: Server, file: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    digest = fetch(
        server.url,
        file,
        sha256=SHA256,
        size=len(CONTENT),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert digest == SHA256
    assert_alone(file)
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("digest", [SHA256, SHA256.upper(), SHA256[:8], None])
def test_with_the_file_in_place_nothing_touches_the_network(
    server: Server, file: Path, digest: str | None
) -> None:
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    assert fetch(server.url, file, sha256=digest) == SHA256
    assert server.asked == []


def test_another_file_in_its_place_is_replaced_once_the_right_one_is_whole(
    server: Server, file: Path
) -> None:
    file.parent.mkdir()
    file.write_bytes(b"old")
    server.status = 503
    with pytest.raises(DownloadError):
        fetch(server.url, file, sha256=SHA256)
    assert file.read_bytes() == b"old"
    server.status = 200
    fetch(server.url, file, sha256=SHA256)
    assert_alone(file)


def test_a_cut_connection_is_gone_on_with_where_it_broke_off(server: Server, file: Path) -> None:
    server.cut_after = [400_000, 900_000]
    assert fetch(server.url, file, sha256=None) == SHA256
    assert server.asked == [None, "bytes=400000-", "bytes=900000-"]
    assert_alone(file)


def test_what_was_received_is_kept_for_the_next_run(server: Server, file: Path) -> None:
    server.cut_after = [100_000, 200_000, 300_000]
    with pytest.raises(DownloadError) as caught:
        fetch(server.url, file, sha256=SHA256)
    assert str(caught.value) == (
        f"{file}: this file must be downloaded once, but {server.url} broke off after 0.3 MB of "
        "1.5 MB: run the same command again, it goes on where it stopped"
    )
    assert not file.exists()
    server.asked.clear()
    fetch(server.url, file, sha256=SHA256)
    assert server.asked == ["bytes=300000-"]
    assert_alone(file)


def test_a_server_that_sends_nothing_more_is_not_asked_again(server: Server, file: Path) -> None:
    server.cut_after = [0, 0, 0]
    with pytest.raises(DownloadError, match=r"broke off after 0 bytes of 1.5 MB: check the"):
        fetch(server.url, file, sha256=SHA256)
    assert len(server.asked) == 1


def test_a_server_without_ranges_sends_all_of_it_again(server: Server, file: Path) -> None:
    server.knows_ranges = False
    server.cut_after = [400_000]
    fetch(server.url, file, sha256=SHA256)
    assert_alone(file)


def test_a_file_that_changed_meanwhile_is_begun_anew(server: Server, file: Path) -> None:
    server.content, server.etag = b"x" * len(CONTENT), '"old"'
    server.cut_after = [100_000, 200_000, 300_000]
    with pytest.raises(DownloadError):
        fetch(server.url, file, sha256=None)
    server.content, server.etag = CONTENT, '"new"'
    assert fetch(server.url, file, sha256=None) == SHA256
    assert_alone(file)


def test_without_a_tag_a_wrong_beginning_is_found_out_by_the_hash(
    server: Server, file: Path
) -> None:
    file.parent.mkdir()
    file.with_name("data.bin.part").write_bytes(b"x" * 1000)
    server.etag = None
    fetch(server.url, file, sha256=SHA256)
    assert server.asked == ["bytes=1000-", None]
    assert_alone(file)


def test_without_a_tag_or_a_hash_nothing_is_gone_on_with(server: Server, file: Path) -> None:
    file.parent.mkdir()
    file.with_name("data.bin.part").write_bytes(b"x" * 1000)
    assert fetch(server.url, file, sha256=None) == SHA256
    assert server.asked == [None]


@pytest.mark.parametrize("extra", [b"", b"too much"])
def test_a_part_that_is_whole_already_or_too_long(server: Server, file: Path, extra: bytes) -> None:
    file.parent.mkdir()
    file.with_name("data.bin.part").write_bytes(CONTENT + extra)
    fetch(server.url, file, sha256=SHA256)
    assert server.asked[0] == f"bytes={len(CONTENT + extra)}-"
    assert len(server.asked) == (2 if extra else 1)
    assert_alone(file)


def test_a_length_that_is_not_said_is_found_out_by_the_hash(server: Server, file: Path) -> None:
    server.says_length = False
    seen: list[int | None] = []
    fetch(server.url, file, sha256=SHA256, progress=lambda _, total: seen.append(total))
    assert_alone(file)
    assert set(seen) == {None}


def test_a_wrong_file_is_thrown_away_and_both_hashes_are_said(server: Server, file: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(server.url, file, sha256="0" * 64)
    assert str(caught.value) == (
        f"{file}: this file must be downloaded once, but {server.url} gave a file with SHA-256 "
        f"{SHA256} instead of {'0' * 64}: what is offered has changed or was damaged on its way, "
        "try again later, or put the right file there yourself"
    )
    assert list(file.parent.iterdir()) == []


def test_a_hash_may_be_known_by_its_beginning(server: Server, file: Path) -> None:
    assert fetch(server.url, file, sha256=SHA256[:8]) == SHA256
    file.unlink()
    with pytest.raises(DownloadError, match=f"SHA-256 {SHA256[:10]} instead of abcdef0123:"):
        fetch(server.url, file, sha256="abcdef0123")


def test_md5_is_checked_where_it_is_all_that_is_published(server: Server, file: Path) -> None:
    assert fetch(server.url, file, sha256=None, md5=MD5) == SHA256
    file.unlink()
    with pytest.raises(DownloadError, match=f"gave a file with MD5 {MD5} instead of {'0' * 32}"):
        fetch(server.url, file, sha256=None, md5="0" * 32)


def test_a_size_that_differs_is_found_before_anything_is_sent(server: Server, file: Path) -> None:
    with pytest.raises(DownloadError, match="offers 1,500,000 bytes instead of 2,000,000: what is"):
        fetch(server.url, file, sha256=None, size=2_000_000)
    server.says_length = False
    with pytest.raises(DownloadError, match="gave 1,500,000 bytes instead of 2,000,000: what is"):
        fetch(server.url, file, sha256=None, size=2_000_000)
    assert list(file.parent.iterdir()) == []


def test_an_answer_that_is_no_file_is_said(server: Server, file: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadError, match=rf"{server.url} answered 404 Not Found: check the net"):
        fetch(server.url, file, sha256=SHA256)


def test_a_machine_that_cannot_be_reached_is_said(server: Server, file: Path) -> None:
    nobody = "http://127.0.0.1:1/data.bin"
    with pytest.raises(DownloadError, match=rf"{nobody} could not be reached \(Connection refused"):
        fetch(nobody, file, sha256=SHA256)


def test_a_server_that_stays_silent_is_not_waited_for_for_ever(
    server: Server, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(server, "answer", lambda _: released.wait(10))
    try:
        with pytest.raises(DownloadError, match=r"could not be reached \(no answer in time\)"):
            fetch(server.url, file, sha256=SHA256, timeout=0.05)
    finally:
        released.set()


def test_a_mirror_goes_on_where_another_one_broke_off(server: Server, file: Path) -> None:
    server.cut_after = [100_000, 200_000, 300_000]
    with serving(Server(CONTENT, etag='"other"')) as mirror:
        fetch([server.url, mirror.url], file, sha256=SHA256)
        assert mirror.asked == ["bytes=300000-"]
    assert_alone(file)


def test_every_mirror_is_named_with_what_it_said(server: Server, file: Path) -> None:
    server.status = 403
    with serving(Server(content=b"another")) as mirror:
        with pytest.raises(DownloadError) as caught:
            fetch([server.url, mirror.url], file, sha256=SHA256)
        assert f"{server.url} answered 403 Forbidden; {mirror.url} gave a file with SHA" in str(
            caught.value
        )


def test_a_full_disk_is_one_sentence_and_what_was_written_is_kept(
    server: Server, file: Path
) -> None:
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from convoscope.download import fetch\n"
        "from convoscope.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
        "try:\n"
        "    fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, server.url, str(file), SHA256]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"{file}: writing needs more room than the disk has left: free some space, or choose "
        "another folder\n"
    )
    fetch(server.url, file, sha256=SHA256)
    assert server.asked[-1] not in (None, "bytes=0-")
    assert_alone(file)


def test_a_file_that_cannot_fit_is_not_begun(server: Server, file: Path) -> None:
    server.content = b""
    answer = server.answer

    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**18))
        handler.end_headers()

    server.answer = huge  # type: ignore[method-assign]
    with pytest.raises(
        StorageError, match=r"needs 1,000,000,000,000.0 MB more, the disk has .* lef"
    ):
        fetch(server.url, file, sha256=None)
    assert not file.with_name("data.bin.part").exists()
    server.answer = answer  # type: ignore[method-assign]


def _fetch_in_a_process(url: str, file: Path) -> None:
    assert fetch(url, file, sha256=SHA256) == SHA256


def test_of_two_processes_one_fetches_and_both_have_it(server: Server, file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_fetch_in_a_process, args=(server.url, file)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.asked == [None]
    assert_alone(file)


def test_a_folder_that_cannot_be_made_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="the folder must be writable, the system said"):
        fetch(server.url, tmp_path / "taken" / "data.bin", sha256=None)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "data.bin"])
def test_only_http_is_fetched(url: str, file: Path) -> None:
    with pytest.raises(SettingsError, match=r"must begin with http:// or https://, got '.*': name"):
        fetch(url, file, sha256=None)


@pytest.mark.parametrize("digest", ["abc", "g" * 64, "a" * 65])
def test_a_hash_that_is_none_is_said(server: Server, file: Path, digest: str) -> None:
    with pytest.raises(
        SettingsError, match=r"data.bin: its SHA-256 must be 8 to 64 hexadecimal dig"
    ):
        fetch(server.url, file, sha256=digest)
    with pytest.raises(
        SettingsError, match=r"data.bin: its MD5 must be 32 hexadecimal digits, got"
    ):
        fetch(server.url, file, sha256=None, md5=digest)
