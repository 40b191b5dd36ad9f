"""A small package index on loopback: what pip asks of one, with damage and delays on demand."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock
from typing import Any

from tests.model_sources.loopback_server import answering

BLOCK_BYTES = 1 << 18


@dataclass
class Index:
    """Wheels by file name, and what was asked for."""

    wheels: dict[str, bytes]
    held: set[str] = field(default_factory=set[str])
    """Wheels of which half is sent, and the rest when ``go_on`` is set."""
    go_on: Event = field(default_factory=Event)
    bytes_per_second: float | None = None
    """What all connections share; None for as fast as it goes."""
    sent: list[str] = field(default_factory=list[str])
    n_bytes: int = 0
    """Of wheels, that were sent."""
    url: str = ""
    _free_at: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def pace(self, n_bytes: int) -> None:
        """Wait until so many bytes may be sent."""
        with self._lock:
            self.n_bytes += n_bytes
            if self.bytes_per_second is None:
                return
            self._free_at = max(self._free_at, time.monotonic()) + n_bytes / self.bytes_per_second
            wait = self._free_at - time.monotonic()
        time.sleep(max(0.0, wait))


def _handler(index: Index) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one small class
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            page = re.fullmatch(r"/simple/([a-z0-9-]+)/", self.path)
            name = self.path.rpartition("/")[2]
            if page:
                self._send(self._page(page[1].replace("-", "_")), "text/html")
            elif name in index.wheels:
                index.sent.append(name)
                self._send(index.wheels[name], "application/zip", held=name in index.held)
            else:
                self.send_error(404)

        def _page(self, project: str) -> bytes:
            names = [name for name in index.wheels if name.startswith(f"{project}-")]
            links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
            return f"<!DOCTYPE html><html><body>{links}</body></html>".encode()

        def _send(self, data: bytes, kind: str, held: bool = False) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            half = len(data) // 2 if held else len(data)
            try:
                self._write(data[:half])
                if held:
                    index.go_on.wait(60)
                self._write(data[half:])
            except OSError:  # pip was killed
                self.close_connection = True

        def _write(self, data: bytes) -> None:
            for first in range(0, len(data), BLOCK_BYTES):
                block = data[first : first + BLOCK_BYTES]
                index.pace(len(block))
                self.wfile.write(block)

    return Handler


@contextmanager
def serve(wheels: dict[str, bytes]) -> Generator[Index]:
    """Run an index until the context ends."""
    index = Index(wheels)
    with answering(_handler(index)) as address:
        index.url = f"{address}/simple/"
        try:
            yield index
        finally:
            index.go_on.set()
