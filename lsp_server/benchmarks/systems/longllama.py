"""This server over stdio, as a compared system."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psutil
from lsprotocol import types

from lsp_server.benchmarks.systems.system import Answer, Loaded, SystemGoneError
from lsp_server.benchmarks.workspaces.memory_report import unexpected_in_memory
from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.convert import uri_of
from lsp_server.documents.document import Document, Position
from lsp_server.methods import DID_MOVE_CURSOR, MEMORY

Json = dict[str, Any]
T = TypeVar("T")

ANSWER_TIMEOUT_S = 600.0
INDEX_TIMEOUT_S = 6 * 3600.0
POLL_S = 0.5
SETTLES_S = 5.0
"""Time in which the server and its engine come to say the same of their memory."""
_ENGINE_PREFIX = "engine_"
"""Prefix of reason codes of requests that the engine did not answer."""


@asynccontextmanager
async def our_server(
    folder: Path, settings: Mapping[str, Any], *, only_open_file: bool = False
) -> AsyncGenerator["OurServer", None]:
    """Yield a new server with a folder as its workspace.

    Args:
        folder: the workspace.
        settings: ``initializationOptions``.
        only_open_file: whether the workspace must hold no file but the open one.

    Raises:
        RuntimeError: the model cannot be run.
    """
    async with headless(folder, dict(settings)) as client:
        server = OurServer(client, folder, only_open_file=only_open_file)
        await server.wait_until_indexed()
        yield server


class OurServer:
    """A `System`: one server process and its only client."""

    def __init__(
        self, client: HeadlessClient, folder: Path, *, only_open_file: bool = False
    ) -> None:
        self._client, self._folder = client, folder
        self._only_open_file = only_open_file
        self._uri, self._text, self._version = "", "", 0
        self._file = ""
        self._engine: psutil.Process | None = None

    async def open(self, file: str, text: str) -> Loaded:
        """Open a document and wait until the repository is in memory.

        If the workspace must hold nothing else, the file opened before is removed from the disk.

        Raises:
            RuntimeError: something else than the workspace's files is in memory.
            SystemGoneError: the server has ended, or takes too long.
        """
        await self.close()
        if self._only_open_file:
            await self._remove_last_file(file)
        started = time.perf_counter()
        self._file, self._text, self._version = file, text, 1
        with self._gone_if_stopped():
            self._uri = self._client.open(self._folder / file, text)
        status = await self.wait_until_indexed()
        seconds = time.perf_counter() - started
        return _loaded(await self._checked(status), seconds)

    async def move_cursor(self, offset: int) -> None:
        """Tell the server where the cursor is, as this project's editor clients do."""
        place = self._position(offset)._asdict()
        with self._gone_if_stopped():
            self._client.protocol.notify(
                DID_MOVE_CURSOR, {"textDocument": {"uri": self._uri}, "position": place}
            )

    async def change(self, start: int, end: int, text: str) -> None:
        """Replace a part of the document."""
        places = [self._position(offset) for offset in (start, end)]
        begin, stop = (types.Position(at.line, at.character) for at in places)
        self._version += 1
        self._text = self._text[:start] + text + self._text[end:]
        change = types.TextDocumentContentChangePartial(types.Range(begin, stop), text)
        document = types.VersionedTextDocumentIdentifier(self._version, self._uri)
        params = types.DidChangeTextDocumentParams(document, [change])
        with self._gone_if_stopped():
            self._client.text_document_did_change(params)

    async def complete(self, offset: int, *, automatic: bool = False) -> Answer:
        """Return the suggestion at a cursor. A cancelled call cancels the request.

        Raises:
            RuntimeError: the engine did not answer.
            SystemGoneError: the server has ended, or takes too long.
        """
        kinds = types.InlineCompletionTriggerKind
        at = self._position(offset)
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(kinds.Automatic if automatic else kinds.Invoked),
            types.TextDocumentIdentifier(self._uri),
            types.Position(at.line, at.character),
        )
        started = time.perf_counter()
        answer = await self._wait_for(self._request(params), ANSWER_TIMEOUT_S)
        seconds = time.perf_counter() - started
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        text = str(items[0].insert_text) if items else ""
        explained = await self._wait_for(self._client.explain(), ANSWER_TIMEOUT_S) or {}
        return self._answer(text, explained, seconds)

    async def _request(self, params: types.InlineCompletionParams) -> Any:
        """Send a request, and cancel it at the server if it is cancelled here."""
        protocol, request_id = self._client.protocol, str(uuid4())
        response = protocol.send_request_async(
            types.TEXT_DOCUMENT_INLINE_COMPLETION, params, request_id
        )
        try:
            return await asyncio.shield(response)  # pygls still resolves what was cancelled
        except asyncio.CancelledError:
            response.add_done_callback(_ignore_result)
            if not self._client.stopped:
                protocol.notify(types.CANCEL_REQUEST, types.CancelParams(request_id))
            raise

    async def save_other(self, file: str, text: str) -> None:
        """Write another file, and wait until the memory has its new text."""
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
        self._files_changed({path: types.FileChangeType.Changed})
        await self.wait_until_indexed()

    async def close(self) -> None:
        """Close the document, if one is open."""
        uri, self._uri = self._uri, ""
        if uri and not self._client.stopped:
            document = types.TextDocumentIdentifier(uri)
            self._client.text_document_did_close(types.DidCloseTextDocumentParams(document))

    async def wait_until_indexed(self) -> Json:
        """Wait until the memory is up to date, and return the status of server and engine.

        Raises:
            RuntimeError: the memory cannot be brought up to date.
        """
        status = await self._wait_for(self._client.wait_until_indexed(), INDEX_TIMEOUT_S)
        if status["phase"] != "ready":
            raise RuntimeError(f"the server is {status['phase']!r}: {status['message']}")
        status = await self._wait_for(self._client.status(), ANSWER_TIMEOUT_S)
        pid = status.get("engine_pid")
        self._engine = psutil.Process(pid) if pid else None
        return status

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of the engine since it began; None if it cannot be told."""
        with suppress(psutil.Error):
            if self._engine is not None:
                times = self._engine.cpu_times()
                return times.user + times.system
        return None

    def _position(self, offset: int) -> Position:
        return Document(self._uri, "", 1, self._text).position(offset, self._client.encoding)

    async def _remove_last_file(self, file: str) -> None:
        previous, path = self._folder / self._file, self._folder / file
        changes = {path: types.FileChangeType.Created} if path.is_file() else {}
        if self._file and previous != path:
            previous.unlink(missing_ok=True)
            changes[previous] = types.FileChangeType.Deleted
        self._files_changed(changes)
        await self.wait_until_indexed()

    async def _checked(self, status: Json) -> Json:
        """Return the status once nothing but the workspace's files is in memory.

        Status and memory are two answers. Where a file is taken in or forgotten between them, they
        contradict each other, and both are asked for again.

        Raises:
            RuntimeError: something else stays in memory.
        """
        deadline = time.perf_counter() + SETTLES_S
        while True:
            memory: Json = await self._wait_for(self._client.request(MEMORY), ANSWER_TIMEOUT_S)
            more = unexpected_in_memory(memory, status, self._folder, self._file)
            if not more:
                return status
            if time.perf_counter() > deadline:
                raise RuntimeError("; ".join(more))
            await asyncio.sleep(POLL_S)
            status = await self.wait_until_indexed()

    def _files_changed(self, changes: Mapping[Path, types.FileChangeType]) -> None:
        events = [types.FileEvent(uri_of(each), kind) for each, kind in changes.items()]
        params = types.DidChangeWatchedFilesParams(events)
        with self._gone_if_stopped():
            self._client.workspace_did_change_watched_files(params)

    def _answer(self, text: str, explained: Json, seconds: float) -> Answer:
        reason = explained.get("reason")
        if str(reason or "").startswith(_ENGINE_PREFIX):
            raise RuntimeError(f"the engine did not answer: {reason}")
        timings: Json = explained.get("timings") or {}
        n_prompt = timings.get("prompt_tokens", 0)
        return Answer(
            text,
            confidence=explained.get("confidence"),
            reason=reason,
            stop_reason=explained.get("stopReason"),
            prompt_tokens=n_prompt,
            read_tokens=n_prompt - timings.get("reused_tokens", 0),
            generated_tokens=timings.get("generated_tokens", 0),
            seconds=seconds,
            is_known=bool(explained.get("known")),
            context=tuple(map(self._lines, explained.get("definitions") or ())),
        )

    def _lines(self, definition: Json) -> str:
        """Return the lines of another file that a shown definition comes from."""
        path = self._folder / definition["path"]
        lines = path.read_text("utf-8", errors="replace").splitlines(keepends=True)
        return "".join(lines[definition["first_line"] - 1 : definition["last_line"]])

    async def _wait_for(self, awaited: Awaitable[T], timeout_s: float) -> T:
        """Wait for a response, while watching the server: if it ends, pygls may wait for ever.

        Raises:
            SystemGoneError: the server has ended, or takes too long.
        """
        task = asyncio.ensure_future(awaited)
        ends = time.monotonic() + timeout_s
        try:
            while not task.done():
                await asyncio.wait([task], timeout=POLL_S)
                if not task.done() and self._client.stopped:
                    raise SystemGoneError("the server has ended")
                if not task.done() and time.monotonic() > ends:
                    raise SystemGoneError(f"the server did not respond within {timeout_s:.0f} s")
            with self._gone_if_stopped():
                return task.result()
        finally:
            task.cancel()

    @contextmanager
    def _gone_if_stopped(self) -> Generator[None, None, None]:
        """Report an error as the end of the server, if it has ended.

        Raises:
            SystemGoneError: in place of the error.
        """
        try:
            yield
        except Exception as error:
            if self._client.stopped:
                raise SystemGoneError(str(error) or "the server has ended") from error
            raise


def _ignore_result(response: "asyncio.Future[Any]") -> None:
    """Retrieve the error of a cancelled request, which asyncio reports otherwise."""
    if not response.cancelled():
        response.exception()


def _loaded(status: Json, seconds: float) -> Loaded:
    files, engine = status["files"], status["engine"] or {}
    return Loaded(
        files["in_memory"],
        files["tokens"],
        files["left_out"],
        f"{engine.get('model')} ({engine.get('dtype')} on {engine.get('device')})",
        seconds,
    )
