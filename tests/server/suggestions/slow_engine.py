"""An engine that answers when a test lets it."""

import asyncio

from longllama_code.protocol import CompletionResult, Timings
from lsp_server.engine.client import EngineState
from tests.deadline import DEADLINE_S


async def until(is_so):
    """Wait until something is so."""

    async def wait():
        while not is_so():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


class SlowEngine:
    """Answers once it may; notes what was asked and what was cancelled."""

    def __init__(self):
        self.state = EngineState.READY
        self.may_answer = asyncio.Event()
        self.asked = asyncio.Event()
        self.n_cancelled = 0
        self.error = None
        self.prefixes = []
        self.aheads = []
        self.prepared = []

    async def prepare(self, request):
        self.prepared.append(request)
        if self.error is not None:
            raise self.error
        return 12

    async def complete(self, request, tell):
        self.asked.set()
        self.prefixes.append(request.prefix)
        self.aheads.append(request.is_ahead)
        self.tell = tell
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return CompletionResult("text", "line", Timings())
