"""Serves an engine to those who connect: each has a repository of its own over the one model.

What arrives on a connection becomes jobs of its owner for the worker's thread. A connection that
ends takes its repository out of memory, and its jobs with it; the others go on.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any, Protocol

from pygls.exceptions import JsonRpcException
from pygls.io_ import run_async
from pygls.server import JsonRPCServer

from longllama_code.errors import Cancelled, LongLlamaError
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    EngineUser,
    RememberResult,
    Tell,
)
from longllama_code.worker import EngineWorker, Job, Priority
from lsp_server.engine.protocol import (
    CLEAR_STORE,
    COMPLETE,
    FAILED,
    FORGET,
    HELLO,
    PREPARE,
    READY,
    REMEMBER,
    SO_FAR,
    STATUS,
    VERSION,
    EngineProtocol,
    Hello,
    engine_converter,
    from_plain,
    to_plain,
)
from lsp_server.engine.stdio import READ_LIMIT_BYTES

logger = logging.getLogger(__name__)

Params = dict[str, Any]
Work = Generator[None, None, Any]


class HostedEngine(Protocol):
    """What is served."""

    def beside(self) -> "HostedEngine":
        """Another one for another repository, over the same model."""
        ...

    def leave(self) -> None:
        """Let go of the repository."""
        ...

    def remember(self, path: str, text: str) -> Generator[None, None, RememberResult]:
        """Take a file into memory."""
        ...

    def forget(self, path: str) -> bool:
        """Take a file out of memory."""
        ...

    def complete(
        self,
        request: CompletionRequest,
        should_stop: Callable[[], bool],
        tell: Tell,
    ) -> CompletionResult:
        """A suggestion; ``tell`` is told its text as it grows."""
        ...

    def prepare(self, request: CompletionRequest) -> Generator[None, None, int]:
        """Read what the prompts of a file begin with; how many tokens that are."""
        ...

    def status(self) -> EngineStatus:
        """What is in memory."""
        ...

    def clear_store(self) -> int:
        """Remove what is stored and in nobody's memory."""
        ...


class Reader(Protocol):
    """Where messages come from."""

    def readline(self) -> Awaitable[bytes]:
        """The next header line."""
        ...

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """The next ``n`` bytes."""
        ...


class Writer(Protocol):
    """Where messages go."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class EngineHost:
    """Owner of the worker, and of those who are connected. Lives on an event loop."""

    def __init__(self, load: Callable[[], HostedEngine]) -> None:
        """Begin to load the model.

        Args:
            load: called on the worker's thread.
        """
        self.loop = asyncio.get_running_loop()
        self.worker = EngineWorker()
        self.first: HostedEngine | None = None
        """What the engines of all users are made beside; it holds no repository."""
        self.failure: str | None = None
        """Why there is no model."""
        self.users: list[User] = []
        """Those who said hello and did not leave, in this order."""
        self.loaded = asyncio.wrap_future(
            self.worker.submit(self, Priority.CONTROL, functools.partial(self._load, load)).result
        )
        """Done when the model is loaded, or never will be."""
        self.told_failure = asyncio.Event()
        """Set once somebody was told that there is no model."""

    async def serve(self, reader: Reader, writer: Writer) -> Hello | None:
        """Serve one connection until it ends; what it said when it came, if it did."""
        user = User(self, writer)
        try:
            await user.read(_Limited(reader))
        finally:
            self.leave(user)
        return user.hello

    def leave(self, user: "User") -> None:
        """Take a user's repository out of memory."""
        if user in self.users:
            self.users.remove(user)
        user.end()
        self.worker.forget(user)

    def _load(self, load: Callable[[], HostedEngine], _: Job) -> Work:
        try:
            self.first = load()
        except LongLlamaError as error:
            self.failure = str(error)
        except Exception as error:
            logger.exception("the model could not be loaded")
            self.failure = str(error)
        yield from ()


class User:
    """One connection. Equal to none but itself."""

    def __init__(self, host: EngineHost, writer: Writer) -> None:
        self.hello: Hello | None = None
        self._host = host
        self._engine: HostedEngine | None = None
        self._jobs: set[Job] = set()
        self._greeting: asyncio.Task[None] | None = None
        self._rpc = JsonRPCServer(EngineProtocol, engine_converter)
        self._rpc.protocol.set_writer(writer)
        self._rpc.feature(HELLO)(functools.partial(self._say_hello))
        self._answer(REMEMBER, Priority.BACKGROUND, self._remember)
        self._answer(FORGET, Priority.BACKGROUND, self._forget)
        self._answer(COMPLETE, Priority.TYPING, self._complete)
        self._answer(PREPARE, Priority.BACKGROUND, self._prepare)
        self._answer(STATUS, Priority.CONTROL, self._status)
        self._answer(CLEAR_STORE, Priority.BACKGROUND, self._clear_store)

    async def read(self, reader: Reader) -> None:
        """Take in messages until the connection ends, or sends what is none."""
        never = threading.Event()
        protocol, report = self._rpc.protocol, self._rpc.report_server_error
        try:
            await run_async(never, reader, protocol, logging.getLogger("pygls"), report)
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            logger.info("a connection ended: %s", type(error).__name__)

    def end(self) -> None:
        """Give up what was asked, and let go of the repository."""
        if self._greeting is not None:
            self._greeting.cancel()
        for job in self._jobs:
            job.cancelled.set()
        self._host.worker.submit(self, Priority.CONTROL, self._close_engine)

    # Messages, on the event loop.

    def _say_hello(self, params: Params) -> dict[str, Any]:
        hello = from_plain(params, Hello)
        if hello.version != VERSION:
            raise JsonRpcException(f"this engine speaks version {VERSION}, not {hello.version}")
        if self.hello is None:
            self.hello = hello
            self._host.users.append(self)
            self._greeting = asyncio.ensure_future(self._greet())
        return {"version": VERSION}

    async def _greet(self) -> None:
        """Say that the model is loaded, once it is; or that it never will be."""
        await asyncio.shield(self._host.loaded)
        if self._host.failure is None:
            status = await self._do(Priority.CONTROL, self._open_engine)
            self._rpc.protocol.notify(READY, status)
        else:
            self._rpc.protocol.notify(FAILED, {"message": self._host.failure})
            self._host.told_failure.set()

    def _answer(self, method: str, priority: Priority, work: Callable[[Params, Job], Work]) -> None:
        async def handler(params: Params) -> Any:
            if self.hello is None:
                raise JsonRpcException(f"{HELLO} comes first")
            return await self._do(priority, functools.partial(work, params))

        self._rpc.feature(method)(handler)

    async def _do(self, priority: Priority, work: Callable[[Job], Work]) -> Any:
        job = self._host.worker.submit(self, priority, work)
        self._jobs.add(job)
        try:
            return await asyncio.shield(asyncio.wrap_future(job.result))
        except asyncio.CancelledError:
            job.cancelled.set()
            raise
        finally:
            self._jobs.discard(job)

    # Jobs, on the worker's thread.

    def _open_engine(self, _: Job) -> Work:
        assert self._host.first is not None
        self._engine = self._host.first.beside()
        yield from ()
        return to_plain(self._engine.status())

    def _close_engine(self, _: Job) -> Work:
        if self._engine is not None:
            self._engine.leave()
            self._engine = None
        yield from ()

    def _remember(self, params: Params, _: Job) -> Work:
        return to_plain((yield from self._opened.remember(params["path"], params["text"])))

    def _forget(self, params: Params, _: Job) -> Work:
        forgotten = [path for path in params["paths"] if self._opened.forget(path)]
        yield from ()
        return {"paths": forgotten}

    def _complete(self, params: Params, job: Job) -> Work:
        request = from_plain(params["request"], CompletionRequest)
        tell = functools.partial(self._tell_so_far, params["number"])
        try:
            return to_plain(self._opened.complete(request, job.cancelled.is_set, tell))
        except Cancelled:
            return None
        yield

    def _prepare(self, params: Params, _: Job) -> Work:
        request = from_plain(params["request"], CompletionRequest)
        return {"tokens": (yield from self._opened.prepare(request))}

    def _tell_so_far(self, number: int, text: str) -> None:
        told = {"number": number, "text": text}
        self._host.loop.call_soon_threadsafe(self._rpc.protocol.notify, SO_FAR, told)

    def _status(self, _params: Params, _: Job) -> Work:
        yield from ()
        users = [user.counted(is_asking=user is self) for user in list(self._host.users)]
        return to_plain(replace(self._opened.status(), users=users))

    def _clear_store(self, _params: Params, _: Job) -> Work:
        yield from ()
        return {"removed_segments": self._opened.clear_store()}

    def counted(self, *, is_asking: bool) -> EngineUser:
        """What it has in memory. For the worker's thread."""
        name = self.hello.name if self.hello else ""
        if self._engine is None:
            return EngineUser(name, 0, 0, is_asking)
        status = self._engine.status()
        return EngineUser(name, status.n_files, status.n_tokens, is_asking)

    @property
    def _opened(self) -> HostedEngine:
        if self._engine is None:
            raise RuntimeError("the engine has no model; see its first notification for the reason")
        return self._engine


class _Limited:
    """A connection whose messages have an end."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def readline(self) -> Awaitable[bytes]:
        """The next header line."""
        return self._reader.readline()

    async def readexactly(self, n: int) -> bytes:
        """The next ``n`` bytes.

        Raises:
            ConnectionError: they are more than any message has.
        """
        if n > READ_LIMIT_BYTES:
            raise ConnectionError(f"a message of {n} bytes")
        return await self._reader.readexactly(n)
