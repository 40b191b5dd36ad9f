"""An editor without a screen, for tests that know no asyncio: every call waits for its answer."""

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
"""The seeded random model, which needs no download and always writes the same; nothing is kept."""


def script_settings(folder: Path, answers: Sequence[Json]) -> Json:
    """The settings of an engine that gives these answers; they are written into the folder."""
    handle, path = tempfile.mkstemp(".json", "answers-", folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"answers": list(answers)}, file)
    return {"model": {"path": f"script:{path}"}}


@dataclass(frozen=True)
class Suggested:
    """An answer of the server."""

    text: str
    """What would be inserted at the cursor; empty if nothing is."""
    reason: str | None
    """Why the text is empty."""
    sources: tuple[str, ...]
    """Files that it drew on, by their path in the workspace; most first."""


class Editor:
    """One editor with a server of its own, between ``start`` and ``close``.

    Raises `TimeoutError` where the server does not answer in time.
    """

    def __init__(self, name: str, root: Path, settings: Json, timeout_s: float) -> None:
        self.name = name
        self.root = root
        self.statuses: list[Json] = []
        """Every ``longllama/didChangeStatus`` so far."""
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._capabilities = capabilities_of(name)
        self._life: AbstractAsyncContextManager[HeadlessClient] = headless(
            root, settings, self.statuses.append, capabilities=self._capabilities
        )
        self._client: HeadlessClient | None = None

    def start(self) -> "Editor":
        """Start the server and shake hands."""
        self._client = self._wait(self._life.__aenter__())
        return self

    def close(self) -> None:
        """Leave in good order."""
        if self._client is not None:
            self._wait(self._life.__aexit__(None, None, None))
        self._loop.close()

    @property
    def warnings(self) -> list[str]:
        """What the server showed to the user."""
        return self._connected.warnings

    def wait_until_indexed(self) -> Json:
        """Wait for the workspace to be in memory; the status then."""
        return self._wait(self._connected.wait_until_indexed())

    def suggest(self, path: str, text: str) -> Suggested:
        """Open a file with a text, on disk or not, and ask at its end."""
        return self.suggest_at(path, text, len(text))

    def suggest_at(self, path: str, text: str, offset: int) -> Suggested:
        """The same, with the cursor before the character at ``offset`` (code points from 0)."""
        client = self._connected
        uri = client.open(self.root / path, text)
        position = Document(uri, "", 1, text).position(offset, client.encoding)
        inserted = self._wait(self._ask_for_text(uri, position))
        explained: Json = self.request("longllama/explain") or {}
        sources = dict.fromkeys(source["path"] for source in explained.get("sources", ()))
        return Suggested(inserted, explained.get("reason"), tuple(sources))

    def memory(self) -> dict[str, Json]:
        """Every file that the server knows, by its path: its state, and why it is left out."""
        return {file["path"]: file for file in self.request("longllama/memory")["files"]}

    def command(self, name: str, *arguments: Any) -> Any:
        """Run a command, such as ``longllama.toggle``."""
        params = types.ExecuteCommandParams(name, arguments=list(arguments))
        return self._wait(self._connected.workspace_execute_command_async(params))

    def request(self, method: str, **params: Any) -> Any:
        """A request of the server's own kind; its answer as plain values."""
        return self._wait(self._connected.request(method, **params))

    async def _ask_for_text(self, uri: str, position: Position) -> str:
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
"""``start(name="vscode", *, settings=None, answers=None)``: what ``longllama_editor`` is."""
