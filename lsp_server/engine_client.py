"""The server's side of the engine process: start it, ask it, start it again when it dies.

Callers see plain values and three states: loading, ready, failed. A crash is a return to loading;
every time that the engine is ready, its memory is empty and must be filled again (from disk).
"""

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.client import JsonRPCClient
from pygls.exceptions import JsonRpcException

from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    RememberResult,
)
from lsp_server.processes import connect_stdio, python_command
from lsp_server.rpc import (
    COMPLETE,
    FAILED,
    FORGET,
    READY,
    REMEMBER,
    STATUS,
    EngineProtocol,
    engine_converter,
    from_plain,
    to_plain,
)

logger = logging.getLogger(__name__)

BACK_OFF_S = (0.1, 1.0, 5.0, 30.0)
STABLE_AFTER_S = 30.0
"""An engine that was ready for so long has recovered: its next crash is the first again."""


class EngineState(str, Enum):
    """Whether the engine can be asked."""

    STOPPED = "stopped"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class EngineGone(Exception):  # noqa: N818 - a state of the engine, not a fault of the caller
    """The engine died, or has no model; the message says which."""


class EngineError(Exception):
    """The engine lives, but what was asked of it failed; the message says why."""


@dataclass(frozen=True)
class EngineOptions:
    """How to start the engine."""

    model: str = "mini"
    cache_dir: Path | None = None
    persist: bool = True
    max_store_bytes: int | None = None
    threads: int = 0
    hang_timeout_s: float = 0.0
    """How long a process that was asked something may show no sign of life; 0: for ever."""

    def command(self) -> list[str]:
        """The command line."""
        command = [*python_command("lsp_server.engine_process"), "--model", self.model]
        command += ["--threads", str(self.threads)]
        if self.max_store_bytes is not None:
            command += ["--max-store-bytes", str(self.max_store_bytes)]
        if self.cache_dir is not None:
            command += ["--cache-dir", str(self.cache_dir)]
        return command if self.persist else [*command, "--no-persist"]


class _Connection(JsonRPCClient):
    """One engine process."""

    def __init__(self, client: "EngineClient") -> None:
        super().__init__(EngineProtocol, engine_converter)
        self._client = client
        # pygls marks the functions that it registers, which bound methods do not allow.
        self.feature(READY)(partial(client.handle_ready))
        self.feature(FAILED)(partial(client.handle_failed))

    @property
    def process(self) -> asyncio.subprocess.Process | None:
        """The process, once it was started."""
        return self._server

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:
        """Tell the owner that the process is gone."""
        self._client.handle_exit(self, server.returncode)


class EngineClient:
    """Owns the engine process. Lives on the event loop; every method belongs to it."""

    def __init__(
        self, options: EngineOptions, on_state: Callable[[EngineState, str], None]
    ) -> None:
        self._options = options
        self._on_state = on_state
        self._connection: _Connection | None = None
        self._ids = itertools.count(1)
        self._n_crashes = 0
        self._ready_at: float | None = None
        self._restart: asyncio.Task[None] | None = None
        self._guard: asyncio.Task[None] | None = None
        self._n_asked = 0
        self.hung = False
        """Whether the last process was ended because it showed no sign of life."""
        self.state = EngineState.STOPPED
        self.message = ""
        self.n_restarts = 0

    @property
    def ready(self) -> bool:
        """Whether the engine can be asked."""
        return self.state is EngineState.READY

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        process = self._connection.process if self._connection else None
        return process.pid if process and process.returncode is None else None

    async def start(self) -> None:
        """Start the process; the model loads while this returns."""
        self._enter(EngineState.LOADING, f"loading the model {self._options.model}")
        self._ready_at = None
        self.hung = False
        connection = self._connection = _Connection(self)
        try:
            await connect_stdio(connection, *self._options.command())
        except OSError as error:
            self._enter(EngineState.FAILED, f"the engine process cannot be started: {error}")

    async def stop(self) -> None:
        """End the process; requests in flight fail. Nobody is told of the state."""
        connection, self._connection = self._connection, None
        self.state, self.message = EngineState.STOPPED, "the engine was stopped"
        for task in (self._restart, self._guard):
            if task is not None:
                task.cancel()
        if connection is not None and connection.process is not None:
            if connection.process.returncode is None:
                connection.process.kill()
            await connection.stop()

    async def remember(self, path: str, text: str) -> RememberResult:
        """Have a file taken into memory.

        Raises:
            EngineGone: the engine died before it was done.
            EngineError: it failed over this file.
        """
        answer = await self._ask(REMEMBER, {"path": path, "text": text})
        return from_plain(answer, RememberResult)

    async def forget(self, paths: list[str]) -> None:
        """Have files taken out of memory."""
        await self._ask(FORGET, {"paths": paths})

    async def complete(self, request: CompletionRequest) -> CompletionResult:
        """A suggestion. Cancelling the caller cancels the work.

        Raises:
            EngineGone: the engine died before it answered.
            EngineError: it failed over this request.
        """
        return from_plain(await self._ask(COMPLETE, to_plain(request)), CompletionResult)

    async def status(self) -> EngineStatus:
        """What the engine holds."""
        return from_plain(await self._ask(STATUS, {}), EngineStatus)

    def handle_ready(self, params: dict[str, Any]) -> None:
        """The model is loaded."""
        logger.info("engine ready: %s", params.get("model"))
        self._ready_at = asyncio.get_running_loop().time()
        self._enter(EngineState.READY, "")
        if self._options.hang_timeout_s:
            self._guard = asyncio.create_task(self._end_if_it_hangs(self._options.hang_timeout_s))

    def handle_failed(self, params: dict[str, Any]) -> None:
        """The model cannot be loaded; starting again would not help."""
        self._enter(EngineState.FAILED, str(params["message"]))

    def handle_exit(self, connection: JsonRPCClient, returncode: int | None) -> None:
        """The process ended by itself: start it again, with growing patience."""
        if connection is not self._connection:  # it was stopped
            return
        self._connection = None
        if self._guard is not None:
            self._guard.cancel()
        if self.state is EngineState.FAILED:
            return
        now = asyncio.get_running_loop().time()
        has_recovered = self._ready_at is not None and now - self._ready_at > STABLE_AFTER_S
        self._n_crashes = 1 if has_recovered else self._n_crashes + 1
        ended = f"the engine ended unexpectedly ({_cause(returncode)})"
        if self.hung:
            ended = f"the engine did not answer for {self._options.hang_timeout_s:g} s, was ended"
        if self._n_crashes > len(BACK_OFF_S):
            again = f"{ended}, {self._n_crashes} times in a row. Its log on stderr says why."
            self._enter(EngineState.FAILED, again)
            return
        self.n_restarts += 1
        logger.warning("%s and is started again", ended)
        self._enter(EngineState.LOADING, f"{ended} and is started again")
        self._restart = asyncio.create_task(self._start_after(BACK_OFF_S[self._n_crashes - 1]))

    async def _start_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self.start()

    async def _end_if_it_hangs(self, timeout_s: float) -> None:
        """Kill the process once it answers nothing while something is asked of it.

        It answers a question for its status between two steps of any work.
        """
        while True:
            await asyncio.sleep(timeout_s / 4)
            if not self._n_asked:
                continue
            try:
                await asyncio.wait_for(self.status(), timeout_s)
            except asyncio.TimeoutError:
                process = self._connection.process if self._connection else None
                if process is not None and process.returncode is None:
                    self.hung = True
                    process.kill()
                return
            except (EngineGone, EngineError):
                return

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        connection = self._connection
        if connection is None or self.state is EngineState.FAILED:
            raise EngineGone(self.message or "the engine is not running")
        request_id = f"{method}-{next(self._ids)}"
        answer = asyncio.wrap_future(
            connection.protocol.send_request(method, params, msg_id=request_id)
        )
        self._n_asked += 1
        try:
            # Shielded: a late answer to a future that was cancelled is an error to pygls.
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_ignore)
            if not connection.stopped:
                connection.protocol.notify(types.CANCEL_REQUEST, types.CancelParams(id=request_id))
            raise
        except JsonRpcException as error:
            raise EngineError(error.message) from None
        except RuntimeError as error:  # pygls' word for a process that ended
            raise EngineGone(str(error)) from None
        finally:
            self._n_asked -= 1

    def _enter(self, state: EngineState, message: str) -> None:
        self.state, self.message = state, message
        self._on_state(state, message)


def _cause(returncode: int | None) -> str:
    """How a process ended, for people; on POSIX a signal gives a negative code."""
    if returncode is not None and returncode < 0:
        hint = ", often for want of memory" if returncode == -9 else ""
        return f"signal {-returncode}{hint}"
    return f"exit code {returncode}"


def _ignore(answer: "asyncio.Future[Any]") -> None:
    """Take note of an answer nobody waits for."""
    if not answer.cancelled():
        answer.exception()
