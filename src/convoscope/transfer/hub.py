"""Weights from elsewhere: found, fetched once, checked, and put into the store.

Files whose publisher names them by their hash (torchvision's, timm's releases) are pinned by it.
Of a repository on the Hugging Face hub neither hash nor commit is known beforehand: what the hub
announces the first time, before the download, is written down beside the weights
(``weights/pins/NAME.json``), and ever after only that commit's file with that hash is taken.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import TypeAdapter, ValidationError

from convoscope import disk, download
from convoscope.errors import DownloadError, WeightsError
from convoscope.transfer.catalogue import Backbone, backbone
from convoscope.transfer.importing import importing
from convoscope.transfer.store import Stored, find, folder_name, weights_folder
from convoscope.version import __version__

HUB: Final = "https://huggingface.co"

_FILE = "model.safetensors"
_PATIENCE = 30.0
_AGENT = f"convoscope/{__version__}"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The one file that is to be fetched: all addresses of it, the SHA-256 or its beginning, and,
    on the hub, commit and size in bytes.
    """

    urls: tuple[str, ...]
    sha256: str
    commit: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Announced:
    """What the hub said of a repository's weights, as it is written down."""

    schema_version: Literal[1] = 1
    hub: str
    commit: str
    sha256: str
    size: int | None

    def pin(self) -> Pin:
        """At whichever hub is asked now; the hash makes all of them equal."""
        url = f"{_root()}/{self.hub}/resolve/{self.commit}/{_FILE}"
        return Pin(urls=(url,), sha256=self.sha256, commit=self.commit, size=self.size)


_ANNOUNCED = TypeAdapter(_Announced)


def fetch(name: str, *, progress: download.Progress = download.unwatched) -> Stored:
    """See to it that the weights of a backbone are at hand; with them there, nothing touches the
    network. ``progress`` is told bytes done and, where known, to do.

    Raises:
        UnknownNameError: if there is no such backbone.
        DownloadError: if no address gives the right file; what came is gone on from next time.
        WeightsError: if the file is not that backbone's.
        StorageError: if the disk is full or not writable.
    """
    return fetch_backbone(backbone(name), progress=progress)


def fetch_backbone(chosen: Backbone, *, progress: download.Progress = download.unwatched) -> Stored:
    """As :func:`fetch`, of a row of the catalogue or one like it."""
    there = find(chosen.name)
    if there is not None:
        return there
    pin = pin_of(chosen)
    suffix = Path(urlsplit(pin.urls[0]).path).suffix
    file = weights_folder() / "downloads" / f"{folder_name(chosen.name)}{suffix}"
    download.fetch(pin.urls, file, sha256=pin.sha256, size=pin.size, progress=progress)
    stored = importing(file, chosen, place=pin.urls[0], licence=chosen.licence, commit=pin.commit)
    file.unlink()
    return stored


def pin_of(chosen: Backbone) -> Pin:
    """What will be fetched for a backbone: pinned by its publisher, or by the hub's first word.

    Raises:
        DownloadError: if nobody publishes it, or the hub does not answer.
    """
    if chosen.origin.sha256:
        return Pin(urls=chosen.origin.urls, sha256=chosen.origin.sha256)
    written = weights_folder() / "pins" / f"{folder_name(chosen.name)}.json"
    if written.exists():
        return _read(written).pin()
    if not chosen.origin.hub:
        raise DownloadError(
            f"backbone {chosen.name!r}: weights to download must have a publisher whose file can "
            "be told by its hash, this one has none: choose another tag, or import a file of yours "
            f"with  convoscope weights import FILE --as {chosen.name}"
        )
    announced = _announced(chosen)
    disk.write_text(written, json.dumps(asdict(announced), indent=2) + "\n")
    return announced.pin()


class _NoRedirect(HTTPRedirectHandler):
    """What the hub says of a file stands in its first answer, before it sends one elsewhere."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        """Stay."""


def _announced(chosen: Backbone) -> _Announced:
    """Commit, hash and size of the weights, as the hub announces them.

    Source: https://huggingface.co/docs/huggingface_hub/package_reference/file_download, the
    headers ``X-Repo-Commit``, ``X-Linked-Etag`` (the SHA-256 of a large file) and
    ``X-Linked-Size``.
    """
    url = f"{_root()}/{chosen.origin.hub}/resolve/main/{_FILE}"
    headers = _headers(chosen, url)
    digest = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").strip('"').lower()
    commit = headers.get("X-Repo-Commit") or ""
    size = headers.get("X-Linked-Size") or ""
    if not (_SHA256.fullmatch(digest) and re.fullmatch(r"[0-9a-f]{40}", commit)):
        raise DownloadError(
            f"backbone {chosen.name!r}: the hub must announce the SHA-256 and the commit of a file "
            f"before it is fetched, {url} announced {digest or 'no hash'} and "
            f"{commit or 'no commit'}: try again later, or import a file of yours"
        )
    return _Announced(
        hub=chosen.origin.hub,
        commit=commit,
        sha256=digest,
        size=int(size) if size.isdigit() else None,
    )


def _root() -> str:
    """The hub, or the mirror that ``HF_ENDPOINT`` names."""
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def _headers(chosen: Backbone, url: str) -> Message:
    opener = build_opener(_NoRedirect())
    request = Request(url, method="HEAD", headers={"User-Agent": _AGENT})
    try:
        with opener.open(request, timeout=_PATIENCE) as answer:
            headers: Message = answer.headers
            return headers
    except urllib.error.HTTPError as error:
        with error:
            if 300 <= error.code < 400:
                return error.headers
            raise _silent(chosen, url, f"answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        said = str(getattr(reason, "strerror", None) or reason)
        raise _silent(chosen, url, f"could not be reached ({said})") from error


def _silent(chosen: Backbone, url: str, said: str) -> DownloadError:
    return DownloadError(
        f"backbone {chosen.name!r}: its weights must be downloaded once, but {url} {said}: check "
        "the network, or import a file of them with  convoscope weights import FILE --as "
        f"{chosen.name}"
    )


def _read(file: Path) -> _Announced:
    try:
        return _ANNOUNCED.validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        said = f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"
        raise WeightsError(
            f"{file}: a pin must say the commit and the SHA-256 of weights, this has {said}: "
            "delete the file, and the hub is asked again"
        ) from error
