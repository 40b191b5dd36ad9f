"""The engine client, for tests that wait for its states."""

import asyncio

from lsp_server.engine_client import EngineClient

DEADLINE_S = 30


async def soon(work):
    return await asyncio.wait_for(work, DEADLINE_S)


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

    async def until(self, state):
        async def wait():
            while self.state is not state:
                self._news.clear()
                await self._news.wait()

        await soon(wait())
