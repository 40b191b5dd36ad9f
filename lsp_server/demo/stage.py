"""Two servers with one model: one has the project, the other an empty folder."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.demo.answers import Answer
from lsp_server.demo.places import Place

Json = dict[str, Any]

CHECK_EVERY_S = 0.2
SETTINGS: Json = {
    "log": {"level": "error"},
    "indexing": {"pauseOnBattery": False},
    "completion": {
        "candidates": 1,
        "timeoutMs": 120_000,
        "ahead": False,
        "maxTokens": 32,
        "definitionTokens": 256,
    },
}
"""Settings of both servers: short prompts, one suggestion, nothing that is not shown."""


@dataclass
class Sheet:
    """A document in which a line is typed."""

    client: HeadlessClient
    place: Place
    uri: str
    version: int = 1

    def type(self, typed: str) -> None:
        """Have so much of the line typed."""
        self.version += 1
        opened = self.place.untyped()
        self.client.change(self.uri, self.version, opened.before + typed + opened.after)

    async def ask(self) -> Answer:
        """Ask for a suggestion at the end of what is typed."""
        started = time.perf_counter()
        text = await self.client.complete(self.uri, self.place.position)
        seconds = time.perf_counter() - started
        return Answer(text, seconds, await self.client.explain() or {})


@dataclass(frozen=True)
class Stage:
    """Both servers, ready to be asked."""

    project: HeadlessClient
    alone: HeadlessClient

    def in_project(self, place: Place) -> Sheet:
        """Open a place's file in its project, with nothing typed on the line."""
        return _opened(self.project, place, place.untyped().text)

    def by_itself(self, place: Place) -> Sheet:
        """Open a place's file in the empty folder, with the line typed."""
        return _opened(self.alone, place, place.text)


@asynccontextmanager
async def two_servers(
    root: Path, places: Sequence[Place], settings: Json
) -> AsyncGenerator[Stage, None]:
    """Yield both servers once the model is loaded.

    The files of the places are left out of memory, as the ends of the lines stand in them.

    Args:
        root: the project's folder.
        places: what will be completed.
        settings: the user's settings.

    Raises:
        RuntimeError: the engine could not be started; the message says why.
    """
    memory = {**settings.get("memory", {}), "exclude": [pattern_of(place.file) for place in places]}
    settings = {**SETTINGS, **settings, "memory": memory}
    async with AsyncExitStack() as stack:
        empty = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="longllama-demo-")))
        alone = empty / root.name
        alone.mkdir()
        clients: list[HeadlessClient] = []
        for folder in (root, alone):
            client = await stack.enter_async_context(headless(folder, settings))
            await until(client, lambda status: status["phase"] != "loading")
            clients.append(client)
        yield Stage(*clients)


def pattern_of(file: str) -> str:
    """Return the pattern, in gitignore syntax, that fits one path below the project alone."""
    return "/" + re.sub(r"[\\*?\[\]!# ]", r"\\\g<0>", file)


async def until(
    client: HeadlessClient, holds: Callable[[Json], bool], seconds: float | None = None
) -> bool:
    """Wait until a status holds; return False if that took longer than it may.

    Raises:
        RuntimeError: the engine failed, or the server has ended.
    """

    async def wait() -> None:
        while True:
            status = await client.status()
            if status["phase"] == "failed":
                raise RuntimeError(status["message"])
            if holds(status):
                return
            await asyncio.sleep(CHECK_EVERY_S)

    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(wait(), seconds)
        return True
    return False


def _opened(client: HeadlessClient, place: Place, text: str) -> Sheet:
    return Sheet(client, place, client.open(client.root / place.file, text))
