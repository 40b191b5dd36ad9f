"""Team's engine for one window; a local engine takes over while the cluster is unreachable.

It has the methods and states of ``EngineClient``. Each time one engine takes over from the other,
its memory must be filled again; a cluster only needs the files that differ from its revision.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

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
from lsp_server.engine.client import EngineClient, EngineState
from lsp_server.engine.connection import EngineAway, EngineError
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.http import TeamAddress, TeamRefused, TeamUnreachable
from lsp_server.reasons import reason_of

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 15.0
"""Time between two checks whether the cluster answers, and has no later revision."""
REJOIN_S = 5.0
"""Time between two tries to reach the cluster while the local engine answers."""
DRAIN_S = 10.0
"""Time in which the local engine may still answer its requests after the cluster took over."""
REJOIN_REFUSED_S = 60.0
"""Time between two tries if the cluster refused the last one."""

T = TypeVar("T")


@dataclass(frozen=True)
class TeamOptions:
    """A team's engine, and the folders that it is used for."""

    address: TeamAddress
    folders: tuple[Path, ...]
    """Workspace folders; it must be one, as a cluster serves repositories."""
    repository: str = ""


class TeamEngine:
    """Owner of both engines; chooses between them. Lives on the event loop.

    Args:
        team: the team's engine.
        options: options of the local engine.
        on_state: called with each new state and its message.
    """

    def __init__(
        self,
        team: TeamOptions,
        options: ClientOptions,
        on_state: Callable[[EngineState, str], None],
    ) -> None:
        self._team, self._options, self._on_state = team, options, on_state
        self._cluster: TeamClient | None = None
        """The cluster, once it was joined."""
        self._local: EngineClient | None = None
        self._token_bytes = 0
        self._local_reason = ""
        """Why the local engine answers."""
        self._lost = asyncio.Event()
        self._n_local_requests = 0
        """Requests that the local engine has not answered yet."""
        self._follow_task: asyncio.Task[None] | None = None
        self._state, self._message = EngineState.STOPPED, ""

    # Interface of `EngineClient`.

    @property
    def state(self) -> EngineState:
        """State of the engine that answers."""
        return self._local.state if self._local is not None else self._state

    @property
    def message(self) -> str:
        """Message on the state."""
        return self._local.message if self._local is not None else self._message

    @property
    def ready(self) -> bool:
        """Whether the engine takes requests."""
        return self.state is EngineState.READY

    @property
    def hung(self) -> bool:
        """Whether the local engine was killed because it did not answer."""
        return self._local is not None and self._local.hung

    @property
    def n_restarts(self) -> int:
        """Restarts of the local engine."""
        return 0 if self._local is None else self._local.n_restarts

    @property
    def pid(self) -> int | None:
        """Process of the local engine."""
        return None if self._local is None else self._local.pid

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's record in memory; 0 before an engine was ready."""
        return self._token_bytes if self._local is None else self._local.token_bytes

    @property
    def store_problem(self) -> str | None:
        """What is wrong with the local engine's store on disk, if anything."""
        return None if self._local is None else self._local.store_problem

    @property
    def is_limited(self) -> bool:
        """Whether the memory budget applies; False if the memory is the cluster's."""
        return self._local is not None

    @property
    def note(self) -> str:
        """Message for the user on which engine answers."""
        url = self._team.address.url
        if self._local is not None:
            reason = self._local_reason
            return f"the team's engine at {url} is not used ({reason}); the local one answers"
        if self._cluster is None:
            return ""
        return (
            f"the team's engine at {url} answers; the text around the cursor and changed files "
            f"({self._cluster.n_own_files}) go there, nothing else"
        )

    async def start(self) -> None:
        """Follow the cluster from now on."""
        self._enter(EngineState.LOADING, f"joining the team's engine at {self._team.address.url}")
        self._follow_task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Leave both engines. ``on_state`` is not called."""
        if self._follow_task is not None:
            self._follow_task.cancel()
            await asyncio.wait([self._follow_task])
        cluster, self._cluster = self._cluster, None
        local, self._local = self._local, None
        self._state, self._message = EngineState.STOPPED, "the engine was stopped"
        if cluster is not None:
            await cluster.leave()
        if local is not None:
            await local.stop()

    async def remember(self, path: str, text: str, folder: str = "") -> RememberResult:
        """Take a file into memory.

        Raises:
            EngineGone: the engine is gone, or cannot be reached.
            EngineError: the request failed.
        """
        return await self._ask(lambda engine: engine.remember(path, text, folder))

    async def define(self, texts: dict[str, str]) -> bool:
        """Take in what files define; a cluster does not, as it has the repository already."""
        return self._local is not None and await self._local.define(texts)

    async def forget(self, paths: list[str]) -> None:
        """Take files out of memory."""
        await self._ask(lambda engine: engine.forget(paths))

    async def complete(
        self, request: CompletionRequest, on_progress: OnProgress = ignore_progress
    ) -> CompletionResult:
        """Return a suggestion. Cancelling the caller cancels the work.

        Raises:
            EngineGone: the engine is gone, or cannot be reached.
            EngineError: the request failed.
        """
        return await self._ask(lambda engine: engine.complete(request, on_progress))

    async def prepare(self, request: CompletionRequest) -> int:
        """Process the beginning of a file's prompts; a cluster returns 0, as it does not."""
        return 0 if self._local is None else await self._local.prepare(request)

    async def encode_definitions(self) -> EncodedDefinitions:
        """Have definitions encoded in advance; a cluster encodes none before a request."""
        return (
            EncodedDefinitions() if self._local is None else await self._local.encode_definitions()
        )

    async def status(self) -> EngineStatus:
        """Return what is in memory."""
        return await self._ask(lambda engine: engine.status())

    async def clear_store(self) -> ClearedStore:
        """Empty the memory, and remove from disk what no other client has in memory.

        Raises:
            EngineError: the store is the cluster's.
        """
        if self._local is not None:
            return await self._local.clear_store()
        raise EngineError("the store is the cluster's, and other users need it")

    async def _ask(self, ask: "Callable[[EngineClient | TeamClient], Awaitable[T]]") -> T:
        if self._local is None:
            return await self._ask_cluster(ask)
        self._n_local_requests += 1
        try:
            return await ask(self._local)
        finally:
            self._n_local_requests -= 1

    async def _ask_cluster(self, ask: Callable[[TeamClient], Awaitable[T]]) -> T:
        cluster = self._cluster
        if cluster is None:
            raise EngineAway(self._message or "the engine was stopped")
        try:
            return await ask(cluster)
        except TeamUnreachable as error:
            if cluster is self._cluster:
                self._lost.set()
            raise EngineAway(f"the team's engine cannot be reached: {error}") from None
        except TeamRefused as error:
            raise EngineError(f"the team's engine refused the request: {error}") from None

    # Choice between cluster and local engine.

    async def _follow(self) -> None:
        """Follow the cluster; whatever fails, the local engine answers from then on."""
        try:
            await self._follow_cluster()
        except Exception as error:
            logger.exception("the team's engine could not be followed")
            try:
                await self._use_local(reason_of(error))
            except Exception as second:
                self._enter(EngineState.FAILED, reason_of(second))

    async def _follow_cluster(self) -> None:
        """Use the cluster while it can be reached, the local engine otherwise; runs forever."""
        while True:
            try:
                cluster = await self._join()
            except (TeamUnreachable, TeamRefused) as error:
                await self._use_local(str(error))
                was_refused = isinstance(error, TeamRefused)
                await asyncio.sleep(REJOIN_REFUSED_S if was_refused else REJOIN_S)
                continue
            await self._use(cluster)
            await self._until_lost(cluster)

    async def _join(self) -> TeamClient:
        team = self._team
        if len(team.folders) != 1:
            raise TeamRefused(
                f"it serves one repository per window, and {len(team.folders)} folders are open;"
                " open one folder in a window"
            )
        cluster = TeamClient(team.address, team.folders[0], team.repository)
        try:
            status = await cluster.join()
        except BaseException:
            await cluster.leave()
            raise
        self._token_bytes = int(status["token_bytes"])
        return cluster

    async def _use(self, cluster: TeamClient) -> None:
        local, self._local = self._local, None
        former, self._cluster = self._cluster, cluster
        self._lost.clear()
        logger.info("the team's engine at %s answers", self._team.address.url)
        self._enter(EngineState.READY, "")
        try:
            if former is not None:
                await former.leave()
            if local is not None:
                await self._drain_local()
        finally:  # nobody else knows of it, should `stop` come meanwhile
            if local is not None:
                await local.stop()

    async def _drain_local(self) -> None:
        """Wait until the local engine has answered its requests, up to ``DRAIN_S``."""
        until = asyncio.get_running_loop().time() + DRAIN_S
        while self._n_local_requests and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.02)

    async def _use_local(self, reason: str) -> None:
        cluster, self._cluster = self._cluster, None
        self._local_reason = reason
        if cluster is not None:
            await cluster.leave()
        if self._local is None:
            logger.warning(
                "the team's engine at %s is not used: %s", self._team.address.url, reason
            )
            self._local = EngineClient(self._options, self._local_changed)
            await self._local.start()

    async def _until_lost(self, cluster: TeamClient) -> None:
        """Wait until the cluster cannot be reached, or has a later revision."""
        with suppress(TeamUnreachable, TeamRefused):
            while True:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), CHECK_EVERY_S)
                if not await cluster.is_current():
                    return
                self._lost.clear()

    def _local_changed(self, state: EngineState, message: str) -> None:
        if self._local is not None:
            self._on_state(state, message)

    def _enter(self, state: EngineState, message: str) -> None:
        self._state, self._message = state, message
        try:
            self._on_state(state, message)
        except Exception:  # the state holds, whoever fails to hear of it
            logger.exception("the engine's state could not be told")
