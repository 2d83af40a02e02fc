"""Weights fetched from a hub, which is a real HTTP server in a thread here."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from tests.serving import Server, serving
from tests.transfer.conftest import files_up_to

from convoscope.arrays import Array
from convoscope.errors import DownloadError, StorageError, WeightsError
from convoscope.transfer import hub, store
from convoscope.transfer.catalogue import Backbone, Origin
from convoscope.transfer.pretrained import pretrained

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the Hugging Face hub answers for one repository: it announces the file's commit, hash
    and size, and sends one elsewhere for its bytes.
    """

    files: Server
    digest: str
    commit: str = COMMIT
    status: int = 302
    url: str = ""
    announced: int = 0
    fetched: list[str] = field(default_factory=list)

    def head(self, handler: BaseHTTPRequestHandler) -> None:
        self.announced += 1
        if self.status >= 400:
            handler.send_error(self.status)
            return
        handler.send_response(self.status)
        if self.commit:
            handler.send_header("X-Repo-Commit", self.commit)
        if self.digest:
            handler.send_header("X-Linked-Etag", f'"{self.digest}"')
        handler.send_header("X-Linked-Size", str(len(self.files.content)))
        handler.send_header("Location", "/nowhere-that-a-look-should-go")
        handler.end_headers()

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        if "/resolve/" in handler.path:
            self.fetched.append(handler.path)
            handler.send_response(302)
            handler.send_header("Location", f"{self.url}/elsewhere")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            self.files.answer(handler)


@pytest.fixture(scope="session")
def content(tiny_arrays: dict[str, Array]) -> bytes:
    """The bytes of the tiny network's safetensors file."""
    return save(tiny_arrays)


@pytest.fixture
def served(content: bytes, monkeypatch: pytest.MonkeyPatch, own_store: Path) -> Iterator[Hub]:
    """A hub that has the tiny network, and an empty store."""
    asked = Hub(Server(content), hashlib.sha256(content).hexdigest())

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.head(self)

        def do_GET(self) -> None:
            asked.get(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        asked.url = f"http://127.0.0.1:{listening.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", asked.url)
        try:
            yield asked
        finally:
            listening.shutdown()
            thread.join()


def left(own_store: Path) -> list[str]:
    """The files of downloads that are still there."""
    folder = own_store / "downloads"
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def test_weights_are_fetched_checked_kept_and_opened(
    served: Hub, tiny: Backbone, tiny_arrays: dict[str, Array], own_store: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    stored = hub.fetch(tiny.name, progress=lambda done, total: seen.append((done, total)))
    assert served.fetched == [f"/{tiny.origin.hub}/resolve/{COMMIT}/model.safetensors"]
    assert stored.origin.commit == COMMIT
    assert stored.origin.sha256 == served.digest
    assert stored.origin.place == f"{served.url}{served.fetched[0]}"
    assert stored.licence == tiny.licence
    assert seen[-1] == (len(served.files.content), len(served.files.content))
    assert left(own_store) == []
    network = pretrained(tiny.name)
    np.testing.assert_array_equal(network.parameters()["trunk.fc.weight"], tiny_arrays["fc.weight"])


@pytest.mark.usefixtures("own_store")
def test_with_the_weights_here_nothing_touches_the_network(
    served: Hub, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hub.fetch(tiny.name)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    served.files.asked.clear()
    assert hub.fetch(tiny.name) == first
    pretrained(tiny.name)
    assert (served.announced, served.files.asked) == (1, [])


def test_a_cut_download_is_gone_on_with_at_the_same_commit(
    served: Hub, tiny: Backbone, own_store: Path
) -> None:
    served.files.cut_after = [100_000, 100_000]  # the second adds nothing: it is given up
    with pytest.raises(DownloadError, match="run the same command again, it goes on where it stop"):
        hub.fetch(tiny.name)
    assert "timm-test_resnet.r160_in1k.safetensors.part" in left(own_store)
    served.files.asked.clear()
    served.commit, served.digest = "f" * 40, "f" * 64  # what the hub has by now does not matter
    assert hub.fetch(tiny.name).origin.commit == COMMIT
    assert served.files.asked == ["bytes=100000-"]
    assert served.announced == 1
    assert left(own_store) == []


def test_a_file_that_is_not_the_announced_one_is_refused_and_deleted(
    served: Hub, tiny: Backbone, own_store: Path
) -> None:
    served.files.content = bytes(len(served.files.content))
    with pytest.raises(DownloadError, match="this file must be downloaded once, but") as caught:
        hub.fetch(tiny.name)
    assert f"instead of {served.digest}" in str(caught.value)
    assert left(own_store) == []
    assert store.installed() == ()


def test_the_pin_stays_when_weights_are_removed(
    served: Hub, tiny: Backbone, own_store: Path, content: bytes
) -> None:
    hub.fetch(tiny.name)
    store.remove(tiny.name)
    pin = json.loads((own_store / "pins" / "timm-test_resnet.r160_in1k.json").read_text())
    assert (pin["sha256"], pin["commit"]) == (served.digest, COMMIT)
    served.files.content = content[:-4] + b"evil"  # another file at the pinned address
    with pytest.raises(DownloadError, match="instead of"):
        hub.fetch(tiny.name)
    served.files.content = content
    assert hub.fetch(tiny.name).origin.sha256 == served.digest
    assert served.announced == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": 404}, "answered 404 Not Found: check the network, or import a file of them"),
        ({"status": 401}, "answered 401 Unauthorized"),
        ({"digest": ""}, "announced no hash and 0123"),
        ({"digest": "ab" * 20}, "announced abababab"),
        ({"commit": ""}, "and no commit: try again later"),
    ],
)
def test_a_hub_that_does_not_announce_the_file_is_told(
    served: Hub, tiny: Backbone, own_store: Path, change: dict[str, str], said: str
) -> None:
    for name, value in change.items():
        setattr(served, name, value)
    with pytest.raises(DownloadError, match=r"backbone 'timm:test_resnet\.r160_in1k': ") as caught:
        hub.fetch(tiny.name)
    assert said in str(caught.value)
    assert not (own_store / "pins").exists()


@pytest.mark.usefixtures("own_store")
def test_a_hub_that_nobody_answers_at_is_told_with_the_other_way(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError) as caught:
        hub.fetch(tiny.name)
    assert str(caught.value) == (
        "backbone 'timm:test_resnet.r160_in1k': its weights must be downloaded once, but "
        "http://127.0.0.1:9/timm/test_resnet.r160_in1k/resolve/main/model.safetensors could not "
        "be reached (Connection refused): check the network, or import a file of them with  "
        "convoscope weights import FILE --as timm:test_resnet.r160_in1k"
    )


def test_a_full_disk_is_told_and_what_came_is_gone_on_from(
    served: Hub, tiny: Backbone, own_store: Path
) -> None:
    with files_up_to(600_000), pytest.raises(StorageError, match="more room than the disk has"):
        hub.fetch(tiny.name)
    assert store.installed() == ()
    served.files.asked.clear()
    assert hub.fetch(tiny.name).origin.sha256 == served.digest
    (asked,) = served.files.asked
    assert asked is not None
    assert 0 < int(asked.removeprefix("bytes=").rstrip("-")) <= 600_000
    assert left(own_store) == []


@pytest.mark.usefixtures("own_store")
def test_a_publishers_own_hash_needs_no_announcement(tiny: Backbone, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    with serving(Server(content)) as server:
        url = server.url.replace("data.bin", f"model-{digest[:8]}.safetensors")
        pinned = replace(tiny, origin=Origin(urls=(url,), sha256=digest[:8]))
        stored = hub.fetch_backbone(pinned)
        assert stored.origin.sha256 == digest
        assert (stored.origin.commit, stored.origin.place) == ("", url)
        store.remove(tiny.name)
        wrong = replace(tiny, origin=Origin(urls=(url,), sha256="0" * 8))
        with pytest.raises(DownloadError, match=f"SHA-256 {digest[:8]} instead of 00000000"):
            hub.fetch_backbone(wrong)


def test_the_right_bytes_of_another_network_are_refused(
    served: Hub, tiny: Backbone, own_store: Path
) -> None:
    served.files.content = save({"other.weight": np.ones(3, np.float32)})
    served.digest = hashlib.sha256(served.files.content).hexdigest()
    with pytest.raises(WeightsError, match=r"this file of 1 arrays lacks"):
        hub.fetch(tiny.name)
    assert store.installed() == ()


@pytest.mark.usefixtures("own_store")
def test_a_backbone_without_any_publisher_is_told(tiny: Backbone) -> None:
    with pytest.raises(DownloadError, match="this one has none: choose another tag, or import"):
        hub.fetch_backbone(replace(tiny, origin=Origin()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "content: Invalid JSON"),
        ("[]", "this has content: "),
        ('{"schema_version": 9}', "schema_version: Input should be 1"),
        ('{"schema_version": 1, "hub": "timm/x", "commit": "c"}', "sha256: Field required"),
    ],
)
def test_a_pin_that_cannot_be_read_is_told(
    tiny: Backbone, own_store: Path, content: str, said: str
) -> None:
    file = own_store / "pins" / "timm-test_resnet.r160_in1k.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(WeightsError, match="a pin must say the commit and the SHA-256") as caught:
        hub.fetch(tiny.name)
    assert said in str(caught.value)
    assert str(caught.value).endswith("delete the file, and the hub is asked again")
