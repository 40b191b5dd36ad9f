"""``initialize``, ``initialized``, ``shutdown``, ``exit``."""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

from lsprotocol import types

from lsp_server.convert import path_of
from lsp_server.handlers.workspace import pull_configuration, register_for_changes
from lsp_server.server import Server
from lsp_server.settings.declarations import SECTION

logger = logging.getLogger(__name__)

PARENT_CHECK_INTERVAL_S = 5.0


def initialize(server: Server, params: types.InitializeParams) -> None:
    """Accept the client and read its settings; pygls answers with the capabilities."""
    server.protocol.trace = params.trace or types.TraceValue.Off
    options = server.accept_client(params.initialization_options)
    server.session.configure("options", _without_section(options))


async def initialized(server: Server, _: types.InitializedParams) -> None:
    """Start to work on the client's workspace folders."""
    if server.process_id is not None and sys.platform != "win32":
        server.background_tasks.start(_watch_parent(server.process_id))
    register_for_changes(server)
    await pull_configuration(server)
    await server.session.begin(_roots(server))


async def shutdown(server: Server, _: Any) -> None:
    """Stop all work."""
    await server.close()


def exit_(server: Server, _: Any) -> None:
    """Read no further message; the transport ends the process."""
    server.stop_event.set()


def _without_section(options: Any) -> Any:
    """Return the settings in ``initializationOptions`` without the section's name around them.

    Helix has one table for these and for ``workspace/configuration``, so it sends the name as well.
    """
    section = options.get(SECTION) if isinstance(options, dict) else None
    if not isinstance(section, dict):
        return options
    return {**{key: value for key, value in options.items() if key != SECTION}, **section}


def _roots(server: Server) -> list[Path]:
    """Return the workspace folders, or the single root that older clients name."""
    uris = list(server.workspace.folders) or [server.workspace.root_uri]
    return [path for uri in uris if uri and (path := path_of(uri)) is not None]


async def _watch_parent(process_id: int) -> None:
    """End this process once the editor's process is gone, also if the pipe stays open.

    An id that is unknown from the start belongs to another container or machine, and is ignored.
    """
    if not _is_alive(process_id):
        return
    while _is_alive(process_id):
        await asyncio.sleep(PARENT_CHECK_INTERVAL_S)
    logger.warning("the client's process %s is gone; ending", process_id)
    os._exit(1)


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it exists, but belongs to another user
    return True
