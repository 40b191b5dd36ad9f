"""initialize, initialized, shutdown, exit."""

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.convert import path_of
from lsp_server.features.workspace import pull_configuration, register_for_changes

if TYPE_CHECKING:
    from lsp_server.server import Server

logger = logging.getLogger(__name__)

PARENT_CHECK_S = 5.0


def register(server: "Server") -> None:
    """Register the messages of this family."""
    tasks: set[asyncio.Task[None]] = set()

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        options: Any = params.initialization_options
        server.session.configure(options=_as_plain(options))

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        tasks.add(asyncio.create_task(_watch_parent(server.process_id)))
        register_for_changes(server)
        await pull_configuration(server)
        folders = server.workspace.folders.values()
        roots = [path for folder in folders if (path := path_of(folder.uri))]
        if not roots and server.workspace.root_uri and (root := path_of(server.workspace.root_uri)):
            roots = [root]
        await server.session.begin(roots)

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: Any) -> None:
        await server.session.end()


async def _watch_parent(process_id: int | None) -> None:
    """End with the editor, even if it died without a word and its end of the pipe lives on."""
    while process_id is not None:
        await asyncio.sleep(PARENT_CHECK_S)
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            logger.warning("the client's process %s is gone", process_id)
            os._exit(1)
        except OSError:
            return


def _as_plain(options: Any) -> Any:
    """pygls hands over ``initializationOptions`` as plain JSON; null means none."""
    return {} if options is None else options
