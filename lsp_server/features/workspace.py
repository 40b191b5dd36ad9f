"""Configuration, workspace folders, watched files, renamed and deleted files."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.convert import path_of
from lsp_server.settings import SECTION

if TYPE_CHECKING:
    from pathlib import Path

    from lsp_server.server import Server

logger = logging.getLogger(__name__)

PULL_TIMEOUT_S = 2.0


def register(server: "Server") -> None:
    """Register the messages of this family."""
    session = server.session

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        pushed: Any = params.settings
        if isinstance(pushed, dict) and isinstance(pushed.get(SECTION), dict):
            session.configure(configuration=pushed[SECTION])
        await pull_configuration(server)
        await session.apply_settings()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def did_change_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        await session.change_roots(_paths(params.event.added), _paths(params.event.removed))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_watched_files(params: types.DidChangeWatchedFilesParams) -> None:
        session.files_changed(_paths(params.changes))


def register_for_changes(server: "Server") -> None:
    """Ask the client to tell us of changed settings, where it takes such wishes."""
    workspace = server.client_capabilities.workspace
    changes = workspace.did_change_configuration if workspace else None
    if changes is not None and changes.dynamic_registration:
        registration = types.Registration(
            id="longllama-configuration",
            method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
            register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
        )
        server.client_register_capability(types.RegistrationParams([registration]))


async def pull_configuration(server: "Server") -> None:
    """Ask the client for our section; a client that does not answer does not hold us up."""
    workspace = server.client_capabilities.workspace
    if workspace is None or not workspace.configuration:
        return
    item = types.ConfigurationItem(section=SECTION)
    answer = server.workspace_configuration_async(types.ConfigurationParams([item]))
    try:
        (section,) = await asyncio.wait_for(asyncio.shield(answer), PULL_TIMEOUT_S)
    except Exception as error:
        logger.warning("the client did not tell its configuration: %r", error)
        return
    server.session.configure(configuration=section or {})


def _paths(items: Any) -> "list[Path]":
    return [path for item in items if (path := path_of(item.uri)) is not None]
