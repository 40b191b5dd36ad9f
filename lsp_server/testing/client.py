"""Blocking LSP client for tests without asyncio."""

import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Document, Position
from lsp_server.testing.editors import capabilities_of

Json = dict[str, Any]
T = TypeVar("T")

SETTINGS: Json = {
    "model": {"path": "tiny", "threads": 1},
    "memory": {"persist": False},
    "trigger": {"debounceMs": 0},
    "engine": {"shared": False},
}
"""Defaults: a random model with a fixed seed, which needs no download, and nothing on disk."""


def script_settings(folder: Path, answers: Sequence[Json]) -> Json:
    """Return settings of an engine that gives these answers, which are written to the folder."""
    handle, path = tempfile.mkstemp(".json", "answers-", folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"answers": list(answers)}, file)
    return {"model": {"path": f"script:{path}"}}


@dataclass(frozen=True)
class Suggested:
    """Suggestion of the server."""

    text: str
    """Text to insert at the cursor; empty if nothing is suggested."""
    reason: str | None
    """Code of the reason why the text is empty; None if it is not."""
    sources: tuple[str, ...]
    """Paths in the workspace of the files that it drew on, most important first."""


class Editor:
    """Editor with its own server, from ``start`` to ``close``.

    All methods raise `TimeoutError` if the server does not respond in time.
    """

    def __init__(self, name: str, root: Path, settings: Json, timeout_s: float) -> None:
        self.name = name
        self.root = root
        self.statuses: list[Json] = []
        """Parameters of every ``longllama/didChangeStatus`` so far."""
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._capabilities = capabilities_of(name)
        self._connection: AbstractAsyncContextManager[HeadlessClient] = headless(
            root, settings, self.statuses.append, capabilities=self._capabilities
        )
        self._client: HeadlessClient | None = None

    def start(self) -> "Editor":
        """Start the server and complete the handshake."""
        self._client = self._wait(self._connection.__aenter__())
        return self

    def close(self) -> None:
        """Shut the server down."""
        if self._client is not None:
            self._wait(self._connection.__aexit__(None, None, None))
        self._loop.close()

    @property
    def warnings(self) -> list[str]:
        """Messages that the server showed to the user."""
        return self._connected.warnings

    def wait_until_indexed(self) -> Json:
        """Wait until the workspace is in memory, and return the status."""
        return self._wait(self._connected.wait_until_indexed())

    def suggest(self, path: str, text: str) -> Suggested:
        """Open a document with a text, whether it is on disk or not, and complete at its end."""
        return self.suggest_at(path, text, len(text))

    def suggest_at(self, path: str, text: str, offset: int) -> Suggested:
        """Open a document and complete at an offset in code points."""
        client = self._connected
        uri = client.open(self.root / path, text)
        position = Document(uri, "", 1, text).position(offset, client.encoding)
        inserted = self._wait(self._complete(uri, position))
        explained: Json = self.request("longllama/explain") or {}
        sources = dict.fromkeys(source["path"] for source in explained.get("sources", ()))
        return Suggested(inserted, explained.get("reason"), tuple(sources))

    def memory(self) -> dict[str, Json]:
        """Return the state of every known file by its path, as ``longllama/memory`` reports it."""
        return {file["path"]: file for file in self.request("longllama/memory")["files"]}

    def command(self, name: str, *arguments: Any) -> Any:
        """Run a command, such as ``longllama.toggle``, and return its result."""
        params = types.ExecuteCommandParams(name, arguments=list(arguments))
        return self._wait(self._connected.workspace_execute_command_async(params))

    def request(self, method: str, **params: Any) -> Any:
        """Send a request such as ``longllama/status``, and return its result as plain values."""
        return self._wait(self._connected.request(method, **params))

    async def _complete(self, uri: str, position: Position) -> str:
        text_document = self._capabilities.text_document
        if text_document is not None and text_document.inline_completion is not None:
            return await self._connected.complete(uri, position)
        return await self._connected.complete_in_popup(uri, position)

    @property
    def _connected(self) -> HeadlessClient:
        if self._client is None:
            raise RuntimeError("the editor was not started; call start() first.")
        return self._client

    def _wait(self, work: Awaitable[T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(work, self._timeout_s))


StartEditor = Callable[..., Editor]
"""Type of the fixture ``longllama_editor``: ``(name="vscode", *, settings=None, answers=None)``."""
