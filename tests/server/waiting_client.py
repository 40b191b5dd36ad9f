"""The engine client, for tests that wait for its states."""

import asyncio

from lsp_server.engine.client import EngineClient
from tests.deadline import DEADLINE_S

COMPILED_S = 240  # a C++ compiler from an empty folder, beside other tests


async def soon(work, deadline_s=DEADLINE_S):
    return await asyncio.wait_for(work, deadline_s)


class WaitingClient(EngineClient):
    """A client that keeps the states it went through, and waits for them."""

    def __init__(self, options):
        self.told = []
        self._news = asyncio.Event()
        super().__init__(options, self._note)

    def _note(self, state, message):
        self.told.append((state, message))
        self._news.set()

    @property
    def states(self):
        return [state for state, _ in self.told]

    async def until(self, state, deadline_s=DEADLINE_S):
        async def wait():
            while self.state is not state:
                self._news.clear()
                await self._news.wait()

        await soon(wait(), deadline_s)
