"""initialize, initialized, shutdown, exit."""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.convert import path_of
from lsp_server.handlers.workspace import pull_configuration, register_for_changes
from lsp_server.settings.declarations import SECTION

if TYPE_CHECKING:
    from lsp_server.server import Server

logger = logging.getLogger(__name__)

PARENT_CHECK_S = 5.0


def register(server: "Server") -> None:
    """Register the messages of this family."""
    tasks: set[asyncio.Task[None]] = set()

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.protocol.trace = params.trace or types.TraceValue.Off
        options = server.admit(params.initialization_options)
        server.session.configure("options", _without_section(options))

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        if server.process_id is not None and sys.platform != "win32":
            tasks.add(asyncio.create_task(_watch_parent(server.process_id)))
        register_for_changes(server)
        await pull_configuration(server)
        await server.session.begin(_roots(server))

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: Any) -> None:
        await server.end()


def _without_section(options: Any) -> Any:
    """The settings in initializationOptions, by their keys alone.

    A client that has one table for these and for ``workspace/configuration``, as Helix does, sends
    them under the name of the section.
    """
    section = options.get(SECTION) if isinstance(options, dict) else None
    if not isinstance(section, dict):
        return options
    return {**{key: value for key, value in options.items() if key != SECTION}, **section}


def _roots(server: "Server") -> list[Path]:
    """The workspace folders, or the one that older clients name."""
    uris = list(server.workspace.folders) or [server.workspace.root_uri]
    return [path for uri in uris if uri and (path := path_of(uri)) is not None]


async def _watch_parent(process_id: int) -> None:
    """End with the editor, even if it died without a word and its end of the pipe lives on.

    A process that was never to be seen is in another container, or on another machine.
    """
    if not _is_alive(process_id):
        return
    while _is_alive(process_id):
        await asyncio.sleep(PARENT_CHECK_S)
    logger.warning("the client's process %s is gone", process_id)
    os._exit(1)


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is there, but not ours to ask for
    return True
