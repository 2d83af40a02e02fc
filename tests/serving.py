"""A real HTTP server in a thread, which misbehaves as it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """One file at any address but those in ``files``, and how it is served.

    ``asked`` are the Range headers of the requests so far.
    """

    content: bytes
    etag: str | None = '"one"'
    knows_ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    status: int = 200
    says_length: bool = True
    asked: list[str | None] = field(default_factory=list)
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers["Range"]
        self.asked.append(asked)
        if self.status != 200:
            handler.send_error(self.status)
            return
        content = self.files.get(handler.path.lstrip("/"), self.content)
        start = self._start(handler)
        if start and start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            end = len(content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.says_length:
            handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        stop = self.cut_after.pop(0) if self.cut_after else len(content)
        handler.wfile.write(content[start:stop])
        handler.close_connection = True

    def _start(self, handler: BaseHTTPRequestHandler) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        condition = handler.headers["If-Range"]
        if match is None or not self.knows_ranges or condition not in (None, self.etag):
            return 0
        return int(match[1])


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}/data.bin"
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
