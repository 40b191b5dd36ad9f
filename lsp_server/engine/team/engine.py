"""A team's engine for a window; where it cannot be reached, one of this machine takes over.

Callers see what ``EngineClient`` shows them: the same questions and states. Each time that another
engine is ready, its memory is to be filled anew, which takes a cluster the files that differ alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    RememberResult,
)
from lsp_server.engine.client import EngineClient, EngineState
from lsp_server.engine.connection import EngineAway, EngineError
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.http import TeamAddress, TeamRefused, TeamUnreachable

logger = logging.getLogger(__name__)

LOOK_S = 15.0
"""Time between two looks at whether a cluster is still there, and has a later revision."""
REJOIN_S = 5.0
"""Time between two tries to reach a cluster, while the local engine answers."""
LAST_ANSWERS_S = 10.0
"""How long the local engine may take over what it was asked before the cluster was there again."""
REFUSED_S = 60.0
"""The same, where the cluster answered that it will not."""

T = TypeVar("T")


@dataclass(frozen=True)
class TeamOptions:
    """Which team's engine, and what for."""

    address: TeamAddress
    folders: tuple[Path, ...]
    """Of the workspace; a cluster knows repositories, so that there must be one."""
    repository: str = ""


class TeamEngine:
    """Owner of both engines, and of the choice between them. Lives on the event loop.

    Args:
        team: the team's engine.
        options: of the local one.
        on_state: told each change of state.
    """

    def __init__(
        self,
        team: TeamOptions,
        options: ClientOptions,
        on_state: Callable[[EngineState, str], None],
    ) -> None:
        self._team, self._options, self._on_state = team, options, on_state
        self._cluster: TeamClient | None = None
        """Joined."""
        self._local: EngineClient | None = None
        self._token_bytes = 0
        self._why = ""
        """Why the local engine answers."""
        self._lost = asyncio.Event()
        self._n_asked = 0
        """Questions that the local engine has not answered."""
        self._keeping: asyncio.Task[None] | None = None
        self._state, self._message = EngineState.STOPPED, ""

    # What `EngineClient` has.

    @property
    def state(self) -> EngineState:
        """Whether the engine can be asked."""
        return self._local.state if self._local is not None else self._state

    @property
    def message(self) -> str:
        """About the state."""
        return self._local.message if self._local is not None else self._message

    @property
    def ready(self) -> bool:
        """Whether the engine can be asked."""
        return self.state is EngineState.READY

    @property
    def hung(self) -> bool:
        """Whether the local engine showed no sign of life."""
        return self._local is not None and self._local.hung

    @property
    def n_restarts(self) -> int:
        """Of the local engine."""
        return 0 if self._local is None else self._local.n_restarts

    @property
    def pid(self) -> int | None:
        """Of the local engine."""
        return None if self._local is None else self._local.pid

    @property
    def token_bytes(self) -> int:
        """Of the record of one token in memory; 0 before an engine was ready."""
        return self._token_bytes if self._local is None else self._local.token_bytes

    @property
    def is_limited(self) -> bool:
        """Whether this machine's budget counts: a cluster holds the repository in any case."""
        return self._local is not None

    @property
    def note(self) -> str:
        """Who answers, for people."""
        url = self._team.address.url
        if self._local is not None:
            return f"the team's engine at {url} is not used ({self._why}); the local one answers"
        if self._cluster is None:
            return ""
        return (
            f"the team's engine at {url} answers; the text around the cursor and changed files "
            f"({self._cluster.n_own_files}) go there, nothing else"
        )

    async def start(self) -> None:
        """Look for the cluster from now on."""
        self._enter(EngineState.LOADING, f"joining the team's engine at {self._team.address.url}")
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Leave both engines; nobody is told of the state."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        cluster, self._cluster = self._cluster, None
        local, self._local = self._local, None
        self._state, self._message = EngineState.STOPPED, "the engine was stopped"
        if cluster is not None:
            await cluster.leave()
        if local is not None:
            await local.stop()

    async def remember(self, path: str, text: str) -> RememberResult:
        """Have a file taken into memory.

        Raises:
            EngineGone: the engine is gone, or cannot be reached.
            EngineError: it failed over this file.
        """
        return await self._ask(lambda engine: engine.remember(path, text))

    async def forget(self, paths: list[str]) -> None:
        """Have files taken out of memory."""
        await self._ask(lambda engine: engine.forget(paths))

    async def complete(
        self, request: CompletionRequest, tell: Callable[[str], None] = lambda _: None
    ) -> CompletionResult:
        """A suggestion. Cancelling the caller cancels the work.

        Raises:
            EngineGone: the engine is gone, or cannot be reached.
            EngineError: it failed over this request.
        """
        return await self._ask(lambda engine: engine.complete(request, tell))

    async def prepare(self, request: CompletionRequest) -> int:
        """Have read what prompts of a file begin with; by a local engine alone."""
        return 0 if self._local is None else await self._local.prepare(request)

    async def status(self) -> EngineStatus:
        """What the engine holds."""
        return await self._ask(lambda engine: engine.status())

    async def clear_store(self) -> int:
        """Have removed from this machine's disk what is in nobody's memory.

        Raises:
            EngineError: the store is the cluster's.
        """
        if self._local is not None:
            return await self._local.clear_store()
        raise EngineError("the store is the cluster's, and serves everybody")

    async def _ask(self, ask: "Callable[[EngineClient | TeamClient], Awaitable[T]]") -> T:
        if self._local is None:
            return await self._ask_cluster(ask)
        self._n_asked += 1
        try:
            return await ask(self._local)
        finally:
            self._n_asked -= 1

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
            raise EngineError(f"the team's engine refuses: {error}") from None

    # Choosing.

    async def _keep(self) -> None:
        """Use the cluster while it can be reached, the local engine otherwise."""
        while True:
            try:
                cluster = await self._joined()
            except (TeamUnreachable, TeamRefused) as error:
                await self._use_local(str(error))
                was_refused = isinstance(error, TeamRefused)
                await asyncio.sleep(REFUSED_S if was_refused else REJOIN_S)
                continue
            await self._use(cluster)
            await self._until_lost(cluster)

    async def _joined(self) -> TeamClient:
        team = self._team
        if len(team.folders) != 1:
            raise TeamRefused("it knows repositories; open one folder in a window")
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
        if former is not None:
            await former.leave()
        if local is not None:
            await self._until_answered()
            await local.stop()

    async def _until_answered(self) -> None:
        """Let the local engine finish what it was asked."""
        until = asyncio.get_running_loop().time() + LAST_ANSWERS_S
        while self._n_asked and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.02)

    async def _use_local(self, why: str) -> None:
        cluster, self._cluster = self._cluster, None
        self._why = why
        if cluster is not None:
            await cluster.leave()
        if self._local is None:
            logger.warning("the team's engine at %s: %s", self._team.address.url, why)
            self._local = EngineClient(self._options, self._tell_of_local)
            await self._local.start()

    async def _until_lost(self, cluster: TeamClient) -> None:
        """Wait until the cluster cannot be reached, or has a later revision."""
        with suppress(TeamUnreachable, TeamRefused):
            while True:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), LOOK_S)
                if not await cluster.is_current():
                    return
                self._lost.clear()

    def _tell_of_local(self, state: EngineState, message: str) -> None:
        if self._local is not None:
            self._on_state(state, message)

    def _enter(self, state: EngineState, message: str) -> None:
        self._state, self._message = state, message
        self._on_state(state, message)
