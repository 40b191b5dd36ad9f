"""``workspace/*``: configuration, workspace folders, and files that change."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lsprotocol import types

from lsp_server.convert import path_of
from lsp_server.problems import FOLDER
from lsp_server.server import Server
from lsp_server.settings.declarations import SECTION

logger = logging.getLogger(__name__)

PULL_TIMEOUT_S = 2.0
"""Time that the client has to send its settings before the server begins without them."""
ALL_FILES = types.FileOperationRegistrationOptions(
    filters=[types.FileOperationFilter(types.FileOperationPattern("**"), scheme="file")]
)


async def did_change_configuration(
    server: Server, params: types.DidChangeConfigurationParams
) -> None:
    """Apply new settings, pushed by the client or pulled from it."""
    pushed: Any = params.settings
    if isinstance(pushed, dict) and isinstance(pushed.get(SECTION), dict):
        server.session.configure("configuration", pushed[SECTION])
    await pull_configuration(server)
    await server.session.apply_settings()


async def did_change_folders(server: Server, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Add and remove workspace folders."""
    event = params.event
    for folder in event.removed:
        server.session.problems.solved(FOLDER.of(folder.uri))
    await server.session.change_roots(
        paths_of_folders(server, [folder.uri for folder in event.added]),
        _paths(folder.uri for folder in event.removed),
    )


def did_change_files(server: Server, params: types.DidChangeWatchedFilesParams) -> None:
    """Report files that the client saw change on disk."""
    server.session.files_changed(_paths(change.uri for change in params.changes))


def did_change_files_in_editor(
    server: Server, params: types.CreateFilesParams | types.DeleteFilesParams
) -> None:
    """Report files that were created or deleted in the editor."""
    server.session.files_changed(_paths(file.uri for file in params.files))


def did_rename_files(server: Server, params: types.RenameFilesParams) -> None:
    """Report both names of files that were renamed in the editor."""
    uris = [uri for file in params.files for uri in (file.old_uri, file.new_uri)]
    server.session.files_changed(_paths(uris))


def register_for_changes(server: Server) -> None:
    """Ask the client to report changed settings and files, if it supports that.

    The server watches files itself too. A client may see changes that the server cannot; a change
    that both see costs one check.
    """
    workspace, registrations = server.client_capabilities.workspace, list[types.Registration]()
    if workspace is not None and _is_dynamic(workspace.did_change_configuration):
        section = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
        registrations.append(_registration(types.WORKSPACE_DID_CHANGE_CONFIGURATION, section))
    if workspace is not None and _is_dynamic(workspace.did_change_watched_files):
        every_file = types.DidChangeWatchedFilesRegistrationOptions(
            watchers=[types.FileSystemWatcher(glob_pattern="**/*")]
        )
        registrations.append(_registration(types.WORKSPACE_DID_CHANGE_WATCHED_FILES, every_file))
    if registrations:
        server.client_register_capability(types.RegistrationParams(registrations))


def _is_dynamic(capability: Any) -> bool:
    return capability is not None and bool(capability.dynamic_registration)


def _registration(method: str, options: Any) -> types.Registration:
    return types.Registration(id=f"longllama:{method}", method=method, register_options=options)


async def pull_configuration(server: Server) -> None:
    """Ask the client for the server's settings; one that answers late has them used then."""
    workspace = server.client_capabilities.workspace
    if workspace is None or not workspace.configuration:
        return
    item = types.ConfigurationItem(section=SECTION)
    asked = server.workspace_configuration_async(types.ConfigurationParams([item]))
    # Waited for, never cancelled: pygls fails on the response to a request that was cancelled.
    response = asyncio.ensure_future(asked)
    done, _ = await asyncio.wait([response], timeout=PULL_TIMEOUT_S)
    if done:
        _configure(server, response)
    else:
        logger.warning("workspace/configuration has no answer yet; defaults hold until it comes")
        server.background_tasks.start(_configure_late(server, response))


def _configure(server: Server, response: "asyncio.Future[Any]") -> None:
    try:
        (section,) = response.result()
    except Exception as error:
        logger.warning("no answer to workspace/configuration, so defaults hold: %r", error)
        return
    server.session.configure("configuration", section or {})


async def _configure_late(server: Server, response: "asyncio.Future[Any]") -> None:
    await asyncio.wait([response])
    _configure(server, response)
    await server.session.apply_settings()


def paths_of_folders(server: Server, uris: Iterable[str]) -> list[Path]:
    """Return the paths of workspace folders, and note those whose ``file:`` URI names none."""
    paths: list[Path] = []
    for uri in uris:
        path = path_of(uri)
        if path is not None:
            paths.append(path)
        elif uri.lower().startswith("file:"):
            server.session.problems.note(FOLDER.of(uri), "its URI is malformed")
    return paths


def _paths(uris: Iterable[str]) -> list[Path]:
    """Return the paths of those URIs that name files."""
    return [path for uri in uris if (path := path_of(uri)) is not None]
