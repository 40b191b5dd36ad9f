"""``longllama-lsp replay``: a recorded editor speaks to a server once more; answers are compared.

Messages are sent in their order. Where an answer stood, it is waited for, and where the server said
that the repository is in memory, that is waited for; so the same things are known at the same
moments. What the server asks is answered as the editor did. Notifications of the server are not
compared, nor what is never twice the same: its status, times, process ids.
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

from lsp_server.clients.recording import (
    Json,
    Line,
    framed,
    frames,
    read_session,
    with_root,
    without_root,
)
from lsp_server.engine.stdio import python_command
from lsp_server.methods import DID_CHANGE_STATUS, STATUS, WAIT_UNTIL_INDEXED

TIMEOUT_S = 60.0
NEVER_THE_SAME = frozenset({"engine_pid", "tokens_per_second", "seconds_left", "serverInfo"})


@dataclass(frozen=True)
class Difference:
    """An answer that is not the recorded one."""

    method: str
    """What was asked."""
    request: Json
    recorded: Any
    """What the server answered then: the result, or the error."""
    replayed: Any
    """What it answers now."""

    def __str__(self) -> str:
        lines = (self.method, f"  recorded: {_short(self.recorded)}")
        return "\n".join((*lines, f"  replayed: {_short(self.replayed)}"))


def replay(
    session: Path, root: Path, arguments: Sequence[str] = (), timeout_s: float = TIMEOUT_S
) -> list[Difference]:
    """Replay a session on a workspace folder; the answers that differ.

    Args:
        session: the file that ``record`` wrote.
        root: a folder with the files that the session was recorded on.
        arguments: of ``longllama-lsp serve``, such as ``("--model", "tiny")``.
        timeout_s: how long a single answer may take.

    Raises:
        TimeoutError: an answer did not come.
        ValueError: the file is no session.
    """
    lines = read_session(session)
    server = _Server(root.absolute(), lines, arguments, timeout_s)
    try:
        return [found for line in lines for found in server.play(line)]
    finally:
        server.end()


class _Server:
    """A server process, and what it has answered."""

    def __init__(
        self, root: Path, lines: Sequence[Line], arguments: Sequence[str], timeout_s: float
    ) -> None:
        self._root, self._timeout_s = root, timeout_s
        self._asked: dict[Any, Json] = {}
        self._answers: dict[Any, Json] = {}
        self._n_waits = 0
        self._replies = _replies(lines)
        self._inbox: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        command = [*python_command("lsp_server.__main__"), "serve", *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
        )
        threading.Thread(target=self._read, daemon=True).start()

    def play(self, line: Line) -> list[Difference]:
        """Do what a line says: send it, or wait for it."""
        message = line.message
        if line.sender == "editor":
            if "method" in message:
                self._send(message)
        elif message.get("id") in self._asked and "method" not in message:
            return self._compare(message)
        elif _says_ready(message):
            self._n_waits += 1
            wait: Json = {
                "jsonrpc": "2.0",
                "id": f"replay-{self._n_waits}",
                "method": WAIT_UNTIL_INDEXED,
                "params": {},
            }
            self._send(wait)
            self._answer(wait["id"])
        return []

    def end(self) -> None:
        """Close its stdin, which ends it."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended by itself, with something unread
            self._process.stdin.close()
        try:
            self._process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _compare(self, recorded: Json) -> list[Difference]:
        request = self._asked[recorded["id"]]
        then = _comparable(recorded)
        now = _comparable(without_root(self._answer(recorded["id"]), self._root.as_posix()))
        is_alike = then == now or request["method"] == STATUS
        return [] if is_alike else [Difference(request["method"], request, then, now)]

    def _send(self, message: Json) -> None:
        if "id" in message and "method" in message:
            self._asked[message["id"]] = message
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended; whoever waits for an answer will be told
            self._process.stdin.write(framed(json.dumps(with_root(message, self._root)).encode()))
            self._process.stdin.flush()

    def _answer(self, request_id: Any) -> Json:
        """The answer to a request; until it comes, the server's own requests are answered."""
        deadline = time.monotonic() + self._timeout_s
        while request_id not in self._answers:
            method = self._asked[request_id]["method"]
            try:
                message = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"{method} has no answer after {self._timeout_s:g} s") from None
            if message is None:
                raise TimeoutError(f"{method} has no answer: the server has ended")
            self._take(message)
        return self._answers[request_id]

    def _take(self, message: Json) -> None:
        if "id" not in message:
            return
        if "method" not in message:
            self._answers[message["id"]] = message
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
    """What the editor answered to each method that the server asked of it, in order."""
    asked = {
        line.message["id"]: line.message["method"]
        for line in lines
        if line.sender == "server" and "id" in line.message and "method" in line.message
    }
    replies: defaultdict[str, deque[Json]] = defaultdict(deque)
    for line in lines:
        message = line.message
        is_reply = line.sender == "editor" and "method" not in message
        if is_reply and message.get("id") in asked:
            replies[asked[message["id"]]].append(message)
    return replies


def _says_ready(message: Json) -> bool:
    is_status = message.get("method") == DID_CHANGE_STATUS
    return is_status and message["params"]["phase"] == "ready"


def _comparable(answer: Json) -> Any:
    """The result or error of an answer, without what is never twice the same."""
    error = answer.get("error")
    return {"error": error["code"]} if error else _stable(answer.get("result"))


def _stable(value: Any) -> Any:
    if isinstance(value, list):
        return [_stable(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {
            key: _stable(item)
            for key, item in cast("dict[str, Any]", value).items()
            if key not in NEVER_THE_SAME and not key.endswith("_ms")
        }
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}…"
