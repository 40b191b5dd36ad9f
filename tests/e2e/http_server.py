"""The server over HTTP, in a process of its own, with an engine that answers from a script."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.deadline import DEADLINE_S

Json = dict[str, Any]
LISTENING = re.compile(r"listening on (http://\S+)")


@dataclass(frozen=True)
class HttpServer:
    """A running server."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path
    client: httpx2.Client

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """Send JSON; header names have underscores here."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.client.post(path, json=body, headers=named)

    def infill(self, before: str, after: str = "\n", **fields: Any) -> Json:
        """What is suggested between two texts."""
        body = {"input_prefix": before, "input_suffix": after, **fields}
        response = self.post("/infill", body)
        assert response.status_code == 200, response.text
        return response.json()

    def until_ready(self) -> None:
        """Wait until suggestions can be made and all files are in memory."""
        until(lambda: self.client.get("/health").status_code == 200)
        until(lambda: "the repository is in memory" in self.log.read_text())


def until(is_so: Any) -> None:
    """Wait until something is so; fail at the deadline."""
    ends = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < ends, "it did not come to be so"
        time.sleep(0.05)


@contextmanager
def serving(
    root: Path,
    folder: Path,
    answers: Sequence[Mapping[str, Any]] = ({"text": "answer()"},),
    *arguments: str,
    model: str | None = None,
    env: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[HttpServer]:
    """Run a server of HTTP alone on a folder; it must end when it is told to."""
    script = folder / "http-script.json"
    script.write_text(json.dumps({"answers": [*answers]}))
    command = [sys.executable, "-m", "lsp_server", "serve", "--http", "0", "--root", str(root)]
    command += ["--model", model or f"script:{script}", "--cache-dir", str(folder / "cache")]
    log = folder / "http.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments], stderr=output, env={**os.environ, **(env or {})}
        )
    try:
        url = address(log, process)
        limit = httpx2.Timeout(DEADLINE_S)
        with httpx2.Client(
            base_url=url, timeout=limit, trust_env=False, headers=dict(headers or {})
        ) as client:
            yield HttpServer(process, url, log, client)
        process.terminate()
        if sys.platform != "win32":
            assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def address(log: Path, process: "subprocess.Popen[bytes] | None" = None) -> str:
    """Where a server says that it listens, with the host that may be asked for."""
    found: list[str] = []

    def is_told() -> bool:
        assert process is None or process.poll() is None, log.read_text()
        found.extend(LISTENING.findall(log.read_text()))
        return bool(found)

    until(is_told)
    return found[0].replace("0.0.0.0", "127.0.0.1")
