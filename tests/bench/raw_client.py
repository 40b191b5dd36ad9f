"""A raw client that sends any message and counts the answers to each request.

For the soak and the fuzz, which must see an answer that comes twice, or not at all.
"""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from lsp_server.engine.python_command import python_command

Json = dict[str, Any]


class RawClient:
    """A server process and the messages between it and us."""

    def __init__(self, root: Path, settings: Json, deadline_s: float = 60.0) -> None:
        self.root, self.settings = root, settings
        self.n_answers: Counter[Any] = Counter()
        """Answers by the id of their request."""
        self.n_sent = 0
        self.phase: str | None = None
        self.messages: list[str] = []
        """Messages that the server showed to the user."""
        self.header: Callable[[int], bytes] = lambda length: b"Content-Length: %d\r\n\r\n" % length
        """Returns the headers of a message of a length."""
        self._deadline_s = deadline_s
        self._waiting: dict[Any, asyncio.Future[Json]] = {}
        self._ids = itertools.count(1)

    async def start(
        self,
        log: Path,
        *,
        encoding: str = "utf-16",
        can: Json | None = None,
        more: Json | None = None,
    ) -> Json:
        """Start the server and shake hands; its capabilities."""
        pipe = asyncio.subprocess.PIPE
        with log.open("wb") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *python_command("lsp_server.__main__"),
                "serve",
                stdin=pipe,
                stdout=pipe,
                stderr=stderr,
                limit=1 << 26,
            )
        self._reader = asyncio.create_task(self._read())
        folder = {"uri": self.root.as_uri(), "name": self.root.name}
        result = await self.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": None,
                "capabilities": {
                    "general": {"positionEncodings": [encoding]},
                    "textDocument": {"inlineCompletion": {}},
                    **(can or {}),
                },
                "initializationOptions": self.settings,
                "workspaceFolders": [folder],
                **(more or {}),
            },
        )
        self.notify("initialized", {})
        return result["result"]

    @property
    def server(self) -> psutil.Process:
        """The server's process."""
        return psutil.Process(self._process.pid)

    @property
    def lives(self) -> bool:
        """Whether the server still runs."""
        return self._process.returncode is None

    def send_bytes(self, data: bytes) -> None:
        """Send anything at all."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self.n_sent += 1

    def send(self, message: Json) -> None:
        """Send a message."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_bytes(self.header(len(body)) + body)

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.send({"method": method, "params": params})

    def request(self, method: str, params: Any) -> "asyncio.Future[Json]":
        """Send a request; its whole answer, with ``result`` or ``error``."""
        msg_id = next(self._ids)
        future = self._waiting[msg_id] = asyncio.get_running_loop().create_future()
        self.n_answers[msg_id] = 0
        future.msg_id = msg_id  # type: ignore[attr-defined]
        self.send({"id": msg_id, "method": method, "params": params})
        return future

    async def ask(self, method: str, params: Any = None) -> Json:
        """Return a request and its answer."""
        return await asyncio.wait_for(self.request(method, params or {}), self._deadline_s)

    async def all_answered(self) -> None:
        """Wait until no request is without an answer, and the server has read all."""
        assert self._process.stdin is not None
        await asyncio.wait_for(self._process.stdin.drain(), self._deadline_s)
        if self._waiting:
            await asyncio.wait(self._waiting.values(), timeout=self._deadline_s)
        if self._waiting:
            raise TimeoutError(f"requests without an answer: {sorted(self._waiting)[:10]}")

    async def end(self) -> int:
        """Leave in good order; the server's exit code."""
        with suppress(TimeoutError, asyncio.TimeoutError):
            await self.ask("shutdown")
        self.notify("exit", None)
        code = await asyncio.wait_for(self._process.wait(), self._deadline_s)
        self._reader.cancel()
        return code

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while header := await stream.readline():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif not header.strip():
                self._take(json.loads(await stream.readexactly(length)))

    def _take(self, message: Json) -> None:
        if "method" not in message:
            self.n_answers[message["id"]] += 1
            if future := self._waiting.pop(message["id"], None):
                future.set_result(message)
            return
        if "id" in message:
            self.send({"id": message["id"], "result": None})
        elif message["method"] == "longllama/didChangeStatus":
            self.phase = message["params"]["phase"]
        elif message["method"] == "window/showMessage":
            self.messages.append(message["params"]["message"])


def scripted(folder: Path, **script: Any) -> Json:
    """Settings of an engine that answers from a script, and of suggestions without delay."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    return {
        "model": {"path": f"script:{path}"},
        "trigger": {"debounceMs": 0},
        "memory": {"maxTokens": 100_000_000},
        "indexing": {"pauseOnBattery": False},
    }
