"""Running the instances of one repository on a real server over stdio.

Under the condition ``repository`` the workspace is the repository without the answers, indexed
before the first request. Under the condition ``file`` it holds only the open file. Suggestions are
requested as if the user had invoked them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from lsprotocol import types

from lsp_server.benchmarks.instances import Instance
from lsp_server.benchmarks.rows import Row
from lsp_server.benchmarks.scores import score
from lsp_server.benchmarks.workspaces import (
    copy_tree,
    leak_of_document,
    leaks,
    without_answers,
    write_inside,
)
from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.convert import uri_of
from lsp_server.documents.document import Document
from lsp_server.methods import MEMORY

Json = dict[str, Any]
T = TypeVar("T")
Condition = Literal["file", "repository"]
CONDITIONS: tuple[Condition, ...] = ("file", "repository")

ANSWER_TIMEOUT_S = 600.0
INDEX_TIMEOUT_S = 6 * 3600.0
POLL_S = 0.5
_ENGINE_PREFIX = "engine_"
"""Prefix of reason codes of requests that the engine did not answer."""


class ServerGoneError(RuntimeError):
    """The server has ended or does not respond."""


async def run_instances(
    condition: Condition,
    todo: Sequence[Instance],
    others: Sequence[Instance],
    folder: Path,
    settings: Mapping[str, Any],
    blank: Row,
    record: Callable[[Row], None],
) -> None:
    """Run instances of one repository. Each gets a row, with its scores or its error.

    A server that ends is replaced by another one.

    Args:
        condition: what the server sees of the repository.
        todo: the instances to run.
        others: all instances of the repository, whose answers are removed.
        folder: the workspace, named like the repository; it must not exist yet.
        settings: the server's settings.
        blank: row with the fields that all rows have in common.
        record: called with each row.
    """
    waiting = list(todo)
    try:
        _prepare(condition, others, folder)
    except (OSError, ValueError) as error:
        for instance in waiting:
            record(_failed(blank, condition, instance, error))
        return
    while waiting:
        n_before = len(waiting)
        try:
            await _run_on_one_server(condition, waiting, others, folder, settings, blank, record)
        except Exception as error:  # another server runs the rest
            if len(waiting) == n_before or isinstance(error, ServerGoneError):
                record(_failed(blank, condition, waiting.pop(0), error))


def _prepare(condition: Condition, others: Sequence[Instance], folder: Path) -> None:
    """Create the workspace.

    Raises:
        ValueError: an answer is left in it.
    """
    if condition == "file":
        folder.mkdir(parents=True)
        return
    tree = others[0].tree
    if tree is None:
        raise ValueError(
            f"the data has no files of {others[0].repository!r}; use the condition 'file'."
        )
    copy_tree(tree, folder, others)
    if found := leaks(folder, others):
        raise ValueError("; ".join(map(str, found)))


async def _run_on_one_server(
    condition: Condition,
    waiting: list[Instance],
    others: Sequence[Instance],
    folder: Path,
    settings: Mapping[str, Any],
    blank: Row,
    record: Callable[[Row], None],
) -> None:
    """Run instances, and remove them from ``waiting``, until the server ends."""
    async with headless(folder, dict(settings)) as client:
        server = _BenchmarkServer(client, folder, others)
        await server.wait_until_indexed()
        while waiting:
            instance = waiting[0]
            row = replace(
                blank, instance=instance.id, repository=instance.repository, condition=condition
            )
            try:
                if condition == "file":
                    await server.put_only(instance)
                record(await server.answer(instance, row))
            except Exception as error:
                if client.stopped or isinstance(error, ServerGoneError):
                    raise ServerGoneError(str(error)) from error
                record(_failed(blank, condition, instance, error))
            waiting.pop(0)


class _BenchmarkServer:
    """Server of one workspace."""

    def __init__(self, client: HeadlessClient, folder: Path, others: Sequence[Instance]) -> None:
        self._client, self._folder, self._others = client, folder, others
        self._only_file: Path | None = None

    async def answer(self, instance: Instance, row: Row) -> Row:
        """Open the document, wait for indexing, complete at the cursor, and close it again."""
        text = instance.opened
        if leak := leak_of_document(instance, self._others, text):
            raise ValueError(str(leak))
        started = time.perf_counter()
        uri = self._client.open(self._folder / instance.file, text)
        try:
            status = await self.wait_until_indexed()
            indexed = time.perf_counter()
            position = Document(uri, "", 1, text).position(
                len(instance.before), self._client.encoding
            )
            suggestion = await self._wait_for(
                self._client.complete(uri, position), ANSWER_TIMEOUT_S
            )
            seconds = time.perf_counter() - indexed
            explained: Json = await self._wait_for(self._client.explain(), ANSWER_TIMEOUT_S) or {}
        finally:
            document = types.TextDocumentIdentifier(uri)
            self._client.text_document_did_close(types.DidCloseTextDocumentParams(document))
        row = replace(row, index_seconds=round(indexed - started, 3), seconds=round(seconds, 4))
        return _filled(row, instance, suggestion, explained, status)

    async def put_only(self, instance: Instance) -> None:
        """Make an instance's file the only one in the workspace and in memory.

        Raises:
            RuntimeError: another file is in memory.
        """
        path = self._folder / instance.file
        previous, self._only_file = self._only_file, path
        if previous == path:
            return
        if previous is not None:
            previous.unlink()
        text = without_answers(instance, self._others)
        write_inside(self._folder, instance.file, text)
        if found := leaks(self._folder, self._others):
            raise ValueError("; ".join(map(str, found)))
        changes = [(path, types.FileChangeType.Created)]
        changes += [(previous, types.FileChangeType.Deleted)] if previous is not None else []
        events = [types.FileEvent(uri_of(each), kind) for each, kind in changes]
        self._client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(events))
        await self.wait_until_indexed()
        memory: Json = await self._wait_for(self._client.request(MEMORY), ANSWER_TIMEOUT_S)
        in_memory = {file["path"] for file in memory["files"] if file["state"] == "in_memory"}
        if more := in_memory - {instance.file}:
            raise RuntimeError(f"{sorted(more)} are in memory as well as {instance.file!r}.")

    async def wait_until_indexed(self) -> Json:
        """Wait until the memory is up to date, and return the status of server and engine.

        Raises:
            RuntimeError: the memory cannot be brought up to date.
        """
        status = await self._wait_for(self._client.wait_until_indexed(), INDEX_TIMEOUT_S)
        if status["phase"] != "ready":
            raise RuntimeError(f"the server is {status['phase']!r}: {status['message']}")
        return await self._wait_for(self._client.status(), ANSWER_TIMEOUT_S)

    async def _wait_for(self, awaited: Awaitable[T], timeout_s: float) -> T:
        """Wait for a response, while watching the server: if it ends, pygls may wait for ever.

        Raises:
            ServerGoneError: the server has ended, or takes too long.
        """
        task = asyncio.ensure_future(awaited)
        ends = time.monotonic() + timeout_s
        try:
            while not task.done():
                await asyncio.wait([task], timeout=POLL_S)
                if not task.done() and self._client.stopped:
                    raise ServerGoneError("the server has ended")
                if not task.done() and time.monotonic() > ends:
                    raise ServerGoneError(f"the server did not respond within {timeout_s:.0f} s")
            return task.result()
        finally:
            task.cancel()


def _filled(row: Row, instance: Instance, suggestion: str, explained: Json, status: Json) -> Row:
    """Return the row of an answer.

    Raises:
        RuntimeError: the engine did not answer.
    """
    reason = explained.get("reason")
    if str(reason or "").startswith(_ENGINE_PREFIX):
        raise RuntimeError(f"the engine did not answer: {reason}")
    files, engine, timings = status["files"], status["engine"] or {}, explained.get("timings") or {}
    scores = score(suggestion, instance.answer)
    return replace(
        row,
        wanted=instance.answer,
        suggestion=suggestion,
        right=scores.right,
        edit_similarity=scores.edit_similarity,
        identifier_match=scores.identifier_match,
        identifier_f1=scores.identifier_f1,
        confidence=explained.get("confidence"),
        reason=reason,
        stop_reason=explained.get("stopReason"),
        files=files["in_memory"],
        tokens=files["tokens"],
        left_out=files["left_out"],
        prompt_tokens=timings.get("prompt_tokens", 0),
        generated_tokens=timings.get("generated_tokens", 0),
        engine=f"{engine.get('model')} ({engine.get('dtype')} on {engine.get('device')})",
    )


def _failed(blank: Row, condition: Condition, instance: Instance, error: Exception) -> Row:
    message = f"{type(error).__name__}: {error}"
    row = replace(blank, instance=instance.id, repository=instance.repository, condition=condition)
    return replace(row, wanted=instance.answer, error=message)
