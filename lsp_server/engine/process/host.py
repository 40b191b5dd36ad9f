"""Serves one model to several clients, each with a repository of its own in memory.

Requests become jobs for the worker's thread. When a connection ends, its jobs are cancelled and its
repository leaves memory; other clients are not affected.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from pygls.exceptions import JsonRpcException
from pygls.io_ import run_async
from pygls.server import JsonRPCServer

from longllama_code.errors import LongLlamaError
from longllama_code.protocol import (
    ClearedStore,
    CompletionRequest,
    CompletionResult,
    EncodedDefinitions,
    EngineStatus,
    EngineUser,
    OnProgress,
    RememberResult,
)
from longllama_code.worker import EngineWorker, Job, Priority
from lsp_server.engine.protocol import (
    CLEAR_STORE,
    COMPLETE,
    DEFINE,
    ENCODE,
    FAILED,
    FORGET,
    HELLO,
    PARTIAL_RESULT,
    PREPARE,
    READY,
    REMEMBER,
    STATUS,
    VERSION,
    EngineProtocol,
    Hello,
    engine_converter,
    from_plain,
    to_plain,
)
from lsp_server.engine.stdio import READ_LIMIT_BYTES
from lsp_server.reasons import reason_of

logger = logging.getLogger(__name__)

WARM_UP_AFTER_S = 0.5
"""Time for a client to send what it wants at once, such as the files of an open window."""

Params = dict[str, Any]
Work = Generator[None, None, Any]


class HostedEngine(Protocol):
    """Engine that is served: a model's, or a scripted one."""

    def warm_up(self) -> None:
        """Do in advance what the first request would otherwise wait for."""
        ...

    def fork(self) -> "HostedEngine":
        """Return an engine for another repository, over the same model."""
        ...

    def release(self) -> None:
        """Release the repository."""
        ...

    def remember(
        self, path: str, text: str, folder: str = "", /
    ) -> Generator[None, None, RememberResult]:
        """Take a file into memory; yields after each segment."""
        ...

    def define(self, texts: Mapping[str, str]) -> Generator[None, None, None]:
        """Take in what files define; yields after each file."""
        ...

    def forget(self, path: str) -> bool:
        """Take a file out of memory; False if it was not there."""
        ...

    def complete(
        self,
        request: CompletionRequest,
        should_stop: Callable[[], bool],
        on_progress: OnProgress,
        /,
    ) -> CompletionResult:
        """Return a suggestion; call ``on_progress`` with its text as it grows."""
        ...

    def prepare(self, request: CompletionRequest) -> Generator[None, None, int]:
        """Process the beginning of a file's prompts; return its number of tokens."""
        ...

    def encode_definitions(self) -> Generator[None, None, EncodedDefinitions]:
        """Encode some definitions in advance; yields between steps of a few tokens."""
        ...

    def status(self) -> EngineStatus:
        """Return what is in memory."""
        ...

    def forget_all(self) -> None:
        """Take every file out of memory."""
        ...

    def clear_store(self) -> ClearedStore:
        """Remove from disk what no client has in memory."""
        ...


class Reader(Protocol):
    """Stream of messages from a client."""

    def readline(self) -> Awaitable[bytes]:
        """Return the next header line."""
        ...

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """Return the next ``n`` bytes."""
        ...


class Writer(Protocol):
    """Stream of messages to a client."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class EngineHost:
    """Owner of the worker, and of the clients' sessions. Lives on an event loop."""

    def __init__(self, load: Callable[[], HostedEngine]) -> None:
        """Start to load the model.

        Args:
            load: loads it; called on the worker's thread.
        """
        self.loop = asyncio.get_running_loop()
        self.worker = EngineWorker()
        self.base: HostedEngine | None = None
        """Engine without a repository, from which each client's engine is made."""
        self.failure: str | None = None
        """Why the model could not be loaded."""
        self.sessions: list[ClientSession] = []
        """Sessions of connected clients that sent ``HELLO``, in this order."""
        self.loaded = asyncio.wrap_future(
            self.worker.submit(self, Priority.CONTROL, functools.partial(self._load, load)).result
        )
        """Done when the model is loaded or has failed to."""
        self._is_warm = False
        self.failure_sent = asyncio.Event()
        """Set once a client was told that the model could not be loaded."""

    async def serve(self, reader: Reader, writer: Writer) -> Hello | None:
        """Serve one connection until it ends; return its ``HELLO``, if it sent one."""
        session = ClientSession(self, writer)
        try:
            await session.read(_SizeLimitedReader(reader))
        finally:
            self.leave(session)
        return session.hello

    def leave(self, session: "ClientSession") -> None:
        """End a client's session, and take its repository out of memory."""
        if session in self.sessions:
            self.sessions.remove(session)
        session.end()
        self.worker.forget(session)

    def _load(self, load: Callable[[], HostedEngine], _: Job) -> Work:
        try:
            self.base = load()
        except Exception as error:
            if not isinstance(error, LongLlamaError):
                logger.exception("the model could not be loaded")
            self.failure = reason_of(error)
        yield from ()

    def warm_up(self) -> None:
        """Prepare the engine for requests, a little after a client knows of it; only once."""
        if not self._is_warm:
            self._is_warm = True
            submit = functools.partial(self.worker.submit, self, Priority.IDLE, self._warm_up)
            self.loop.call_later(WARM_UP_AFTER_S, submit)

    def _warm_up(self, _: Job) -> Work:
        assert self.base is not None
        try:
            self.base.warm_up()
        except Exception:  # the request that it fails for as well has somebody to tell
            logger.exception("the engine could not be prepared")
        yield from ()


class ClientSession:
    """Session of one connected client: its engine and its jobs. Compared by identity."""

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
        self._answer(DEFINE, Priority.BACKGROUND, self._define)
        self._answer(FORGET, Priority.BACKGROUND, self._forget)
        self._answer(COMPLETE, _priority_of, self._complete)
        self._answer(PREPARE, Priority.AHEAD, self._prepare)
        self._answer(ENCODE, Priority.IDLE, self._encode)
        self._answer(STATUS, Priority.CONTROL, self._status)
        self._answer(CLEAR_STORE, Priority.BACKGROUND, self._clear_store)

    async def read(self, reader: Reader) -> None:
        """Handle messages until the connection ends or sends something malformed."""
        never = threading.Event()
        protocol, report = self._rpc.protocol, self._rpc.report_server_error
        try:
            await run_async(never, reader, protocol, logging.getLogger("pygls"), report)
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            logger.info("a connection ended: %s", type(error).__name__)

    def end(self) -> None:
        """Cancel all jobs, and release the repository."""
        if self._greeting is not None:
            self._greeting.cancel()
        for job in self._jobs:
            job.cancelled.set()
        self._host.worker.submit(self, Priority.CONTROL, self._close_engine)

    # Messages: on the event loop.

    def _say_hello(self, params: Params) -> dict[str, Any]:
        hello = from_plain(params, Hello)
        if hello.version != VERSION:
            raise JsonRpcException(
                f"this engine has version {VERSION}, the client {hello.version}; restart both"
            )
        if self.hello is None:
            self.hello = hello
            self._host.sessions.append(self)
            self._greeting = asyncio.ensure_future(self._greet())
        return {"version": VERSION}

    async def _greet(self) -> None:
        """Notify the client once the model is loaded, or has failed to."""
        failure = None
        try:
            await asyncio.shield(self._host.loaded)
            if self._host.failure is None:
                status = await self._do(Priority.CONTROL, self._open_engine)
                self._rpc.protocol.notify(READY, status)
                self._host.warm_up()
        except Exception as error:  # without an answer, the client would wait for good
            logger.exception("an engine could not be opened")
            failure = reason_of(error)
        if failure := self._host.failure or failure:
            self._rpc.protocol.notify(FAILED, {"message": failure})
            self._host.failure_sent.set()

    def _answer(
        self,
        method: str,
        priority: Priority | Callable[[Params], Priority],
        work: Callable[[Params, Job], Work],
    ) -> None:
        async def handler(params: Params) -> Any:
            if self.hello is None:
                raise JsonRpcException(f"{HELLO} comes first; the client sent {method}")
            of_request = priority if isinstance(priority, Priority) else priority(params)
            return await self._do(of_request, functools.partial(work, params))

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

    # Jobs: on the worker's thread.

    def _open_engine(self, _: Job) -> Work:
        assert self._host.base is not None
        self._engine = self._host.base.fork()
        yield from ()
        return to_plain(self._engine.status())

    def _close_engine(self, _: Job) -> Work:
        if self._engine is not None:
            self._engine.release()
            self._engine = None
        yield from ()

    def _remember(self, params: Params, _: Job) -> Work:
        path, text, folder = params["path"], params["text"], params.get("folder", "")
        return to_plain((yield from self._opened.remember(path, text, folder)))

    def _define(self, params: Params, _: Job) -> Work:
        yield from self._opened.define(params["texts"])
        return {}

    def _forget(self, params: Params, _: Job) -> Work:
        forgotten = [path for path in params["paths"] if self._opened.forget(path)]
        yield from ()
        return {"paths": forgotten}

    def _complete(self, params: Params, job: Job) -> Work:
        request = from_plain(params["request"], CompletionRequest)
        on_progress = functools.partial(self._send_partial_result, params["number"])

        def attempt(should_stop: Callable[[], bool]) -> CompletionResult:
            return self._opened.complete(request, should_stop, on_progress)

        result = yield from self._host.worker.give_way(job, attempt)
        return None if result is None else to_plain(result)

    def _prepare(self, params: Params, _: Job) -> Work:
        request = from_plain(params["request"], CompletionRequest)
        return {"tokens": (yield from self._opened.prepare(request))}

    def _encode(self, _params: Params, _: Job) -> Work:
        return to_plain((yield from self._opened.encode_definitions()))

    def _send_partial_result(self, number: int, text: str) -> None:
        result = {"number": number, "text": text}
        self._host.loop.call_soon_threadsafe(self._rpc.protocol.notify, PARTIAL_RESULT, result)

    def _status(self, _params: Params, _: Job) -> Work:
        yield from ()
        users = [each.usage(is_asking=each is self) for each in list(self._host.sessions)]
        return to_plain(replace(self._opened.status(), users=users))

    def _clear_store(self, _params: Params, _: Job) -> Work:
        yield from ()
        self._opened.forget_all()
        return to_plain(self._opened.clear_store())

    def usage(self, *, is_asking: bool) -> EngineUser:
        """Return what this client has in memory. Call it on the worker's thread."""
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


def _priority_of(params: Params) -> Priority:
    """Return the priority of a request for a suggestion."""
    return Priority.AHEAD if params["request"].get("is_ahead") else Priority.TYPING


class _SizeLimitedReader:
    """Reader that refuses messages of more than ``READ_LIMIT_BYTES``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def readline(self) -> Awaitable[bytes]:
        """Return the next header line."""
        return self._reader.readline()

    async def readexactly(self, n: int) -> bytes:
        """Return the next ``n`` bytes.

        Raises:
            ConnectionError: ``n`` is over the limit.
        """
        if n > READ_LIMIT_BYTES:
            raise ConnectionError(f"a message of {n} bytes; the limit is {READ_LIMIT_BYTES}")
        return await self._reader.readexactly(n)
