"""The engine process: JSON-RPC on stdin and stdout, the model on a thread of its own.

Started by ``engine_client``; it ends with its parent, whose end closes stdin. No other module
of ``lsp_server`` may import torch, and this one does once the thread begins to load the model.
"""

import argparse
import asyncio
import functools
import logging
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygls.server import JsonRPCServer

from longllama_code.errors import Cancelled, LongLlamaError
from longllama_code.protocol import CompletionRequest
from lsp_server import scripted_engine
from lsp_server.engine_worker import EngineWorker, Job, Priority
from lsp_server.processes import take_stdout
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

if TYPE_CHECKING:
    from longllama_code.generation.engine import Engine

logger = logging.getLogger(__name__)

Params = dict[str, Any]
Work = Generator[None, None, Any]


class EngineServer:
    """Turns messages into jobs for the worker."""

    def __init__(self, load: Callable[[], "Engine | scripted_engine.ScriptedEngine"]) -> None:
        self._rpc = JsonRPCServer(EngineProtocol, engine_converter)
        self._worker = EngineWorker()
        self._engine: Engine | scripted_engine.ScriptedEngine | None = None
        self._load = load
        self._answer(REMEMBER, Priority.BACKGROUND, self._remember)
        self._answer(FORGET, Priority.BACKGROUND, self._forget)
        self._answer(COMPLETE, Priority.TYPING, self._complete)
        self._answer(STATUS, Priority.TYPING, self._status)

    def run(self) -> None:
        """Load the model and serve until stdin ends."""
        stdout = take_stdout()
        self._worker.submit(Priority.TYPING, self._open_engine)
        self._rpc.start_io(sys.stdin.buffer, stdout)

    def _answer(self, method: str, priority: Priority, work: Callable[[Params, Job], Work]) -> None:
        async def handler(params: Params) -> Any:
            return await self._await_job(
                self._worker.submit(priority, functools.partial(work, params))
            )

        self._rpc.feature(method)(handler)

    @staticmethod
    async def _await_job(job: Job) -> Any:
        try:
            return await asyncio.shield(asyncio.wrap_future(job.result))
        except asyncio.CancelledError:
            job.cancelled.set()
            raise

    def _open_engine(self, _: Job) -> Work:
        try:
            self._engine = self._load()
        except LongLlamaError as error:
            self._rpc.protocol.notify(FAILED, {"message": str(error)})
        except Exception as error:
            logger.exception("the model could not be loaded")
            self._rpc.protocol.notify(FAILED, {"message": str(error)})
        else:
            self._rpc.protocol.notify(READY, to_plain(self._engine.status()))
        yield from ()

    def _remember(self, params: Params, _: Job) -> Work:
        return to_plain((yield from self._opened.remember(params["path"], params["text"])))

    def _forget(self, params: Params, _: Job) -> Work:
        forgotten = [path for path in params["paths"] if self._opened.forget(path)]
        yield from ()
        return {"paths": forgotten}

    def _complete(self, params: Params, job: Job) -> Work:
        request = from_plain(params, CompletionRequest)
        try:
            return to_plain(self._opened.complete(request, job.cancelled.is_set))
        except Cancelled:
            return None
        yield

    def _status(self, _params: Params, _: Job) -> Work:
        yield from ()
        return to_plain(self._opened.status())

    @property
    def _opened(self) -> "Engine | scripted_engine.ScriptedEngine":
        if self._engine is None:
            raise RuntimeError("the engine has no model; see its first notification for the reason")
        return self._engine


def _open(options: argparse.Namespace) -> "Engine | scripted_engine.ScriptedEngine":
    if options.model.startswith(scripted_engine.PREFIX):
        return scripted_engine.ScriptedEngine.open(options.model)

    import torch

    from longllama_code.generation.engine import Engine

    if options.threads:
        torch.set_num_threads(options.threads)
    return Engine.open(
        options.model,
        options.cache_dir,
        persist=not options.no_persist,
        max_store_bytes=options.max_store_bytes,
    )


def main() -> None:
    """Parse the arguments of the parent and serve."""
    parser = argparse.ArgumentParser(description="The engine of longllama-lsp; not for people.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--no-persist", action="store_true")
    parser.add_argument("--max-store-bytes", type=int)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="engine: %(message)s")
    logging.getLogger("pygls").setLevel(logging.ERROR)  # it logs source code
    server = EngineServer(functools.partial(_open, options))
    server.run()
    # The worker may be inside a kernel; nothing it holds needs an orderly end.
    os._exit(0)


if __name__ == "__main__":
    main()
