"""Replaying a recorded session against a new server (``longllama-lsp replay``).

The editor's messages are sent in order. The replay waits for a response wherever the recording has
one, and for indexing wherever the recorded server reported that the repository is in memory, so
that the server has the same state at each step. Requests of the server get the responses that the
editor gave. Responses are compared except for what differs in every run: the status, times and
process ids. Notifications of the server are not compared.
"""

import json
import queue
import subprocess
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lsprotocol.types import INITIALIZE

from lsp_server.clients.recording import (
    Json,
    Line,
    framed,
    frames,
    read_session,
    with_root,
    without_root,
)
from lsp_server.engine.python_command import python_command
from lsp_server.methods import DID_CHANGE_STATUS, STATUS, WAIT_UNTIL_INDEXED

TIMEOUT_S = 60.0
VOLATILE_KEYS = frozenset(
    {"engine_pid", "tokens_per_second", "seconds_left", "progress", "serverInfo"}
)


@dataclass(frozen=True)
class Difference:
    """Response that differs from the recorded one."""

    method: str
    request: Json
    recorded: Any
    """Result or error in the recording."""
    replayed: Any
    """Result or error in the replay."""

    def __str__(self) -> str:
        lines = (self.method, f"  recorded: {_short(self.recorded)}")
        return "\n".join((*lines, f"  replayed: {_short(self.replayed)}"))


def replay(
    session: Path, root: Path, arguments: Sequence[str] = (), timeout_s: float = TIMEOUT_S
) -> list[Difference]:
    """Replay a session on a workspace folder, and return the responses that differ.

    Args:
        session: file written by ``record``.
        root: folder with the files that the session was recorded on.
        arguments: arguments of ``longllama-lsp serve``, such as ``("--model", "tiny")``.
        timeout_s: seconds to wait for one response.

    Raises:
        TimeoutError: a response did not come.
        ValueError: the file is not a session.
    """
    lines = read_session(session)
    server = _Server(root.absolute(), lines, arguments, timeout_s)
    try:
        return [found for line in lines for found in server.play(line)]
    finally:
        server.end()


class _Server:
    """Server process and its responses."""

    def __init__(
        self, root: Path, lines: Sequence[Line], arguments: Sequence[str], timeout_s: float
    ) -> None:
        self._root, self._timeout_s = root, timeout_s
        self._requests: dict[Any, Json] = {}
        self._responses: dict[Any, Json] = {}
        self._n_waits = 0
        self._replies = _replies(lines)
        self._inbox: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        command = [*python_command("lsp_server.__main__"), "serve", *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
        )
        threading.Thread(target=self._read, daemon=True).start()

    def play(self, line: Line) -> list[Difference]:
        """Send the editor's message, or wait for the server's."""
        message = line.message
        if line.sender == "editor":
            if "method" in message:
                self._send(_uncounted(message))
        elif message.get("id") in self._requests and "method" not in message:
            return self._compare(message)
        elif _reports_ready(message):
            self._n_waits += 1
            wait: Json = {
                "jsonrpc": "2.0",
                "id": f"replay-{self._n_waits}",
                "method": WAIT_UNTIL_INDEXED,
                "params": {},
            }
            self._send(wait)
            self._response(wait["id"])
        return []

    def end(self) -> None:
        """End the server by closing its stdin."""
        assert self._process.stdin is not None
        with suppress(OSError):  # the server has ended already, with unread data
            self._process.stdin.close()
        try:
            self._process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _compare(self, recorded: Json) -> list[Difference]:
        request = self._requests[recorded["id"]]
        then = _comparable(recorded)
        now = _comparable(without_root(self._response(recorded["id"]), self._root.as_posix()))
        is_same = then == now or request["method"] == STATUS
        return [] if is_same else [Difference(request["method"], request, then, now)]

    def _send(self, message: Json) -> None:
        if "id" in message and "method" in message:
            self._requests[message["id"]] = message
        assert self._process.stdin is not None
        with suppress(OSError):  # the server has ended, which waiting for a response reports
            self._process.stdin.write(framed(json.dumps(with_root(message, self._root)).encode()))
            self._process.stdin.flush()

    def _response(self, request_id: Any) -> Json:
        """Wait for the response to a request; meanwhile, respond to requests of the server."""
        deadline = time.monotonic() + self._timeout_s
        while request_id not in self._responses:
            method = self._requests[request_id]["method"]
            try:
                message = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(
                    f"{method} has no response after {self._timeout_s:g} s"
                ) from None
            if message is None:
                raise TimeoutError(f"{method} has no response: the server has ended")
            self._handle(message)
        return self._responses[request_id]

    def _handle(self, message: Json) -> None:
        if "id" not in message:
            return
        if "method" not in message:
            self._responses[message["id"]] = message
            return
        replies = self._replies[message["method"]]
        reply = replies.popleft() if replies else {"result": None}
        self._send({**reply, "jsonrpc": "2.0", "id": message["id"]})

    def _read(self) -> None:
        assert self._process.stdout is not None
        for body in frames(self._process.stdout):
            self._inbox.put(json.loads(body))
        self._inbox.put(None)


def _replies(lines: Sequence[Line]) -> defaultdict[str, deque[Json]]:
    """Return the editor's responses to requests of the server, by method and in order."""
    methods = {
        line.message["id"]: line.message["method"]
        for line in lines
        if line.sender == "server" and "id" in line.message and "method" in line.message
    }
    replies: defaultdict[str, deque[Json]] = defaultdict(deque)
    for line in lines:
        message = line.message
        is_reply = line.sender == "editor" and "method" not in message
        if is_reply and message.get("id") in methods:
            replies[methods[message["id"]]].append(message)
    return replies


def _reports_ready(message: Json) -> bool:
    is_status = message.get("method") == DID_CHANGE_STATUS
    return is_status and message["params"]["phase"] == "ready"


def _comparable(response: Json) -> Any:
    """Return the result or error of a response, without what differs in every run."""
    error = response.get("error")
    return {"error": error["code"]} if error else _stable(response.get("result"))


def _stable(value: Any) -> Any:
    if isinstance(value, list):
        return [_stable(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {
            key: _stable(item)
            for key, item in cast("dict[str, Any]", value).items()
            if key not in VOLATILE_KEYS and not key.endswith("_ms")
        }
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}…"


def _uncounted(message: Json) -> Json:
    """Return a message that, if it begins the session, has it not counted: nobody types here."""
    if message["method"] != INITIALIZE:
        return message
    params = message["params"]
    options = params.get("initializationOptions")
    settings = {**(options if isinstance(options, dict) else {}), "statistics": {"enable": False}}
    return {**message, "params": {**params, "initializationOptions": settings}}
