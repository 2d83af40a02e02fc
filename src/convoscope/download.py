"""Fetch a file: resumed where it stopped, checked against its hash, told in one sentence.

A file grows under the name ``<name>.part`` and gets its own name only when it is whole and the
right one, so that what bears the name can be trusted. With the file in place nothing touches the
network. Standard library only; proxies are those of the environment, as ``urllib`` reads them.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, Request, build_opener

from convoscope.disk import alone, storing
from convoscope.errors import DownloadError, SettingsError, StorageError
from convoscope.version import __version__

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told how many bytes are there, and how many there will be, if the server says so."""

_CHUNK = 1 << 18
_SHORTEST_HASH = 8
_ATTEMPTS = 3
_PATIENCE = 30.0


def unwatched(done: int, total: int | None) -> None:
    """The progress that nobody looks at."""


def fetch(
    urls: str | Sequence[str],
    path: Path,
    *,
    sha256: str | None,
    md5: str | None = None,
    size: int | None = None,
    progress: Progress = unwatched,
    opener: OpenerDirector | None = None,
    timeout: float = _PATIENCE,
) -> str:
    """See to it that ``path`` is the file that one of ``urls`` offers; its SHA-256.

    The addresses are tried in turn; a later one goes on where an earlier one broke off.
    ``sha256`` is the whole digest in hexadecimal digits or its beginning, at least 8 of them;
    ``md5`` is for files whose publishers state no other. ``size`` is in bytes. What was received
    before a connection broke stays beside ``path`` and is not fetched again, by HTTP range
    requests (RFC 9110, section 14). Two processes may ask for the same file: one fetches it.
    ``timeout`` is in seconds without a byte.

    Raises:
        DownloadError: if no address gives the file; says what each did, and what to do.
        StorageError: if the disk is full or not writable.
        SettingsError: if an address is not http(s), or a hash is not a digest's beginning.
    """
    wanted = _Wanted(path=path, sha256=sha256, md5=md5, size=size)
    mirrors = (urls,) if isinstance(urls, str) else tuple(urls)
    _check(mirrors, wanted)
    if there := wanted.digest_if_right(path):
        return there
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path):
            if there := wanted.digest_if_right(path):
                return there
            transfer = _Transfer(wanted, progress, opener or build_opener(), timeout)
            return transfer.from_one_of(mirrors)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The file that is asked for."""

    path: Path
    sha256: str | None
    md5: str | None
    size: int | None

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def is_known(self) -> bool:
        """Whether its content is, so that any beginning of it will be found out if wrong."""
        return self.sha256 is not None or self.md5 is not None

    def digest_if_right(self, path: Path) -> str | None:
        """The file's SHA-256 if it is there and nothing that is known of it says otherwise."""
        return sha256_of(path) if path.is_file() and self.objection(path) is None else None

    def objection(self, path: Path) -> str | None:
        """What is wrong with a whole file, as the end of a sentence about who gave it."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"gave {found:,} bytes instead of {self.size:,}"
        digest = sha256_of(path)
        if self.sha256 is not None and not digest.startswith(self.sha256.lower()):
            return f"gave a file with SHA-256 {digest[: len(self.sha256)]} instead of {self.sha256}"
        if self.md5 is not None:
            with path.open("rb") as stream:
                found_md5 = hashlib.file_digest(stream, _md5).hexdigest()
            if found_md5 != self.md5.lower():
                return f"gave a file with MD5 {found_md5} instead of {self.md5}"
        return None


class _AddressError(Exception):
    """One address did not give the file; the end of a sentence that says how."""


class _CutError(_AddressError):
    """The connection was cut; what came before may be gone on from."""


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One file on its way."""

    wanted: _Wanted
    progress: Progress
    opener: OpenerDirector
    timeout: float

    def from_one_of(self, mirrors: Sequence[str]) -> str:
        failures: list[tuple[str, _AddressError]] = []
        for url in mirrors:
            try:
                return self._from(url)
            except _AddressError as failure:
                failures.append((url, failure))
        raise _refusal(self.wanted, failures) from failures[-1][1]

    def _from(self, url: str) -> str:
        """From this address: cut connections are opened again as long as something comes."""
        attempts, began_with = _ATTEMPTS, _size(self.wanted.part)
        while True:
            held = _size(self.wanted.part)
            try:
                self._receive(url, held)
                break
            except _CutError:
                attempts -= 1
                if not attempts or _size(self.wanted.part) <= held:
                    raise
        objection = self.wanted.objection(self.wanted.part)
        if objection is None:
            return self._finish()
        _forget(self.wanted.part)
        if began_with:  # which may have been another file's beginning: once more, from nothing
            return self._from(url)
        raise _AddressError(objection)

    def _receive(self, url: str, held: int) -> None:
        """Bytes from ``held`` on, or all of them if the server cannot begin there."""
        request = Request(url, headers=self._headers(url, held))
        try:
            answer = self.opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and held:
                    return self._past_the_end(url, held, error.headers.get("Content-Range", ""))
                raise _AddressError(f"answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise _AddressError(f"could not be reached ({_said(error)})") from error
        with answer:
            start = _start(answer, held)
            total = _total(answer, start)
            if self.wanted.size is not None and total not in (None, self.wanted.size):
                raise _AddressError(f"offers {total:,} bytes instead of {self.wanted.size:,}")
            _check_room(self.wanted.path, (total or 0) - start)
            _remember(self.wanted.part, url, answer)
            self._write(answer, start, total)
        return None

    def _headers(self, url: str, held: int) -> dict[str, str]:
        headers = {"User-Agent": f"convoscope/{__version__}", "Accept-Encoding": "identity"}
        if not held:
            return headers
        validator = _remembered(self.wanted.part, url)
        if validator:
            return headers | {"Range": f"bytes={held}-", "If-Range": validator}
        # Nothing says that it is still the same file: only a known hash would find it out.
        return headers | ({"Range": f"bytes={held}-"} if self.wanted.is_known else {})

    def _past_the_end(self, url: str, held: int, content_range: str) -> None:
        """The server has nothing after ``held``: it is the end, or another file's middle."""
        if content_range == f"bytes */{held}":
            return
        _forget(self.wanted.part)
        self._receive(url, 0)

    def _write(self, answer: http.client.HTTPResponse, start: int, total: int | None) -> None:
        done = start
        self.progress(done, total)
        with self.wanted.part.open("ab" if start else "wb") as stream:
            while chunk := _read(answer, done, total):
                with storing(self.wanted.path):
                    stream.write(chunk)
                    stream.flush()
                done += len(chunk)
                self.progress(done, total)
        if total is not None and done < total:
            raise _CutError(f"broke off after {_bytes(done)} of {_bytes(total)}")

    def _finish(self) -> str:
        digest = sha256_of(self.wanted.part)
        with self.wanted.part.open("rb+") as stream:
            os.fsync(stream.fileno())
        self.wanted.part.replace(self.wanted.path)
        _validator_file(self.wanted.part).unlink(missing_ok=True)
        return digest


# -- what a server says ---------------------------------------------------------------------------


def _read(answer: http.client.HTTPResponse, done: int, total: int | None) -> bytes:
    try:
        return answer.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        of = "" if total is None else f" of {_bytes(total)}"
        raise _CutError(f"broke off after {_bytes(done)}{of} ({_said(error)})") from error


def _start(answer: http.client.HTTPResponse, held: int) -> int:
    """Where what is being sent belongs; 0 where the server sends all of it again."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", answer.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != held:
        raise _AddressError("sent another part of the file than was asked for")
    return held


def _total(answer: http.client.HTTPResponse, start: int) -> int | None:
    """The whole file's size in bytes, where the server says it."""
    length = answer.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _said(error: Exception) -> str:
    """What the system said, without Python's own wrapping."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)


# -- which file a part is the beginning of --------------------------------------------------------


def _remember(part: Path, url: str, answer: http.client.HTTPResponse) -> None:
    """Write down by what the server will know this file again (RFC 9110, section 13.1.5)."""
    etag = answer.headers.get("ETag", "")
    # A weak tag promises only that two files are alike.
    strong = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
    _validator_file(part).write_text(f"{url}\n{strong}\n", encoding="utf-8")


def _remembered(part: Path, url: str) -> str:
    """The validator that this address gave with the part, or nothing."""
    try:
        lines = _validator_file(part).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return lines[1] if len(lines) == 2 and lines[0] == url else ""


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")


# -- checks and sentences -------------------------------------------------------------------------


def _check(mirrors: Sequence[str], wanted: _Wanted) -> None:
    for url in mirrors:
        if urlsplit(url).scheme not in ("http", "https"):
            raise SettingsError(
                f"an address to download from must begin with http:// or https://, got {url!r}: "
                "name a file on this machine by its path instead"
            )
    for name, digest, shortest, longest in (
        ("SHA-256", wanted.sha256, _SHORTEST_HASH, 64),
        ("MD5", wanted.md5, 32, 32),
    ):
        pattern = rf"[0-9a-fA-F]{{{shortest},{longest}}}"
        if digest is not None and not re.fullmatch(pattern, digest):
            digits = f"{shortest} to {longest}" if shortest < longest else f"{longest}"
            raise SettingsError(
                f"{wanted.path.name}: its {name} must be {digits} hexadecimal digits, got "
                f"{digest!r}: copy it again from where it is published"
            )


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise StorageError(
            f"{path}: the download needs {_bytes(needed)} more, the disk has {_bytes(free)} left: "
            "free some space, or choose another folder"
        )


def _refusal(wanted: _Wanted, failures: Sequence[tuple[str, _AddressError]]) -> DownloadError:
    said = "; ".join(f"{url} {failure}" for url, failure in failures)
    if _size(wanted.part):
        advice = "run the same command again, it goes on where it stopped"
    elif any("instead of" in str(failure) for _, failure in failures):
        advice = "what is offered has changed or was damaged on its way, try again later, or put "
        advice += "the right file there yourself"
    else:
        advice = "check the network, or put the file there yourself"
    return DownloadError(f"{wanted.path}: this file must be downloaded once, but {said}: {advice}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"


def _md5() -> hashlib._Hash:
    """MD5 as a checksum of what a publisher states; nothing secret hangs on it."""
    return hashlib.md5(usedforsecurity=False)
