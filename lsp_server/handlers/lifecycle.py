"""``initialize``, ``initialized``, ``shutdown``, ``exit``."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, cast

import psutil
from lsprotocol import types

from lsp_server.handlers.workspace import (
    paths_of_folders,
    pull_configuration,
    register_for_changes,
)
from lsp_server.lsp_protocol import Protocol
from lsp_server.problems import CLIENT, FOLDER
from lsp_server.receiving.copilot_clients import is_copilot_client, without_introduction
from lsp_server.server import Server
from lsp_server.settings.declarations import SECTION

logger = logging.getLogger(__name__)

PARENT_CHECK_INTERVAL_S = 5.0
"""Time between two looks whether the editor's process is still there."""
POPUPS_INSERT = frozenset({"Neovim"})
"""Names of clients whose own popup leaves what stands behind the cursor, whatever an item says."""


def initialize(server: Server, params: types.InitializeParams) -> None:
    """Accept the client and read its settings; pygls answers with the capabilities."""
    server.protocol.trace = params.trace or types.TraceValue.Off
    if params.client_info is not None:
        server.popups_replace = params.client_info.name not in POPUPS_INSERT
    options = server.accept_client(params.initialization_options)
    server.is_for_copilot = is_copilot_client(options)
    tells_shown = server.client_can("didShowSuggestion")
    server.session.statistics.counter.client_tells_shown = tells_shown
    with server.session.problems.without(CLIENT):
        server.session.configure("options", _without_section(without_introduction(options)))


async def initialized(server: Server, _: types.InitializedParams) -> None:
    """Start to work on the client's workspace folders."""
    try:
        await _begin(server)
    except Exception as error:  # the one place that nothing can pass: see `problems`
        logger.exception("the session could not begin")
        server.session.fail(error)


async def _begin(server: Server) -> None:
    without = server.session.problems.without
    with without(CLIENT):
        if server.process_id is not None:
            server.background_tasks.start(_watch_parent(server.process_id))
        register_for_changes(server)
    with without(CLIENT):
        await pull_configuration(server)
    roots: list[Path] = []
    with without(FOLDER):
        roots = _roots(server)
    await server.session.begin(roots)


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
    # pygls decodes the keys of its table, but not the folders' own URIs.
    uris = [folder.uri for folder in server.workspace.folders.values()]
    root = server.workspace.root_uri or cast("Protocol", server.protocol).malformed_root
    return paths_of_folders(server, uris or [root])


async def _watch_parent(process_id: int) -> None:
    """End this process once the editor's process is gone, also if the pipe stays open.

    An id that is unknown from the start belongs to another container or machine, and is ignored.
    """
    if not psutil.pid_exists(process_id):
        return
    while psutil.pid_exists(process_id):
        await asyncio.sleep(PARENT_CHECK_INTERVAL_S)
    logger.warning("the client's process %s is gone; ending", process_id)
    os._exit(1)
