"""JSON-RPC of the engine process on stdin and stdout or on a socket, the model on a thread.

On stdin it ends with its parent; on a socket, with its last client. Apart from ``probe``, this is
the only module of ``lsp_server`` that imports torch, once the worker starts to load the model.
"""

import asyncio
import functools
import logging
import os
import sys
from pathlib import Path
from typing import BinaryIO

from pygls.io_ import StdoutWriter

from longllama_code.engine_options import EngineOptions
from longllama_code.errors import ConfigError, without_package
from lsp_server.engine.process import scripted
from lsp_server.engine.process.collector import collector_off
from lsp_server.engine.process.host import EngineHost, HostedEngine
from lsp_server.engine.stdio import StdinReader, take_stdout


def serve(options: EngineOptions, address: Path | None) -> None:
    """Serve a model until its parent or its last client has gone; then end the process.

    Args:
        options: the model and its store.
        address: where to serve; None: on stdin and stdout.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="engine: %(message)s")
    logging.getLogger("pygls").setLevel(logging.ERROR)  # it logs source code
    if address is None:
        asyncio.run(_serve_parent(options, take_stdout()))
    else:
        asyncio.run(_serve_socket(options, address))


async def _serve_parent(options: EngineOptions, stdout: BinaryIO) -> None:
    host = EngineHost(functools.partial(open_engine, options))
    await host.serve(StdinReader(), StdoutWriter(stdout))
    _end()


async def _serve_socket(options: EngineOptions, address: Path) -> None:
    # An engine on pipes does without what this imports.
    from lsp_server.engine.process.socket_server import EngineSocket

    await EngineSocket(EngineHost(functools.partial(open_engine, options)), address).serve()
    _end()


def open_engine(options: EngineOptions) -> HostedEngine:
    """Open the engine that the options name.

    Raises:
        ConfigError: a package is missing that the model needs.
        ModelNotFound: there is no such model here.
        CheckpointError: the model cannot be read.
    """
    if scripted.is_script(options.model):
        return scripted.ScriptedEngine.open(options.model)
    with collector_off():
        return _loaded(options)


def _loaded(options: EngineOptions) -> HostedEngine:
    try:
        from longllama_code.generation.engine import Engine
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{without_package(error, 'the model')}, or name a team's engine in "
            "longllama.engine.url."
        ) from error
    return Engine.open(options)


def _end() -> None:
    """End at once: the worker may be inside a kernel, and needs no orderly end."""
    sys.stderr.flush()
    os._exit(0)
