"""A small model hub on loopback: what ``huggingface_hub`` asks of one, ranges and errors too."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.model_sources.loopback_server import answering

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories by name, and what was asked for."""

    repositories: dict[str, Mapping[str, bytes]]
    refused: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """Repository → status and error code that it is answered with."""
    breaks_after: dict[str, int] = field(default_factory=dict[str, int])
    """File → bytes after which its connection breaks, once."""
    sent: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """File and first byte of each that was sent."""
    url: str = ""


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one small class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path)
            file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            found = listing or file
            name = found[1] if found else ""
            if name in hub.refused:
                status, code = hub.refused[name]
                return self._send(status, b"", {"X-Error-Code": code})
            if found is None or name not in hub.repositories:
                return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            if found[2] not in (None, "main", COMMIT):
                return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            if listing:
                return self._send(200, self._listing(name), {"Content-Type": "application/json"})
            return self._file(name, file[3] if file else "", with_body)

        def _listing(self, name: str) -> bytes:
            files = hub.repositories[name]
            siblings = [{"rfilename": f, "size": len(data)} for f, data in files.items()]
            return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()

        def _file(self, name: str, file: str, with_body: bool) -> None:
            data = hub.repositories[name].get(file)
            if data is None:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            etag = hashlib.sha256(data).hexdigest()
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(start[1]) if start else 0
            if first:
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            if with_body:
                hub.sent.append((file, first))
            self._send(206 if first else 200, data[first:], headers, with_body, file)

        def _send(
            self,
            status: int,
            data: bytes,
            headers: Mapping[str, str],
            with_body: bool = True,
            file: str = "",
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if with_body and file in hub.breaks_after:
                self.wfile.write(data[: hub.breaks_after.pop(file)])
                self.close_connection = True
            elif with_body:
                self.wfile.write(data)

    return Handler


@contextmanager
def serve(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    """Run a hub until the context ends."""
    hub = Hub(dict(repositories))
    with answering(_handler(hub)) as hub.url:
        yield hub
