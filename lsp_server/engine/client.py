"""The server's side of the engine: start or join it, ask it, start it again when it dies.

Callers see plain values and three states: loading, ready, failed. A crash is a return to loading;
every time that the engine is ready, its memory is empty and must be filled again (from disk).
"""

import asyncio
import itertools
import logging
import sys
from collections.abc import Callable
from enum import Enum
from typing import Any

from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    RememberResult,
    Tell,
    tell_nobody,
)
from lsp_server.engine.connection import EngineConnection, EngineError, EngineGone, Listener
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.protocol import (
    CLEAR_STORE,
    COMPLETE,
    FORGET,
    PREPARE,
    REMEMBER,
    STATUS,
    from_plain,
    to_plain,
)
from lsp_server.engine.shared_endpoint import CannotShare
from lsp_server.engine.shared_launcher import DiedAtStart

logger = logging.getLogger(__name__)

BACK_OFF_S = (0.1, 1.0, 5.0, 30.0)
REJOIN_S = 0.05
STABLE_AFTER_S = 30.0
"""An engine that was ready for so long has recovered: its next crash is the first again."""


class EngineState(str, Enum):
    """Whether the engine can be asked."""

    STOPPED = "stopped"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class EngineClient:
    """Owns the engine process. Lives on the event loop; every method belongs to it."""

    is_limited = True
    """Whether this machine's budget counts."""

    def __init__(
        self, options: ClientOptions, on_state: Callable[[EngineState, str], None]
    ) -> None:
        self._options = options
        self._on_state = on_state
        self._listener = Listener(
            self.handle_ready, self.handle_failed, self.handle_so_far, self.handle_exit
        )
        self._numbers = itertools.count()
        self._told: dict[int, Tell] = {}
        self._connection: EngineConnection | None = None
        self._n_crashes = 0
        self._ready_at: float | None = None
        self._log = "log"
        self._joining: asyncio.Task[None] | None = None
        self._restart: asyncio.Task[None] | None = None
        self._guard: asyncio.Task[None] | None = None
        self._n_asked = 0
        self.hung = False
        """Whether the last process was ended because it showed no sign of life."""
        self.token_bytes = 0
        """Of the record of one token in memory; 0 before the engine was ready."""
        self.state = EngineState.STOPPED
        self.message = ""
        self.n_restarts = 0

    @property
    def note(self) -> str:
        """What people should know of this engine beside its state; empty: nothing."""
        return self._options.note

    @property
    def ready(self) -> bool:
        """Whether the engine can be asked."""
        return self.state is EngineState.READY

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._connection.pid if self._connection else None

    async def start(self) -> None:
        """Start the process, or join the one that is shared; the model loads while this returns."""
        self._enter(EngineState.LOADING, f"loading the model {self._options.engine.model}")
        self._ready_at = None
        self.hung = False
        if self._options.is_shared and sys.platform != "win32":
            self._joining = asyncio.create_task(self._join())
        else:
            await self._start_own()

    async def stop(self) -> None:
        """Leave the engine, and end it if it is our own; requests in flight fail.

        Nobody is told of the state.
        """
        for task in (self._joining, self._restart, self._guard):
            if task is not None:
                task.cancel()
        if self._joining is not None:
            await asyncio.wait([self._joining])
        connection, self._connection = self._connection, None
        self.state, self.message = EngineState.STOPPED, "the engine was stopped"
        if connection is not None:
            await connection.close()

    async def _start_own(self) -> None:
        connection = self._connection = EngineConnection(self._listener)
        try:
            await connection.start(self._options)
        except OSError as error:
            self._enter(EngineState.FAILED, f"the engine process cannot be started: {error}")

    async def _join(self) -> None:
        """Join the shared engine; where that is not to be had, start one of our own."""
        try:
            while True:
                connection = self._connection = EngineConnection(self._listener)
                if await connection.join(self._options):
                    return
                await connection.close()  # it was about to end
                await asyncio.sleep(REJOIN_S)
        except CannotShare as reason:
            logger.warning("no engine is shared: %s", reason)
            await self._drop_connection()
            await self._start_own()
        except DiedAtStart as death:
            self._begin_again(f"{_ended(death.returncode)}; {death}")
        except asyncio.TimeoutError:
            self._end_hanging()
            await self._drop_connection()
            self._begin_again(self._did_not_answer)
        except OSError as error:
            await self._drop_connection()
            self._enter(EngineState.FAILED, f"the engine process cannot be started: {error}")

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

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

    async def complete(
        self, request: CompletionRequest, tell: Tell = tell_nobody
    ) -> CompletionResult:
        """A suggestion. Cancelling the caller cancels the work.

        Args:
            request: what is asked.
            tell: told what is written so far.

        Raises:
            EngineGone: the engine died before it answered.
            EngineError: it failed over this request.
        """
        number = next(self._numbers)
        self._told[number] = tell
        try:
            params = {"number": number, "request": to_plain(request)}
            return from_plain(await self._ask(COMPLETE, params), CompletionResult)
        finally:
            del self._told[number]

    async def prepare(self, request: CompletionRequest) -> int:
        """Have read, between other work, what prompts of a file begin with; how many tokens.

        Args:
            request: the file, its text before and after where the cursor may be, the repository.

        Raises:
            EngineGone: the engine died before it was done.
            EngineError: it failed over this request.
        """
        return int((await self._ask(PREPARE, {"request": to_plain(request)}))["tokens"])

    async def status(self) -> EngineStatus:
        """What the engine holds."""
        return from_plain(await self._ask(STATUS, {}), EngineStatus)

    async def clear_store(self) -> int:
        """Have removed from disk what is in nobody's memory; how many segments there were."""
        return int((await self._ask(CLEAR_STORE, {}))["removed_segments"])

    def handle_so_far(self, params: dict[str, Any]) -> None:
        """More of an answer is written; it may be that nobody waits for it any more."""
        tell = self._told.get(params["number"])
        if tell is not None:
            tell(params["text"])

    def handle_ready(self, params: dict[str, Any]) -> None:
        """The model is loaded."""
        logger.info("engine ready: %s", params.get("model"))
        self._ready_at = asyncio.get_running_loop().time()
        self.token_bytes = int(params.get("token_bytes", 0))
        self._enter(EngineState.READY, "")
        if self._options.hang_timeout_s:
            self._guard = asyncio.create_task(self._end_if_it_hangs(self._options.hang_timeout_s))

    def handle_failed(self, params: dict[str, Any]) -> None:
        """The model cannot be loaded; starting again would not help."""
        self._enter(EngineState.FAILED, str(params["message"]))

    def handle_exit(self, connection: EngineConnection, returncode: int | None) -> None:
        """The process ended by itself: start it again, with growing patience."""
        if connection is not self._connection:  # it was stopped
            return
        self._connection = None
        self._log = connection.log
        if self._guard is not None:
            self._guard.cancel()
        if self.state is not EngineState.FAILED:
            self._begin_again(self._did_not_answer if self.hung else _ended(returncode))

    def _begin_again(self, ended: str) -> None:
        now = asyncio.get_running_loop().time()
        has_recovered = self._ready_at is not None and now - self._ready_at > STABLE_AFTER_S
        self._n_crashes = 1 if has_recovered else self._n_crashes + 1
        if self._n_crashes > len(BACK_OFF_S):
            again = f"{ended}, {self._n_crashes} times in a row. Its {self._log} says why."
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
                self._end_hanging()
                return
            except (EngineGone, EngineError):
                return

    def _end_hanging(self) -> None:
        if self._connection is not None:
            self.hung = True
            self._connection.kill()

    @property
    def _did_not_answer(self) -> str:
        return f"the engine did not answer for {self._options.hang_timeout_s:g} s, was ended"

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        connection = self._connection
        if connection is None or self.state is EngineState.FAILED:
            raise EngineGone(self.message or "the engine is not running")
        self._n_asked += 1
        try:
            return await connection.ask(method, params)
        finally:
            self._n_asked -= 1

    def _enter(self, state: EngineState, message: str) -> None:
        self.state, self.message = state, message
        self._on_state(state, message)


def _ended(returncode: int | None) -> str:
    """That a process ended, and how, for people; on POSIX a signal gives a negative code."""
    if returncode is None:
        return "the engine ended unexpectedly"
    if returncode < 0:
        hint = ", often for want of memory" if returncode == -9 else ""
        return f"the engine ended unexpectedly (signal {-returncode}{hint})"
    return f"the engine ended unexpectedly (exit code {returncode})"
