"""One replica of a team's engine: requests over HTTP, answered from the memory of a repository.

Ray Serve starts it, sends it requests, holds its memories, and replaces it; see ``app``.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from longllama_code import team_protocol as protocol
from longllama_code.cluster.bodies import (
    Refused,
    json_of,
    line_of,
    packed_of,
    plain_of,
    structured,
)
from longllama_code.cluster.metrics import Metrics, outcome_of
from longllama_code.cluster.rights import Rights, User
from longllama_code.cluster.shared_store import SharedStore
from longllama_code.cluster.snapshots import check_name
from longllama_code.cluster.team import Completed, MemoryGone, TeamMemory
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import ConfigError, LongLlamaError
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest
from longllama_code.team_protocol import KnownFile, KnownRepository, Overlay
from longllama_code.worker import EngineWorker, Job, Priority

logger = logging.getLogger("ray.serve")

HEALTH_S = 30.0
"""How long the thread that owns the model may take for one step."""

LOADING_S = 2.0
"""How long a completion waits for a memory that is being loaded."""

T = TypeVar("T")
MemoryOf = Callable[[str], Awaitable[TeamMemory]]


@dataclass(frozen=True)
class ReplicaOptions:
    """What a replica is started with."""

    engine: EngineOptions
    store: str
    """URL of the shared store."""


@dataclass(frozen=True)
class Asked:
    """A request, as HTTP brought it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    came_at: float
    """Of ``time.monotonic``."""


@dataclass(frozen=True)
class Answer:
    """What goes back: one body, or lines as they come."""

    body: bytes = b""
    lines: AsyncIterator[bytes] | None = None
    is_packed: bool = False
    """Whether the body is gzipped."""


class Replica:
    """Owner of the model's thread. Lives on the event loop, but for ``__init__``, which loads."""

    def __init__(self, options: ReplicaOptions, rights: Rights) -> None:
        self._worker = EngineWorker(of_many=True)
        loading = self._worker.submit(self, Priority.CONTROL, lambda _: _load(options))
        self._host: Engine = loading.result.result()
        self._shared = SharedStore(options.store, self._host.fingerprint)
        self._rights = rights
        self._status = self._host.status()
        self._metrics = Metrics(self._status.model)
        self._loading: dict[str, asyncio.Task[TeamMemory]] = {}

    async def check_health(self) -> None:
        """Raises where the thread that owns the model does nothing any more."""
        job = self._worker.submit(self, Priority.CONTROL, _nothing)
        await asyncio.wait_for(asyncio.wrap_future(job.result), HEALTH_S)

    async def load(self, memory_id: str) -> TeamMemory:
        """A repository at a revision, taken into memory; goes on where the caller gives up.

        Raises:
            Refused: there is no such snapshot.
        """
        task = self._loading.get(memory_id)
        if task is None:
            task = self._loading[memory_id] = asyncio.ensure_future(self._load(memory_id))
            task.add_done_callback(lambda _: self._loading.pop(memory_id, None))
        return await asyncio.shield(task)

    def unload(self, memory: TeamMemory) -> None:
        """Let go of a repository."""
        memory.close()
        self._metrics.forget_memory(memory.snapshot.repository)

    async def answer(self, asked: Asked, memory_of: MemoryOf) -> Answer:
        """Answer a request.

        Args:
            asked: what came.
            memory_of: the memory of a name, loaded where it is not there.

        Raises:
            Refused: there is no other answer.
        """
        user = self._rights.user_of(asked.headers.get("authorization"))
        if user is None:
            self._metrics.come()
            self._metrics.go("refused")
            raise Refused(401, "no such token; ask who runs the cluster for one.")
        if asked.path == protocol.HELLO:
            return Answer(json_of(await self._hello(user, asked.query.get("repository"))))
        if asked.path == protocol.REPOSITORY:
            known = await self._repository(user, asked.query)
            return Answer(await asyncio.to_thread(packed_of, known), is_packed=True)
        return await self._of_memory(user, asked, memory_of)

    # Requests.

    async def _hello(self, user: User, repository: str | None) -> dict[str, Any]:
        """Who is asked, and the latest revision of a repository, where one is named."""
        revision = None
        if repository is not None:
            _check(user, repository)
            revision = await asyncio.to_thread(self._shared.latest, repository)
        return {
            "version": protocol.VERSION,
            "user": user.name,
            "status": asdict(self._status),
            "revision": revision,
        }

    async def _repository(self, user: User, query: dict[str, str]) -> KnownRepository:
        name = query.get("name", "")
        _check(user, name)
        revision = query.get("revision") or await asyncio.to_thread(self._shared.latest, name)
        found = await asyncio.to_thread(self._shared.snapshot, name, revision or "")
        if found is None:
            raise Refused(404, f"{name} was not indexed yet; see `longllama cluster index`.")
        files = {
            file.path: KnownFile(file.digest, file.n_tokens, len(file.segment_ids))
            for file in found.files
        }
        status = self._status
        return KnownRepository(name, found.revision, status.model, status.token_bytes, files)

    async def _of_memory(self, user: User, asked: Asked, memory_of: MemoryOf) -> Answer:
        memory_id = asked.headers.get(protocol.MODEL_ID_HEADER, "")
        repository, _ = protocol.parse_memory_id(memory_id)
        _check(user, repository)
        plain = plain_of(asked.body)
        overlay = structured(plain.get("overlay"), Overlay)
        if asked.path == protocol.COMPLETE:
            request = structured(plain.get("request"), CompletionRequest)
            lines = self._completing(user, memory_id, overlay, request, asked, memory_of)
            return Answer(lines=lines)
        try:
            return await self._of_files(user, asked.path, plain, overlay, memory_of(memory_id))
        except MemoryGone as gone:
            raise Refused(503, str(gone)) from None

    async def _of_files(
        self,
        user: User,
        path: str,
        plain: dict[str, Any],
        overlay: Overlay,
        loading: Awaitable[TeamMemory],
    ) -> Answer:
        memory = await loading
        if path == protocol.REMEMBER:
            texts = structured(plain.get("texts"), dict[str, str])
            remembered = await memory.remember(user.name, overlay, texts)
            self._metrics.note_remembered(remembered.results)
            return Answer(json_of(asdict(remembered)))
        if path == protocol.STATUS:
            return Answer(json_of(asdict(await memory.status(user.name, overlay))))
        if path == protocol.LEAVE:
            memory.leave(user.name, overlay.session)
            return Answer(json_of({}))
        raise Refused(404, f"there is nothing at {path}.")

    async def _completing(
        self,
        user: User,
        memory_id: str,
        overlay: Overlay,
        request: CompletionRequest,
        asked: Asked,
        memory_of: MemoryOf,
    ) -> AsyncIterator[bytes]:
        """The lines of an answer. Whoever stops to read them stops the work."""
        outcome, completed = "cancelled", None
        self._metrics.come()
        written = _Written()
        work = asyncio.ensure_future(
            self._complete(user, memory_id, overlay, request, asked.came_at, written, memory_of)
        )
        try:
            async for text in written.until(work):
                yield line_of({"so_far": text})
            completed = work.result()
            outcome = outcome_of(completed)
            if completed is not None:
                plain = {"result": asdict(completed.result), "missing": completed.missing}
                yield line_of(plain)
        except (LongLlamaError, _NotYet) as error:
            outcome = "failed"
            yield line_of({"error": str(error)})
        except Refused as refused:
            outcome = "refused"
            yield line_of({"error": str(refused), "status": refused.status})
        finally:
            work.cancel()
            self._note(user, memory_id, outcome, completed, asked.came_at)

    async def _complete(
        self,
        user: User,
        memory_id: str,
        overlay: Overlay,
        request: CompletionRequest,
        came_at: float,
        written: "_Written",
        memory_of: MemoryOf,
    ) -> Completed | None:
        while True:
            memory = await _in_time(memory_of(memory_id))
            try:
                return await memory.complete(user.name, overlay, request, came_at, written.tell)
            except MemoryGone:  # it made room for another between the two
                continue

    def _note(
        self,
        user: User,
        memory_id: str,
        outcome: str,
        completed: Completed | None,
        came_at: float,
    ) -> None:
        """Count a request, and log it without its text."""
        total_ms = 1000 * (time.monotonic() - came_at)
        self._metrics.go(outcome)
        fields: dict[str, Any] = {"event": "completion", "user": user.name, "memory": memory_id}
        fields |= {"outcome": outcome, "total_ms": round(total_ms, 1)}
        if completed is not None:
            self._metrics.note_completion(completed, total_ms)
            fields |= {"queued_ms": round(completed.queued_ms, 1)}
            fields |= asdict(completed.result.timings)
        logger.info(json.dumps(fields))

    async def _load(self, memory_id: str) -> TeamMemory:
        repository, revision = protocol.parse_memory_id(memory_id)
        snapshot = await asyncio.to_thread(self._shared.snapshot, repository, revision)
        if snapshot is None:
            raise Refused(404, f"{repository} was not indexed at {revision}.")
        memory = TeamMemory(self._worker, self._host, snapshot)
        began = time.monotonic()
        self._metrics.note_remembered(await memory.load(self._shared))
        status = await memory.status("", Overlay("", 0))
        memory.leave("", "")
        self._metrics.note_memory(repository, status)
        fields = {"event": "memory loaded", "memory": memory_id, "tokens": status.n_tokens}
        logger.info(json.dumps({**fields, "seconds": round(time.monotonic() - began, 3)}))
        return memory


class _NotYet(Exception):  # noqa: N818 - a state
    """The memory is being loaded here; another replica may have it."""


async def _in_time(loading: Awaitable[TeamMemory]) -> TeamMemory:
    """A memory; loading goes on, where it takes longer than a completion should wait."""
    task = asyncio.ensure_future(loading)
    try:
        return await asyncio.wait_for(asyncio.shield(task), LOADING_S)
    except asyncio.TimeoutError:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise _NotYet("the repository is being loaded here") from None


class _Written:
    """The text of an answer as it grows: the newest, whatever was not read in time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._text: str | None = None
        self._grown = asyncio.Event()

    def tell(self, text: str) -> None:
        """It grew. From any thread."""
        self._loop.call_soon_threadsafe(self._grow, text)

    async def until(self, work: "asyncio.Future[Any]") -> AsyncIterator[str]:
        """What is written, until the work is done."""
        while not work.done():
            grown = asyncio.ensure_future(self._grown.wait())
            await asyncio.wait([work, grown], return_when=asyncio.FIRST_COMPLETED)
            grown.cancel()
            if work.done():
                return
            self._grown.clear()
            if self._text is not None:
                yield self._text

    def _grow(self, text: str) -> None:
        self._text = text
        self._grown.set()


def _check(user: User, repository: str) -> None:
    """Whether a user may read a repository; that it exists is not told to others."""
    try:
        check_name(repository)
    except ConfigError as error:
        raise Refused(400, str(error)) from None
    if not user.may_read(repository):
        raise Refused(403, f"{user.name} may not read {repository!r}; ask who runs the cluster.")


def _load(options: ReplicaOptions) -> Any:
    """On the worker's thread."""
    yield
    return Engine.open(options.engine)


def _nothing(_: Job) -> Any:
    yield
