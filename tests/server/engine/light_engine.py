"""An engine without a model behind a real socket, in a process of its own: it lists its files."""

import asyncio
import os
import sys
import time
from collections import Counter
from pathlib import Path

from longllama_code.engine_options import EngineOptions
from longllama_code.errors import ModelNotFound
from longllama_code.protocol import (
    ClearedStore,
    CompletionResult,
    EngineStatus,
    RememberResult,
    Timings,
)
from lsp_server.engine.options import ClientOptions, parse
from lsp_server.engine.process.host import EngineHost
from lsp_server.engine.process.socket_server import EngineSocket
from lsp_server.engine.shared_loopback import LoopbackPorts

LOOPBACK_FOLDER = "LIGHT_ENGINE_LOOPBACK_FOLDER"
"""Variable with a folder for address files; set, the engine is shared over loopback."""


class LightEngine:
    """Completes with the names of its files; a model of another name than ``light`` is missing."""

    def __init__(self, shared=None):
        self.texts = {}
        self.shared = Counter() if shared is None else shared

    def warm_up(self):
        pass

    def fork(self):
        self.shared["users"] += 1
        return LightEngine(self.shared)

    def release(self):
        self.shared["users"] -= 1

    def remember(self, path, text, folder=""):
        for _ in text.splitlines():
            time.sleep(0.001)
            yield
        self.texts[path] = text
        return RememberResult(path, len(text), 1, 1, 0, 0)

    def define(self, texts):
        yield from ()

    def forget(self, path):
        return self.texts.pop(path, None) is not None

    def complete(self, request, should_stop, tell):
        return CompletionResult(" ".join(sorted(self.texts)), "line", Timings())

    def status(self):
        n_tokens = sum(map(len, self.texts.values()))
        n_users = self.shared["users"]
        return EngineStatus(
            "light", "cpu", "none", len(self.texts), n_users, n_tokens, 0, 0, 0, 0, 0, 0, None
        )

    def forget_all(self):
        self.texts.clear()

    def clear_store(self):
        return ClearedStore()


class LightOptions(ClientOptions):
    """Options of an engine that is ready at once."""

    def command(self, address=None):
        return [sys.executable, __file__, *self.arguments(), "--address", str(address)]


def light(model, kind=LightOptions, threads=0, **of_client):
    """Options of an engine that this file runs, also in the children of a test."""
    folder = os.environ.get(LOOPBACK_FOLDER)
    transport = LoopbackPorts(Path(folder)) if folder else None
    return kind(EngineOptions(model, threads=threads), transport=transport, **of_client)


def _load(options):
    if options.model != "light":
        raise ModelNotFound(f"no model {options.model}")
    return LightEngine()


async def _main() -> None:
    options, address = parse()
    assert isinstance(address, Path)
    await EngineSocket(EngineHost(lambda: _load(options)), address).serve()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
