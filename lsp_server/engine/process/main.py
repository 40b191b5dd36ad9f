"""Engine process: JSON-RPC on stdin and stdout or on a socket, the model on a thread.

On stdin it ends with its parent; on a socket, with its last client. Apart from ``probe``, this is
the only module of ``lsp_server`` that imports torch, once the worker starts to load the model.
"""

import asyncio
import functools
import logging
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from pygls.io_ import StdoutWriter

from longllama_code.engine_options import EngineOptions
from longllama_code.errors import ConfigError, without_package
from lsp_server.engine.options import parse
from lsp_server.engine.process import scripted
from lsp_server.engine.process.collector import collector_off
from lsp_server.engine.process.host import EngineHost, HostedEngine
from lsp_server.engine.stdio import StdinReader, take_stdout


def main() -> None:
    """Parse the command line, and serve."""
    options, address = parse()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="engine: %(message)s")
    logging.getLogger("pygls").setLevel(logging.ERROR)  # it logs source code
    if address is None:
        # Ctrl-C in a terminal reaches all processes there; this one ends with its parent.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        asyncio.run(_serve_parent(options, take_stdout()))
    else:
        asyncio.run(_serve_socket(options, address))


async def _serve_parent(options: EngineOptions, stdout: BinaryIO) -> None:
    host = EngineHost(functools.partial(_open, options))
    await host.serve(StdinReader(), StdoutWriter(stdout))
    _end()


async def _serve_socket(options: EngineOptions, address: Path) -> None:
    # An engine on pipes does without what this imports.
    from lsp_server.engine.process.socket_server import EngineSocket

    await EngineSocket(EngineHost(functools.partial(_open, options)), address).serve()
    _end()


def _open(options: EngineOptions) -> HostedEngine:
    if options.model.startswith(scripted.PREFIX):
        return scripted.ScriptedEngine.open(options.model)

    with collector_off():
        return _loaded(options)


def _loaded(options: EngineOptions) -> HostedEngine:
    try:
        from longllama_code.generation import ahead

        ahead.begin(options)
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
