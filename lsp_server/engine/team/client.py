"""Client of a team's engine, for one window: its own files, and requests.

The cluster has the repository at a revision. Its own files are those that differ from that
revision; digests are compared on this machine. Only the text around the cursor and own files are
sent. A request that one replica did not answer is sent again, to another.
"""

import asyncio
import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from longllama_code import team_protocol as protocol
from longllama_code.paths import repository_root
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    OnProgress,
    RememberResult,
    Timings,
    ignore_progress,
)
from longllama_code.team_protocol import KnownRepository, Overlay, digest_of
from lsp_server.engine.protocol import from_plain, to_plain
from lsp_server.engine.team.http import (
    TeamAddress,
    TeamHttp,
    TeamRefused,
    TeamSlow,
    TeamUnreachable,
)

logger = logging.getLogger(__name__)

MAX_OWN_FILES = 1000
"""Most own files. More are hardly edits: the window shows another revision."""
MAX_AROUND_CHARS = 200_000
"""Most characters before the cursor, and after it, that are sent."""
RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0)
SLACK_S = 1.0
"""Time that a request may take beyond its own limit."""
REMEMBER_TIMEOUT_S = 120.0
LOAD_TIMEOUT_S = 600.0

T = TypeVar("T")


class TeamClient:
    """Client of a cluster. Lives on the event loop.

    Args:
        address: URL and credentials of the cluster.
        folder: the workspace folder.
        repository: the cluster's name for it; empty: the name of the repository's folder.
    """

    def __init__(self, address: TeamAddress, folder: Path, repository: str = "") -> None:
        self._http = TeamHttp(address)
        self._folder, self._repository = folder, repository
        self._folder_prefix = ""
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._overlay = Overlay(self._session, 0)
        self._texts: dict[str, str] = {}
        self._send_tasks: set[asyncio.Task[None]] = set()
        self._being_sent: set[str] = set()
        self.known: KnownRepository | None = None
        """The repository as the cluster knows it; None before ``join``."""

    @property
    def n_own_files(self) -> int:
        """Number of files that differ from the cluster's revision."""
        return len(self._overlay.files)

    async def join(self) -> dict[str, Any]:
        """Ask for the cluster's revision of the repository, and have it loaded.

        Returns:
            Status of the cluster's engine.

        Raises:
            TeamUnreachable: the cluster does not answer.
            TeamRefused: it has no such repository for this user, or speaks another version.
        """
        name, self._folder_prefix = await asyncio.to_thread(_locate, self._folder)
        name = self._repository or name
        hello = await self._http.ask("GET", protocol.HELLO)
        if hello.get("version") != protocol.VERSION:
            raise TeamRefused(
                f"it speaks version {hello.get('version')}, not {protocol.VERSION}; upgrade one"
            )
        path = f"{protocol.REPOSITORY}?name={quote(name, safe='')}"
        found = await self._http.ask("GET", path, timeout_s=120.0)
        self.known = from_plain(found, KnownRepository)
        self._set_own_files(dict[str, str | None]())
        self._texts.clear()
        await self._post(protocol.STATUS, {}, timeout_s=LOAD_TIMEOUT_S)
        return hello["status"]

    async def is_current(self) -> bool:
        """Whether the cluster answers, and has no later revision.

        Raises:
            TeamUnreachable: the cluster does not answer.
            TeamRefused: it no longer accepts this user.
        """
        name = quote(self._joined.name, safe="")
        hello = await self._http.ask("GET", f"{protocol.HELLO}?repository={name}")
        return hello.get("revision") in (None, self._joined.revision)

    async def remember(self, path: str, text: str, folder: str = "") -> RememberResult:
        """Take a file into memory; send it if the cluster has another text of it.

        Args:
            path: name of the file.
            text: its text.
            folder: unused, as a cluster knows files by their names alone.

        Raises:
            TeamUnreachable: there was no answer.
            TeamRefused: there are more than ``MAX_OWN_FILES``, or the cluster refused.
        """
        name, digest = self._folder_prefix + path, digest_of(text)
        there = self._joined.files.get(name)
        if there is not None and there.digest == digest:
            self._drop_own(name)
            return RememberResult(path, there.n_tokens, there.n_segments, 0, 0, there.n_segments)
        if name not in self._overlay.files and self.n_own_files >= MAX_OWN_FILES:
            raise TeamRefused(
                f"more than {MAX_OWN_FILES} files differ from revision {self._joined.revision}; "
                "no more are sent"
            )
        self._texts[name] = text
        self._set_own_files({**self._overlay.files, name: digest})
        for result in await self._send({name: text}):
            if result.path == name:
                return replace(result, path=path)
        return RememberResult(path, 0, 0, 0, 0, 0)  # a newer text of it was sent

    async def forget(self, paths: list[str]) -> None:
        """Take files out of memory."""
        files = dict(self._overlay.files)
        for name in (self._folder_prefix + path for path in paths):
            files.pop(name, None)
            self._texts.pop(name, None)
            if name in self._joined.files:
                files[name] = None
        self._set_own_files(files)

    async def complete(
        self, request: CompletionRequest, on_progress: OnProgress = ignore_progress
    ) -> CompletionResult:
        """Return a suggestion. Cancelling the caller cancels the work.

        Raises:
            TeamUnreachable: no replica was reached within the request's time limit.
            TeamRefused: the cluster refused.
        """
        sent = _around(replace(request, path=self._folder_prefix + request.path))

        def ask(left_s: float) -> Awaitable[CompletionResult]:
            return self._complete(
                replace(sent, timeout_ms=max(1, round(1000 * left_s))), on_progress
            )

        try:
            return await _with_retries(ask, request.timeout_ms / 1000)
        except TeamSlow:  # the cluster is busy: its queue ignores deadlines
            return CompletionResult("", "deadline", Timings(), empty_reason="deadline")

    async def status(self) -> EngineStatus:
        """Return what is in memory for this window.

        Raises:
            TeamUnreachable: there was no answer.
            TeamRefused: the cluster refused.
        """
        return from_plain(await self._post(protocol.STATUS, {}), EngineStatus)

    async def leave(self) -> None:
        """Tell the cluster to drop the own files, if it answers, and end the connections."""
        for task in self._send_tasks:
            task.cancel()
        try:
            if self.known is not None and self._overlay.number > 1:
                await asyncio.wait_for(self._post(protocol.LEAVE, {}), 1.0)
        except (TeamUnreachable, TeamRefused, asyncio.TimeoutError):
            logger.info("the cluster did not answer when this window left it")
        finally:  # also if the window is closed meanwhile
            await self._http.close()

    @property
    def _joined(self) -> KnownRepository:
        if self.known is None:
            raise TeamUnreachable("the cluster was not joined yet")
        return self.known

    def _set_own_files(self, files: dict[str, str | None]) -> None:
        if files != self._overlay.files or not self._overlay.number:
            self._overlay = Overlay(self._session, next(self._numbers), files)

    def _drop_own(self, name: str) -> None:
        """Note that a file is as the cluster has it."""
        self._texts.pop(name, None)
        self._set_own_files({path: at for path, at in self._overlay.files.items() if path != name})

    async def _complete(
        self, request: CompletionRequest, on_progress: OnProgress
    ) -> CompletionResult:
        def report(line: dict[str, Any]) -> None:
            if "so_far" in line:
                on_progress(str(line["so_far"]))

        timeout_s = request.timeout_ms / 1000 + SLACK_S
        answer = await self._post(
            protocol.COMPLETE, {"request": to_plain(request)}, timeout_s=timeout_s, on_line=report
        )
        if "error" in answer:
            failed = TeamRefused if "status" in answer else TeamUnreachable
            raise failed(str(answer["error"]))
        if "result" not in answer:
            raise TeamUnreachable("the answer ended before its end")
        self._send_later(set(answer["missing"]))
        result = from_plain(answer["result"], CompletionResult)
        sources = [
            replace(source, path=source.path.removeprefix(self._folder_prefix))
            for source in result.sources
        ]
        return replace(result, sources=sources)

    async def _send(self, texts: dict[str, str]) -> list[RememberResult]:
        """Send own files, and later those that the replica says it lacks."""

        def ask(left_s: float) -> Awaitable[dict[str, Any]]:
            return self._post(protocol.REMEMBER, {"texts": texts}, timeout_s=left_s)

        answer = await _with_retries(ask, REMEMBER_TIMEOUT_S)
        self._send_later(set(answer["missing"]) - texts.keys())
        return [from_plain(result, RememberResult) for result in answer["results"]]

    def _send_later(self, names: set[str]) -> None:
        """Send own files that a replica answered without, in the background."""
        texts = {
            name: self._texts[name] for name in names - self._being_sent if name in self._texts
        }
        if not texts:
            return
        self._being_sent |= texts.keys()
        task = asyncio.ensure_future(self._send_in_background(texts))
        self._send_tasks.add(task)
        task.add_done_callback(self._send_tasks.discard)

    async def _send_in_background(self, texts: dict[str, str]) -> None:
        try:
            await self._send(texts)
        except (TeamUnreachable, TeamRefused) as error:
            logger.info("own files could not be sent: %s", error)
        finally:
            self._being_sent -= texts.keys()

    def _post(self, path: str, plain: dict[str, Any], **options: Any) -> Coroutine[Any, Any, Any]:
        known = self._joined
        memory_id = protocol.memory_id(known.name, known.revision)
        plain = {**plain, "overlay": to_plain(self._overlay)}
        headers = {protocol.MODEL_ID_HEADER: memory_id}
        return self._http.ask("POST", path, plain, headers=headers, **options)


async def _with_retries(ask: Callable[[float], Awaitable[T]], timeout_s: float) -> T:
    """Return the first answer; each retry may reach another replica.

    Args:
        ask: sends the request, given the seconds that are left.
        timeout_s: time limit of all tries.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    for delay_s in RETRY_S:
        try:
            return await ask(until - loop.time())
        except TeamUnreachable as error:
            if loop.time() + delay_s >= until:
                raise
            logger.info("a request is sent again: %s", error)
        await asyncio.sleep(delay_s)
    return await ask(until - loop.time())


def _around(request: CompletionRequest) -> CompletionRequest:
    """Return a request with no more text around the cursor than is sent."""
    return replace(
        request,
        prefix=request.prefix[-MAX_AROUND_CHARS:],
        suffix=request.suffix[:MAX_AROUND_CHARS],
    )


def _locate(folder: Path) -> tuple[str, str]:
    """Return the name of a folder's repository, and the folder's path in it as a prefix.

    Example: ``/src/app/lib`` of the repository ``/src/app`` → ``("app", "lib/")``.
    """
    root = repository_root(folder)
    if root is None:
        return folder.name, ""
    below = folder.relative_to(root).as_posix()
    return root.name, "" if below == "." else f"{below}/"
