"""One replica of a team's engine: requests over HTTP, answered from the memory of a repository.

Ray Serve starts it, routes requests to it, caches its memories, and replaces it; see ``app``.
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
"""Maximum time of one step on the thread that owns the model."""

LOADING_S = 2.0
"""Maximum time that a completion waits for a memory to load."""

T = TypeVar("T")
MemoryOf = Callable[[str], Awaitable[TeamMemory]]


@dataclass(frozen=True)
class ReplicaOptions:
    """Options of a replica."""

    engine: EngineOptions
    store: str
    """URL of the shared store."""


@dataclass(frozen=True)
class HttpRequest:
    """An HTTP request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    came_at: float
    """Time of arrival, by ``time.monotonic``."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: a body, or a stream of lines."""

    body: bytes = b""
    lines: AsyncIterator[bytes] | None = None
    is_packed: bool = False
    """Whether the body is gzipped."""


class Replica:
    """Owner of the model's thread; used on the event loop, except ``__init__``, which loads."""

    def __init__(self, options: ReplicaOptions, rights: Rights) -> None:
        self._worker = EngineWorker(has_many_users=True)
        loading = self._worker.submit(self, Priority.CONTROL, lambda _: _load(options))
        self._host: Engine = loading.result.result()
        self._shared = SharedStore(options.store, self._host.fingerprint)
        self._rights = rights
        self._status = self._host.status()
        self._metrics = Metrics(self._status.model)
        self._loading: dict[str, asyncio.Task[TeamMemory]] = {}

    async def check_health(self) -> None:
        """Raise an error if the thread that owns the model hangs."""
        job = self._worker.submit(self, Priority.CONTROL, _nothing)
        await asyncio.wait_for(asyncio.wrap_future(job.result), HEALTH_S)

    async def load(self, memory_id: str) -> TeamMemory:
        """Return a repository at a revision, taken into memory; goes on where the caller gives up.

        Raises:
            Refused: there is no such snapshot.
        """
        task = self._loading.get(memory_id)
        if task is None:
            task = self._loading[memory_id] = asyncio.ensure_future(self._load(memory_id))
            task.add_done_callback(lambda _: self._loading.pop(memory_id, None))
        return await asyncio.shield(task)

    def unload(self, memory: TeamMemory) -> None:
        """Release a repository."""
        memory.close()
        self._metrics.forget_memory(memory.snapshot.repository)

    async def answer(self, request: HttpRequest, memory_of: MemoryOf) -> Answer:
        """Answer a request.

        Args:
            request: the HTTP request.
            memory_of: returns the memory of a name, loading it if needed.

        Raises:
            Refused: the request is refused.
        """
        user = self._rights.user_of(request.headers.get("authorization"))
        if user is None:
            self._metrics.start()
            self._metrics.finish("refused")
            raise Refused(401, "no such token; ask who runs the cluster for one.")
        if request.path == protocol.HELLO:
            return Answer(json_of(await self._hello(user, request.query.get("repository"))))
        if request.path == protocol.REPOSITORY:
            known = await self._repository(user, request.query)
            return Answer(await asyncio.to_thread(packed_of, known), is_packed=True)
        return await self._of_memory(user, request, memory_of)

    # Requests.

    async def _hello(self, user: User, repository: str | None) -> dict[str, Any]:
        """Return this engine's identity, and a repository's latest revision if one is named."""
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

    async def _of_memory(self, user: User, request: HttpRequest, memory_of: MemoryOf) -> Answer:
        memory_id = request.headers.get(protocol.MODEL_ID_HEADER, "")
        repository, _ = protocol.parse_memory_id(memory_id)
        _check(user, repository)
        plain = plain_of(request.body)
        overlay = structured(plain.get("overlay"), Overlay)
        if request.path == protocol.COMPLETE:
            completion = structured(plain.get("request"), CompletionRequest)
            lines = self._completing(user, memory_id, overlay, completion, request, memory_of)
            return Answer(lines=lines)
        try:
            return await self._of_files(user, request.path, plain, overlay, memory_of(memory_id))
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
        completion: CompletionRequest,
        request: HttpRequest,
        memory_of: MemoryOf,
    ) -> AsyncIterator[bytes]:
        """Yield the lines of an answer; closing the generator stops the work."""
        outcome, completed = "cancelled", None
        self._metrics.start()
        written = _PartialText()
        work = asyncio.ensure_future(
            self._complete(
                user, memory_id, overlay, completion, request.came_at, written, memory_of
            )
        )
        try:
            async for text in written.until(work):
                yield line_of({"so_far": text})
            completed = work.result()
            outcome = outcome_of(completed)
            if completed is not None:
                plain = {"result": asdict(completed.result), "missing": completed.missing}
                yield line_of(plain)
        except (LongLlamaError, _MemoryLoading) as error:
            outcome = "failed"
            yield line_of({"error": str(error)})
        except Refused as refused:
            outcome = "refused"
            yield line_of({"error": str(refused), "status": refused.status})
        finally:
            work.cancel()
            self._note(user, memory_id, outcome, completed, request.came_at)

    async def _complete(
        self,
        user: User,
        memory_id: str,
        overlay: Overlay,
        request: CompletionRequest,
        came_at: float,
        written: "_PartialText",
        memory_of: MemoryOf,
    ) -> Completed | None:
        while True:
            memory = await _in_time(memory_of(memory_id))
            try:
                return await memory.complete(user.name, overlay, request, came_at, written.update)
            except MemoryGone:  # it was evicted between the two calls
                continue

    def _note(
        self,
        user: User,
        memory_id: str,
        outcome: str,
        completed: Completed | None,
        came_at: float,
    ) -> None:
        """Count a request, and log it without text and paths."""
        total_ms = 1000 * (time.monotonic() - came_at)
        self._metrics.finish(outcome)
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


class _MemoryLoading(Exception):  # noqa: N818 - a state
    """Raised while the memory is loading; another replica may have it."""


async def _in_time(loading: Awaitable[TeamMemory]) -> TeamMemory:
    """Return a memory; loading goes on, where it takes longer than a completion should wait."""
    task = asyncio.ensure_future(loading)
    try:
        return await asyncio.wait_for(asyncio.shield(task), LOADING_S)
    except asyncio.TimeoutError:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise _MemoryLoading("the repository is being loaded here") from None


class _PartialText:
    """Latest partial text of an answer; older versions are dropped."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._text: str | None = None
        self._grown = asyncio.Event()

    def update(self, text: str) -> None:
        """Set the text; thread-safe."""
        self._loop.call_soon_threadsafe(self._grow, text)

    async def until(self, work: "asyncio.Future[Any]") -> AsyncIterator[str]:
        """Yield texts until the work is done."""
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
    """Refuse users who may not read a repository, without revealing whether it exists."""
    try:
        check_name(repository)
    except ConfigError as error:
        raise Refused(400, str(error)) from None
    if not user.may_read(repository):
        raise Refused(403, f"{user.name} may not read {repository!r}; ask who runs the cluster.")


def _load(options: ReplicaOptions) -> Any:
    """Load on the worker's thread."""
    yield
    engine = Engine.open(options.engine)
    engine.warm_up()
    return engine


def _nothing(_: Job) -> Any:
    yield
