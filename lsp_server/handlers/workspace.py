"""Configuration, workspace folders, watched files, renamed and deleted files."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.convert import path_of
from lsp_server.settings.declarations import SECTION

if TYPE_CHECKING:
    from pathlib import Path

    from lsp_server.server import Server

logger = logging.getLogger(__name__)

PULL_TIMEOUT_S = 2.0
OF_FILES = types.FileOperationRegistrationOptions(
    filters=[types.FileOperationFilter(types.FileOperationPattern("**"), scheme="file")]
)


def register(server: "Server") -> None:
    """Register the messages of this family."""
    session = server.session

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        pushed: Any = params.settings
        if isinstance(pushed, dict) and isinstance(pushed.get(SECTION), dict):
            session.configure("configuration", pushed[SECTION])
        await pull_configuration(server)
        await session.apply_settings()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def did_change_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        await session.change_roots(_paths(params.event.added), _paths(params.event.removed))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_watched_files(params: types.DidChangeWatchedFilesParams) -> None:
        session.files_changed(_paths(params.changes))

    @server.feature(types.WORKSPACE_DID_CREATE_FILES, OF_FILES)
    def did_create_files(params: types.CreateFilesParams) -> None:
        session.files_changed(_paths(params.files))

    @server.feature(types.WORKSPACE_DID_RENAME_FILES, OF_FILES)
    def did_rename_files(params: types.RenameFilesParams) -> None:
        uris = [uri for file in params.files for uri in (file.old_uri, file.new_uri)]
        session.files_changed([path for uri in uris if (path := path_of(uri)) is not None])

    @server.feature(types.WORKSPACE_DID_DELETE_FILES, OF_FILES)
    def did_delete_files(params: types.DeleteFilesParams) -> None:
        session.files_changed(_paths(params.files))


def register_for_changes(server: "Server") -> None:
    """Ask the client to tell us of changed settings and files, where it takes such wishes.

    We watch files ourselves as well. A client may see what we cannot, and what both tell of is
    looked at once.
    """
    can, wishes = server.client_capabilities.workspace, list[types.Registration]()
    if can is not None and _is_dynamic(can.did_change_configuration):
        section = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
        wishes.append(_wish(types.WORKSPACE_DID_CHANGE_CONFIGURATION, section))
    if can is not None and _is_dynamic(can.did_change_watched_files):
        every_file = types.DidChangeWatchedFilesRegistrationOptions(
            watchers=[types.FileSystemWatcher(glob_pattern="**/*")]
        )
        wishes.append(_wish(types.WORKSPACE_DID_CHANGE_WATCHED_FILES, every_file))
    if wishes:
        server.client_register_capability(types.RegistrationParams(wishes))


def _is_dynamic(capability: Any) -> bool:
    return capability is not None and bool(capability.dynamic_registration)


def _wish(method: str, options: Any) -> types.Registration:
    return types.Registration(id=f"longllama:{method}", method=method, register_options=options)


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
    server.session.configure("configuration", section or {})


def _paths(items: Any) -> "list[Path]":
    return [path for item in items if (path := path_of(item.uri)) is not None]
