"""A window's side of a team's engine: what differs from the repository there, and requests.

Texts of files that are as the cluster has them do not leave this machine: digests are compared
here. What does leave it: the text around the cursor, and the files that differ. A request that a
replica did not answer is asked again, of another.
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
    RememberResult,
    Timings,
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
"""More files that differ are no edits: the window shows something else than the repository."""
MAX_AROUND_CHARS = 200_000
"""Text before, and after, the cursor that is sent."""
RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0)
SLACK_S = 1.0
"""How long an answer may take beyond the time that the request has."""
REMEMBER_TIMEOUT_S = 120.0
LOAD_TIMEOUT_S = 600.0

T = TypeVar("T")


class TeamClient:
    """A window at a cluster. Lives on the event loop.

    Args:
        address: where the cluster is.
        folder: the workspace folder.
        repository: what the cluster calls it; empty for the name of the repository's folder.
    """

    def __init__(self, address: TeamAddress, folder: Path, repository: str = "") -> None:
        self._http = TeamHttp(address)
        self._folder, self._repository = folder, repository
        self._below = ""
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._overlay = Overlay(self._session, 0)
        self._texts: dict[str, str] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._unsent: set[str] = set()
        self.known: KnownRepository | None = None
        """The repository as the cluster has it; None before ``join``."""

    @property
    def n_own_files(self) -> int:
        """Files of this window that differ from the repository."""
        return len(self._overlay.files)

    async def join(self) -> dict[str, Any]:
        """Find out what the cluster has of the repository, and have it loaded; about its engine.

        Raises:
            TeamUnreachable: it does not answer.
            TeamRefused: it has no such repository, not for this user, or speaks another version.
        """
        name, self._below = await asyncio.to_thread(_place_of, self._folder)
        name = self._repository or name
        hello = await self._http.ask("GET", protocol.HELLO)
        if hello.get("version") != protocol.VERSION:
            raise TeamRefused(
                f"it speaks version {hello.get('version')}, not {protocol.VERSION}; upgrade"
            )
        asked = f"{protocol.REPOSITORY}?name={quote(name, safe='')}"
        found = await self._http.ask("GET", asked, timeout_s=120.0)
        self.known = from_plain(found, KnownRepository)
        self._set(dict[str, str | None]())
        self._texts.clear()
        await self._post(protocol.STATUS, {}, timeout_s=LOAD_TIMEOUT_S)
        return hello["status"]

    async def is_current(self) -> bool:
        """Whether the cluster answers, and has no later revision.

        Raises:
            TeamUnreachable: it does not answer.
            TeamRefused: it no longer knows who asks.
        """
        name = quote(self._joined.name, safe="")
        hello = await self._http.ask("GET", f"{protocol.HELLO}?repository={name}")
        return hello.get("revision") in (None, self._joined.revision)

    async def remember(self, path: str, text: str) -> RememberResult:
        """Have a file as it is here; it is sent where the cluster has it otherwise.

        Raises:
            TeamUnreachable: there was no answer.
            TeamRefused: too many files differ.
        """
        name, digest = self._below + path, digest_of(text)
        there = self._joined.files.get(name)
        if there is not None and there.digest == digest:
            self._forget_own(name)
            return RememberResult(path, there.n_tokens, there.n_segments, 0, 0, there.n_segments)
        if name not in self._overlay.files and self.n_own_files >= MAX_OWN_FILES:
            raise TeamRefused(
                f"more than {MAX_OWN_FILES} files differ from revision {self._joined.revision}; "
                "no more are sent"
            )
        self._texts[name] = text
        self._set({**self._overlay.files, name: digest})
        for result in await self._send({name: text}):
            if result.path == name:
                return replace(result, path=path)
        return RememberResult(path, 0, 0, 0, 0, 0)  # there is a newer text of it

    async def forget(self, paths: list[str]) -> None:
        """Have files no longer."""
        files = dict(self._overlay.files)
        for name in (self._below + path for path in paths):
            files.pop(name, None)
            self._texts.pop(name, None)
            if name in self._joined.files:
                files[name] = None
        self._set(files)

    async def complete(
        self, request: CompletionRequest, tell: Callable[[str], None] = lambda _: None
    ) -> CompletionResult:
        """A suggestion. Cancelling the caller stops the work.

        Raises:
            TeamUnreachable: nobody can be reached in the time that the request has.
            TeamRefused: the cluster refuses.
        """
        asked = _around(replace(request, path=self._below + request.path))

        def ask(left_s: float) -> Awaitable[CompletionResult]:
            return self._complete(replace(asked, timeout_ms=max(1, round(1000 * left_s))), tell)

        try:
            return await _asked_again(ask, request.timeout_ms / 1000)
        except TeamSlow:  # it is there, and busy: it waits in a queue that knows no deadline
            return CompletionResult("", "deadline", Timings(), empty_reason="deadline")

    async def status(self) -> EngineStatus:
        """What is in memory for this window.

        Raises:
            TeamUnreachable: there was no answer.
            TeamRefused: the cluster refuses.
        """
        return from_plain(await self._post(protocol.STATUS, {}), EngineStatus)

    async def leave(self) -> None:
        """Say goodbye, where somebody listens, and end the connections."""
        for task in self._sending:
            task.cancel()
        if self.known is not None and self._overlay.number > 1:
            try:
                await asyncio.wait_for(self._post(protocol.LEAVE, {}), 1.0)
            except (TeamUnreachable, TeamRefused, asyncio.TimeoutError):
                logger.info("the cluster was not told that this window is gone")
        await self._http.close()

    @property
    def _joined(self) -> KnownRepository:
        if self.known is None:
            raise TeamUnreachable("the cluster was not asked yet")
        return self.known

    def _set(self, files: dict[str, str | None]) -> None:
        if files != self._overlay.files or not self._overlay.number:
            self._overlay = Overlay(self._session, next(self._numbers), files)

    def _forget_own(self, name: str) -> None:
        """A file is as the cluster has it."""
        self._texts.pop(name, None)
        self._set({path: at for path, at in self._overlay.files.items() if path != name})

    async def _complete(
        self, request: CompletionRequest, tell: Callable[[str], None]
    ) -> CompletionResult:
        def heard(line: dict[str, Any]) -> None:
            if "so_far" in line:
                tell(str(line["so_far"]))

        timeout_s = request.timeout_ms / 1000 + SLACK_S
        answer = await self._post(
            protocol.COMPLETE, {"request": to_plain(request)}, timeout_s=timeout_s, on_line=heard
        )
        if "error" in answer:
            failed = TeamRefused if "status" in answer else TeamUnreachable
            raise failed(str(answer["error"]))
        if "result" not in answer:
            raise TeamUnreachable("the answer ended before its end")
        self._send_later(set(answer["missing"]))
        result = from_plain(answer["result"], CompletionResult)
        sources = [
            replace(source, path=source.path.removeprefix(self._below)) for source in result.sources
        ]
        return replace(result, sources=sources)

    async def _send(self, texts: dict[str, str]) -> list[RememberResult]:
        """Send own files; the replica says which others it lacks."""

        def ask(left_s: float) -> Awaitable[dict[str, Any]]:
            return self._post(protocol.REMEMBER, {"texts": texts}, timeout_s=left_s)

        answer = await _asked_again(ask, REMEMBER_TIMEOUT_S)
        self._send_later(set(answer["missing"]) - texts.keys())
        return [from_plain(result, RememberResult) for result in answer["results"]]

    def _send_later(self, names: set[str]) -> None:
        """Send own files that a replica lacks, which answered without them."""
        texts = {name: self._texts[name] for name in names - self._unsent if name in self._texts}
        if not texts:
            return
        self._unsent |= texts.keys()
        task = asyncio.ensure_future(self._sent(texts))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _sent(self, texts: dict[str, str]) -> None:
        try:
            await self._send(texts)
        except (TeamUnreachable, TeamRefused) as error:
            logger.info("own files could not be sent: %s", error)
        finally:
            self._unsent -= texts.keys()

    def _post(self, path: str, plain: dict[str, Any], **options: Any) -> Coroutine[Any, Any, Any]:
        known = self._joined
        memory_id = protocol.memory_id(known.name, known.revision)
        plain = {**plain, "overlay": to_plain(self._overlay)}
        headers = {protocol.MODEL_ID_HEADER: memory_id}
        return self._http.ask("POST", path, plain, headers=headers, **options)


async def _asked_again(ask: Callable[[float], Awaitable[T]], timeout_s: float) -> T:
    """The first answer; each time without one, another replica may give it.

    Args:
        ask: told the seconds that are left.
        timeout_s: of all tries.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    for delay_s in RETRY_S:
        try:
            return await ask(until - loop.time())
        except TeamUnreachable as error:
            if loop.time() + delay_s >= until:
                raise
            logger.info("a request is asked again: %s", error)
        await asyncio.sleep(delay_s)
    return await ask(until - loop.time())


def _around(request: CompletionRequest) -> CompletionRequest:
    """A request with the text around the cursor, as far as the model may read it."""
    return replace(
        request,
        prefix=request.prefix[-MAX_AROUND_CHARS:],
        suffix=request.suffix[:MAX_AROUND_CHARS],
    )


def _place_of(folder: Path) -> tuple[str, str]:
    """The name of the repository that a folder is in, and what stands before names of its files.

    Example: ``/src/app/lib`` of the repository ``/src/app`` → ``("app", "lib/")``.
    """
    root = repository_root(folder)
    if root is None:
        return folder.name, ""
    below = folder.relative_to(root).as_posix()
    return root.name, "" if below == "." else f"{below}/"
