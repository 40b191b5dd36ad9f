"""A repository in a replica's memory, with an overlay of files for each user.

Its methods run jobs on the one thread that owns the model. A user's own files are named
by digest with every request, so that a replica which is new to the user can answer too, and
reports which texts it lacks.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from longllama_code.cluster.shared_store import PackedSegment, SharedStore
from longllama_code.cluster.snapshots import Snapshot, SnapshotFile
from longllama_code.generation.engine import Engine
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    RememberResult,
    Timings,
)
from longllama_code.team_protocol import Overlay, digest_of
from longllama_code.worker import EngineWorker, Job, Priority

LOAD_FILES = 32
"""Number of files whose segments are fetched together."""
MAX_COMPLETION_MS = 20_000
"""Maximum time of a completion; a longer one could not be distinguished from a hang."""
LAST_STEP_S = 0.5
"""Time that a completion may exceed its deadline."""
IDLE_S = 1800.0
"""Time without a request after which a window's own files are released."""

Work = Generator[None, None, Any]


@dataclass(frozen=True)
class Completed:
    """Answer to a completion request."""

    result: CompletionResult
    missing: list[str]
    """Own files whose text is missing here."""
    queued_ms: float
    """Time from arrival until the model was free."""


@dataclass(frozen=True)
class Remembered:
    """Result of remembering a user's own files."""

    results: list[RememberResult]
    missing: list[str]


class Member:
    """A window's own files over a repository; for the worker's thread."""

    def __init__(self, base: Engine) -> None:
        self.engine = base.overlay()
        self._number = -1
        self._wanted: dict[str, str | None] = {}
        self._have: dict[str, str | None] = {}

    def adopt(self, overlay: Overlay) -> list[str]:
        """See the files of an overlay, as far as they are here; the others' names."""
        if overlay.number >= self._number:
            self._number, self._wanted = overlay.number, dict(overlay.files)
            for path in [path for path in self._have if path not in self._wanted]:
                self.engine.restore(path)
                del self._have[path]
            for path, digest in self._wanted.items():
                if digest is None and self._have.get(path, "") is not None:
                    self.engine.forget(path)
                    self._have[path] = None
        return [
            path
            for path, digest in self._wanted.items()
            if digest is not None and self._have.get(path) != digest
        ]

    def remember(self, texts: dict[str, str]) -> Generator[None, None, list[RememberResult]]:
        """Take in the texts that the overlay names."""
        results: list[RememberResult] = []
        for path, text in texts.items():
            digest = digest_of(text)
            if self._wanted.get(path) != digest:
                continue  # a newer overlay exists
            results.append((yield from self.engine.remember(path, text)))
            self._have[path] = digest
            if path not in self._wanted:  # the file was restored meanwhile
                self.engine.restore(path)
                del self._have[path]
        return results


class TeamMemory:
    """A repository at one revision; for use on an event loop.

    Args:
        worker: owner of the model.
        host: engine whose model the repository's engine shares.
        snapshot: the repository.
    """

    def __init__(self, worker: EngineWorker, host: Engine, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._worker, self._host = worker, host
        self._engine: Engine | None = None
        self._members: dict[tuple[str, str], Member] = {}
        self._asked_at: dict[tuple[str, str], float] = {}
        self._closed = False

    async def load(self, shared: SharedStore) -> list[RememberResult]:
        """Take the repository into memory; what no store has is encoded."""
        taken: list[RememberResult] = []
        await self._do(self, Priority.CONTROL, self._open)
        files = self.snapshot.files
        for start in range(0, len(files), LOAD_FILES):
            some = files[start : start + LOAD_FILES]
            wanted = dict.fromkeys(held for file in some for held in file.segment_ids)
            lacking = await self._do(
                self, Priority.CONTROL, functools.partial(self._lacking, list(wanted))
            )
            found = await asyncio.to_thread(shared.get, lacking) if lacking else {}
            taking = functools.partial(self._take_in, some, found)
            taken += await self._do(self, Priority.BACKGROUND, taking)
        return taken

    async def complete(
        self,
        user: str,
        overlay: Overlay,
        request: CompletionRequest,
        came_at: float,
        report: Callable[[str], None],
    ) -> Completed | None:
        """Return a suggestion, or None if it was cancelled; cancelling the caller stops the work.

        Args:
            user: name of the user.
            overlay: the user's own files.
            request: the request; its timeout counts from ``came_at``.
            came_at: time of arrival, by ``time.monotonic``.
            report: called with the text as it grows, on the worker's thread.
        """
        key = self._key(user, overlay)
        work = functools.partial(self._complete, key, overlay, request, came_at, report)
        left_s = request.timeout_ms / 1000 - (time.monotonic() - came_at)
        try:
            priority = Priority.AHEAD if request.is_ahead else Priority.TYPING
            done = self._do(key, priority, work)
            return await asyncio.wait_for(done, max(0.0, left_s) + LAST_STEP_S)
        except asyncio.TimeoutError:  # other requests came first
            return _late([], came_at)

    async def remember(self, user: str, overlay: Overlay, texts: dict[str, str]) -> Remembered:
        """Take in some of a user's own files."""
        work = functools.partial(self._remember, self._key(user, overlay), overlay, texts)
        return await self._do(self._key(user, overlay), Priority.BACKGROUND, work)

    async def status(self, user: str, overlay: Overlay) -> EngineStatus:
        """Return the status of the memory for a user."""
        work = functools.partial(self._status, self._key(user, overlay), overlay)
        return await self._do(self._key(user, overlay), Priority.CONTROL, work)

    def leave(self, user: str, session: str) -> None:
        """Release the own files of a window that was closed."""
        self._worker.submit(self, Priority.CONTROL, functools.partial(self._drop, (user, session)))

    def close(self) -> None:
        """Let go of the repository; safe from any thread, and a second time."""
        if not self._closed:
            self._closed = True
            self._worker.submit(self, Priority.BACKGROUND, self._close)

    def _key(self, user: str, overlay: Overlay) -> tuple[str, str]:
        """Return the key of an overlay; the user is part of it, so sessions cannot be hijacked."""
        key = user, overlay.session
        now = time.monotonic()
        self._asked_at[key] = now
        for idle in [one for one, at in self._asked_at.items() if at < now - IDLE_S]:
            del self._asked_at[idle]
            self.leave(*idle)
        return key

    async def _do(self, owner: Any, priority: Priority, work: Callable[[Job], Work]) -> Any:
        job = self._worker.submit(owner, priority, work)
        try:
            return await asyncio.shield(asyncio.wrap_future(job.result))
        except asyncio.CancelledError:
            job.cancelled.set()
            raise

    # Jobs, on the worker's thread.

    def _open(self, _: Job) -> Work:
        self._engine = self._host.fork()
        yield from ()

    def _lacking(self, segment_ids: list[str], _: Job) -> Work:
        yield from ()
        return [held for held in segment_ids if self._opened.lacks(held)]

    def _take_in(
        self, files: tuple[SnapshotFile, ...], found: dict[str, PackedSegment], _: Job
    ) -> Work:
        for segment_id, (records, offsets) in found.items():
            self._opened.admit(segment_id, records, offsets)
            yield
        taken: list[RememberResult] = []
        for file in files:
            self._opened.know_pieces(file.path, file.text, list(file.pieces))
            taken.append((yield from self._opened.remember(file.path, file.text)))
        return taken

    def _complete(
        self,
        key: tuple[str, str],
        overlay: Overlay,
        request: CompletionRequest,
        came_at: float,
        report: Callable[[str], None],
        job: Job,
    ) -> Work:
        member = self._member(key)
        missing = member.adopt(overlay)
        queued_ms = 1000 * (time.monotonic() - came_at)
        left_ms = min(MAX_COMPLETION_MS, int(request.timeout_ms - queued_ms))
        if left_ms <= 0:
            return _late(missing, came_at)
        timed = replace(request, timeout_ms=left_ms)

        def attempt(should_stop: Callable[[], bool]) -> CompletionResult:
            return member.engine.complete(timed, should_stop, report)

        result = yield from self._worker.give_way(job, attempt)
        return None if result is None else Completed(result, missing, queued_ms)

    def _remember(
        self, key: tuple[str, str], overlay: Overlay, texts: dict[str, str], _: Job
    ) -> Work:
        member = self._member(key)
        member.adopt(overlay)
        results = yield from member.remember(texts)
        return Remembered(results, member.adopt(overlay))

    def _status(self, key: tuple[str, str], overlay: Overlay, _: Job) -> Work:
        yield from ()
        member = self._member(key)
        member.adopt(overlay)
        return member.engine.status()

    def _member(self, key: tuple[str, str]) -> Member:
        if key not in self._members:
            self._members[key] = Member(self._opened)
        return self._members[key]

    def _drop(self, key: tuple[str, str], _: Job) -> Work:
        member = self._members.pop(key, None)
        if member is not None:
            member.engine.release()
        self._worker.forget(key)
        yield from ()

    def _close(self, job: Job) -> Work:
        for key in list(self._members):
            yield from self._drop(key, job)
        if self._engine is not None:
            self._engine.release()
            self._engine = None
        yield from ()

    @property
    def _opened(self) -> Engine:
        if self._engine is None:
            raise MemoryGone("this memory was let go of")
        return self._engine


def _late(missing: list[str], came_at: float) -> Completed:
    """Return an answer whose time passed in the queue."""
    result = CompletionResult("", "deadline", Timings(), empty_reason="deadline")
    return Completed(result, missing, 1000 * (time.monotonic() - came_at))


class MemoryGone(Exception):  # noqa: N818 - a state, after which it is loaded again
    """Raised if the memory was evicted."""
