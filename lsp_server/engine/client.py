"""Client of an engine: starts or joins it, sends requests, restarts it when it dies.

Callers see the states loading, ready and failed. After a crash the engine is loading again. Each
time it becomes ready, its memory is empty and must be filled again, mostly from the store.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from longllama_code.protocol import (
    ClearedStore,
    CompletionRequest,
    CompletionResult,
    EncodedDefinitions,
    EngineStatus,
    OnProgress,
    RememberResult,
    ignore_progress,
)
from lsp_server.engine.connection import EngineConnection, EngineError, EngineGone, Listener
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.protocol import (
    CLEAR_STORE,
    COMPLETE,
    DEFINE,
    ENCODE,
    FORGET,
    PREPARE,
    REMEMBER,
    STATUS,
    from_plain,
    to_plain,
)
from lsp_server.engine.shared_launcher import DiedAtStart
from lsp_server.engine.shared_transport import CannotShare
from lsp_server.reasons import reason_of

logger = logging.getLogger(__name__)

BACK_OFF_S = (0.1, 1.0, 5.0, 30.0)
REJOIN_S = 0.05
STABLE_AFTER_S = 30.0
"""Time that an engine must be ready for its next crash to count as the first."""


class EngineState(str, Enum):
    """State of the engine; only a ready one takes requests."""

    STOPPED = "stopped"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class EngineClient:
    """Owner of the engine process, or of a connection to a shared one. Lives on the event loop."""

    is_limited = True
    """Whether the memory budget applies: the memory is this machine's."""

    def __init__(
        self, options: ClientOptions, on_state: Callable[[EngineState, str], None]
    ) -> None:
        self._options = options
        self._on_state = on_state
        self._listener = Listener(
            self.handle_ready, self.handle_failed, self.handle_partial_result, self.handle_exit
        )
        self._numbers = itertools.count()
        self._on_progress: dict[int, OnProgress] = {}
        self._connection: EngineConnection | None = None
        self._n_crashes = 0
        self._ready_at: float | None = None
        self._log = "log"
        self._join_task: asyncio.Task[None] | None = None
        self._restart_task: asyncio.Task[None] | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self._n_requests = 0
        self.hung = False
        """Whether the last process was killed because it did not answer."""
        self.token_bytes = 0
        """Bytes of one token's record in memory; 0 before the engine was ready."""
        self.store_problem: str | None = None
        """What is wrong with the store on disk, if anything."""
        self.state = EngineState.STOPPED
        self.message = ""
        self.n_restarts = 0

    @property
    def note(self) -> str:
        """Message for the user, shown with the state; empty: none."""
        return self._options.note

    @property
    def ready(self) -> bool:
        """Whether the engine takes requests."""
        return self.state is EngineState.READY

    @property
    def pid(self) -> int | None:
        """Process of the engine, while there is one and if it is known."""
        return self._connection.pid if self._connection else None

    async def start(self) -> None:
        """Start the process, or join the shared one; return before the model is loaded."""
        self._enter(EngineState.LOADING, f"loading the model {self._options.engine.model}")
        self._ready_at = None
        self.hung = False
        if self._options.is_shared:
            self._join_task = asyncio.create_task(self._start_by(self._join))
        else:
            await self._start_by(self._start_own)

    async def _start_by(self, way: Callable[[], Awaitable[None]]) -> None:
        """Start in some way; whatever fails there is told, as nobody may wait for it."""
        try:
            await way()
        except Exception as error:
            logger.exception("the engine could not be started")
            reason = f"the engine process cannot be started: {reason_of(error)}"
            self._connection, connection = None, self._connection
            self._enter(EngineState.FAILED, reason)
            if connection is not None:
                await connection.close()

    async def stop(self) -> None:
        """Leave the engine, and end it if it is not shared; requests in flight fail.

        ``on_state`` is not called.
        """
        for task in (self._join_task, self._restart_task, self._watchdog):
            if task is not None:
                task.cancel()
        if self._join_task is not None:
            await asyncio.wait([self._join_task])
        connection, self._connection = self._connection, None
        self.state, self.message = EngineState.STOPPED, "the engine was stopped"
        if connection is not None:
            await connection.close()

    async def _start_own(self) -> None:
        connection = self._connection = EngineConnection(self._listener)
        await connection.start(self._options)

    async def _join(self) -> None:
        """Join the shared engine; if none can be shared, start a child process."""
        try:
            while True:
                connection = self._connection = EngineConnection(self._listener)
                if await connection.join(self._options):
                    return
                await connection.close()  # it was ending
                await asyncio.sleep(REJOIN_S)
        except CannotShare as reason:
            logger.warning("no engine is shared: %s", reason)
            await self._drop_connection()
            await self._start_own()
        except DiedAtStart as death:
            self._restart_or_fail(f"{_ended(death.returncode)}; {death}")
        except asyncio.TimeoutError:
            self._kill_hanging()
            await self._drop_connection()
            self._restart_or_fail(self._did_not_answer)

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def remember(self, path: str, text: str, folder: str = "") -> RememberResult:
        """Take a file into memory.

        Args:
            path: name of the file.
            text: its text.
            folder: beginning of the name that tells workspace folders apart, and counts for nothing
                else.

        Raises:
            EngineGone: the engine died before it was done.
            EngineError: the request failed.
        """
        answer = await self._ask(REMEMBER, {"path": path, "text": text, "folder": folder})
        return from_plain(answer, RememberResult)

    async def define(self, texts: dict[str, str]) -> bool:
        """Take in what files define, before they are remembered.

        Args:
            texts: name → text of each file.

        Returns:
            True: the engine has them now.

        Raises:
            EngineGone: the engine died before it was done.
            EngineError: the request failed.
        """
        await self._ask(DEFINE, {"texts": texts})
        return True

    async def forget(self, paths: list[str]) -> None:
        """Take files out of memory."""
        await self._ask(FORGET, {"paths": paths})

    async def complete(
        self, request: CompletionRequest, on_progress: OnProgress = ignore_progress
    ) -> CompletionResult:
        """Return a suggestion. Cancelling the caller cancels the work.

        Args:
            request: the cursor and its text, and limits.
            on_progress: called with the text generated so far.

        Raises:
            EngineGone: the engine died before it answered.
            EngineError: the request failed.
        """
        number = next(self._numbers)
        self._on_progress[number] = on_progress
        try:
            params = {"number": number, "request": to_plain(request)}
            return from_plain(await self._ask(COMPLETE, params), CompletionResult)
        finally:
            del self._on_progress[number]

    async def prepare(self, request: CompletionRequest) -> int:
        """Process the beginning of a file's prompts while no completion is requested.

        Args:
            request: the file, its text around a likely cursor, the repository.

        Returns:
            Number of tokens processed for it, now or before.

        Raises:
            EngineGone: the engine died before it was done.
            EngineError: the request failed.
        """
        return int((await self._ask(PREPARE, {"request": to_plain(request)}))["tokens"])

    async def encode_definitions(self) -> EncodedDefinitions:
        """Have some definitions encoded in advance, while nothing else is to be done.

        Raises:
            EngineGone: the engine died before it was done.
            EngineError: the request failed.
        """
        return from_plain(await self._ask(ENCODE, {}), EncodedDefinitions)

    async def status(self) -> EngineStatus:
        """Return what is in memory, and where it came from."""
        return from_plain(await self._ask(STATUS, {}), EngineStatus)

    async def clear_store(self) -> ClearedStore:
        """Empty the memory, and remove from disk what no other client has in memory."""
        return from_plain(await self._ask(CLEAR_STORE, {}), ClearedStore)

    def handle_partial_result(self, params: dict[str, Any]) -> None:
        """Pass on the text generated so far, if its request is still waiting."""
        on_progress = self._on_progress.get(params["number"])
        if on_progress is not None:
            on_progress(params["text"])

    def handle_ready(self, connection: EngineConnection, params: dict[str, Any]) -> None:
        """Note that the model is loaded."""
        if connection is not self._connection:  # its last words are read after its end
            return
        logger.info("engine ready: %s", params.get("model"))
        self._ready_at = asyncio.get_running_loop().time()
        self.token_bytes = int(params.get("token_bytes", 0))
        self.store_problem = params.get("store_problem")
        self._enter(EngineState.READY, "")
        if self._options.hang_timeout_s:
            self._watchdog = asyncio.create_task(
                self._kill_if_hanging(self._options.hang_timeout_s)
            )

    def handle_failed(self, connection: EngineConnection, params: dict[str, Any]) -> None:
        """Note that the model cannot be loaded; a restart would not help."""
        if connection is self._connection:
            self._enter(EngineState.FAILED, str(params["message"]))

    def handle_exit(self, connection: EngineConnection, returncode: int | None) -> None:
        """Restart a process that ended by itself, after a delay that grows with each crash."""
        if connection is not self._connection:  # it ended because it was stopped
            return
        self._connection = None
        self._log = connection.log
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self.state is not EngineState.FAILED:
            self._restart_or_fail(self._did_not_answer if self.hung else _ended(returncode))

    def _restart_or_fail(self, ended: str) -> None:
        now = asyncio.get_running_loop().time()
        has_recovered = self._ready_at is not None and now - self._ready_at > STABLE_AFTER_S
        self._n_crashes = 1 if has_recovered else self._n_crashes + 1
        if self._n_crashes > len(BACK_OFF_S):
            message = f"{ended}, {self._n_crashes} times in a row. Its {self._log} says why."
            self._enter(EngineState.FAILED, message)
            return
        self.n_restarts += 1
        logger.warning("%s and is started again", ended)
        self._enter(EngineState.LOADING, f"{ended} and is started again")
        self._restart_task = asyncio.create_task(self._start_after(BACK_OFF_S[self._n_crashes - 1]))

    async def _start_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self._start_by(self.start)

    async def _kill_if_hanging(self, timeout_s: float) -> None:
        """Kill the process if it does not answer while requests wait.

        A process that works answers status requests between two steps of its work.
        """
        while True:
            await asyncio.sleep(timeout_s / 4)
            if not self._n_requests:
                continue
            try:
                await asyncio.wait_for(self.status(), timeout_s)
            except asyncio.TimeoutError:
                self._kill_hanging()
                return
            except (EngineGone, EngineError):
                return

    def _kill_hanging(self) -> None:
        if self._connection is not None:
            self.hung = True
            self._connection.kill()

    @property
    def _did_not_answer(self) -> str:
        return f"the engine did not answer for {self._options.hang_timeout_s:g} s, was ended"

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        connection = self._connection
        # Before it is ready, it may not be connected yet, and has no model.
        if connection is None or self.state is not EngineState.READY:
            raise EngineGone(self.message or "the engine is not running")
        self._n_requests += 1
        try:
            return await connection.ask(method, params)
        finally:
            self._n_requests -= 1

    def _enter(self, state: EngineState, message: str) -> None:
        self.state, self.message = state, message
        try:
            self._on_state(state, message)
        except Exception:  # the state holds, whoever fails to hear of it
            logger.exception("the engine's state could not be told")


def _ended(returncode: int | None) -> str:
    """Return a message on how a process ended; on POSIX a signal is a negative code."""
    if returncode is None:
        return "the engine ended unexpectedly"
    if returncode < 0:
        hint = ", often for want of memory" if returncode == -9 else ""
        return f"the engine ended unexpectedly (signal {-returncode}{hint})"
    return f"the engine ended unexpectedly (exit code {returncode})"
