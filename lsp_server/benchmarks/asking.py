"""Asks a real server over stdio for the instances of one repository.

The arm ``repository``: the server's workspace is the repository, all answers cut out, and all of it
is in memory before anything is asked. The arm ``file``: the workspace holds the open file alone.
What is asked of a server is asked as a user would who wants a suggestion now.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from lsprotocol import types

from lsp_server.benchmarks.cutting import (
    copy_tree,
    leak_of_document,
    leaks,
    without_answers,
    write_inside,
)
from lsp_server.benchmarks.instances import Instance
from lsp_server.benchmarks.rows import Row
from lsp_server.benchmarks.scores import score
from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.convert import uri_of
from lsp_server.documents.document import Document
from lsp_server.methods import MEMORY

Json = dict[str, Any]
T = TypeVar("T")
Arm = Literal["file", "repository"]
ARMS: tuple[Arm, ...] = ("file", "repository")

ANSWER_TIMEOUT_S = 600.0
INDEX_TIMEOUT_S = 6 * 3600.0
POLL_S = 0.5
_ENGINE_TROUBLE = "engine_"
"""What reasons begin with that say that the engine could not be asked."""


class ServerGoneError(RuntimeError):
    """The server is not there any more, or does not answer."""


async def ask(
    arm: Arm,
    todo: Sequence[Instance],
    others: Sequence[Instance],
    folder: Path,
    settings: Mapping[str, Any],
    blank: Row,
    record: Callable[[Row], None],
) -> None:
    """Ask for instances of one repository; every one has its row in the end, or its error.

    A server that dies is followed by another one.

    Args:
        arm: what the server has of the repository.
        todo: what to ask for.
        others: all instances of the repository, whose answers are cut out.
        folder: a folder for the workspace, named as the repository, which does not exist yet.
        settings: the server's.
        blank: what every row begins with.
        record: takes each row as it comes.
    """
    waiting = list(todo)
    try:
        _prepare(arm, others, folder)
    except (OSError, ValueError) as error:
        for instance in waiting:
            record(_failed(blank, arm, instance, error))
        return
    while waiting:
        n_before = len(waiting)
        try:
            await _ask_one_server(arm, waiting, others, folder, settings, blank, record)
        except Exception as error:  # whatever a server does, the rest is asked of another one
            if len(waiting) == n_before or isinstance(error, ServerGoneError):
                record(_failed(blank, arm, waiting.pop(0), error))


def _prepare(arm: Arm, others: Sequence[Instance], folder: Path) -> None:
    """Make the workspace.

    Raises:
        ValueError: an answer can be read in it.
    """
    if arm == "file":
        folder.mkdir(parents=True)
        return
    tree = others[0].tree
    if tree is None:
        raise ValueError(f"the data has no files of {others[0].repository!r}; ask the arm 'file'.")
    copy_tree(tree, folder, others)
    if found := leaks(folder, others):
        raise ValueError("; ".join(map(str, found)))


async def _ask_one_server(
    arm: Arm,
    waiting: list[Instance],
    others: Sequence[Instance],
    folder: Path,
    settings: Mapping[str, Any],
    blank: Row,
    record: Callable[[Row], None],
) -> None:
    """Ask until nothing waits or the server is gone; what was asked waits no more."""
    async with headless(folder, dict(settings)) as client:
        asked = _Asked(client, folder, others)
        await asked.wait_until_indexed()
        while waiting:
            instance = waiting[0]
            row = replace(blank, instance=instance.id, repository=instance.repository, arm=arm)
            try:
                if arm == "file":
                    await asked.put_alone(instance)
                record(await asked.answer(instance, row))
            except Exception as error:
                if client.stopped or isinstance(error, ServerGoneError):
                    raise ServerGoneError(str(error)) from error
                record(_failed(blank, arm, instance, error))
            waiting.pop(0)


class _Asked:
    """A server of one workspace."""

    def __init__(self, client: HeadlessClient, folder: Path, others: Sequence[Instance]) -> None:
        self._client, self._folder, self._others = client, folder, others
        self._alone: Path | None = None

    async def answer(self, instance: Instance, row: Row) -> Row:
        """Open the document, wait for memory, ask at the cursor, and close it again."""
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
            suggestion = await self._sure(self._client.complete(uri, position), ANSWER_TIMEOUT_S)
            seconds = time.perf_counter() - indexed
            explained: Json = await self._sure(self._client.explain(), ANSWER_TIMEOUT_S) or {}
        finally:
            document = types.TextDocumentIdentifier(uri)
            self._client.text_document_did_close(types.DidCloseTextDocumentParams(document))
        row = replace(row, index_seconds=round(indexed - started, 3), seconds=round(seconds, 4))
        return _filled(row, instance, suggestion, explained, status)

    async def put_alone(self, instance: Instance) -> None:
        """Have nothing but an instance's file in the workspace, and in memory.

        Raises:
            RuntimeError: something else is in memory.
        """
        path = self._folder / instance.file
        gone, self._alone = self._alone, path
        if gone == path:
            return
        if gone is not None:
            gone.unlink()
        text = without_answers(instance, self._others)
        write_inside(self._folder, instance.file, text)
        if found := leaks(self._folder, self._others):
            raise ValueError("; ".join(map(str, found)))
        changes = [(path, types.FileChangeType.Created)]
        changes += [(gone, types.FileChangeType.Deleted)] if gone is not None else []
        events = [types.FileEvent(uri_of(each), kind) for each, kind in changes]
        self._client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(events))
        await self.wait_until_indexed()
        memory: Json = await self._sure(self._client.request(MEMORY), ANSWER_TIMEOUT_S)
        in_memory = {file["path"] for file in memory["files"] if file["state"] == "in_memory"}
        if more := in_memory - {instance.file}:
            raise RuntimeError(f"{sorted(more)} are in memory, beside {instance.file!r} alone.")

    async def wait_until_indexed(self) -> Json:
        """Wait for memory to be up to date; the status then, with what the engine holds.

        Raises:
            RuntimeError: it cannot come to be so.
        """
        status = await self._sure(self._client.wait_until_indexed(), INDEX_TIMEOUT_S)
        if status["phase"] != "ready":
            raise RuntimeError(f"memory is {status['phase']!r}: {status['message']}")
        return await self._sure(self._client.status(), ANSWER_TIMEOUT_S)

    async def _sure(self, awaited: Awaitable[T], timeout_s: float) -> T:
        """An answer; a server that has died gives none, and no error either.

        Raises:
            ServerGoneError: it has died, or takes too long.
        """
        task = asyncio.ensure_future(awaited)
        ends = time.monotonic() + timeout_s
        try:
            while not task.done():
                await asyncio.wait([task], timeout=POLL_S)
                if not task.done() and self._client.stopped:
                    raise ServerGoneError("the server has died")
                if not task.done() and time.monotonic() > ends:
                    raise ServerGoneError(f"the server did not answer within {timeout_s:.0f} s")
            return task.result()
        finally:
            task.cancel()


def _filled(row: Row, instance: Instance, suggestion: str, explained: Json, status: Json) -> Row:
    """The row of an answer.

    Raises:
        RuntimeError: there is none, as the engine could not be asked.
    """
    reason = explained.get("reason")
    if str(reason or "").startswith(_ENGINE_TROUBLE):
        raise RuntimeError(f"the engine could not be asked: {reason}")
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


def _failed(blank: Row, arm: Arm, instance: Instance, error: Exception) -> Row:
    said = f"{type(error).__name__}: {error}"
    row = replace(blank, instance=instance.id, repository=instance.repository, arm=arm)
    return replace(row, wanted=instance.answer, error=said)
