"""Starting a child that speaks JSON-RPC on its stdin and stdout."""

import asyncio
import logging
from typing import Any

from pygls.client import JsonRPCClient
from pygls.io_ import run_async

logger = logging.getLogger(__name__)

READ_LIMIT_BYTES = 1 << 26


async def connect_stdio(client: JsonRPCClient, *command: str, **options: Any) -> None:
    """Start ``command`` and connect the client to it.

    pygls' own ``start_io`` pipes stderr without reading it, so a child that writes much there
    stops; here the child inherits it unless ``options`` say otherwise.
    """
    options.setdefault("limit", READ_LIMIT_BYTES)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, **options
    )
    assert process.stdin is not None
    assert process.stdout is not None
    client._server = process
    client.protocol.set_writer(_Writer(process.stdin))
    connection = run_async(
        stop_event=client._stop_event,
        reader=process.stdout,
        protocol=client.protocol,
        logger=logger,
        error_handler=client.report_server_error,
    )
    client._async_tasks += [
        asyncio.create_task(connection),
        asyncio.create_task(client._server_exit()),
    ]


class _Writer:
    """A child's stdin; writing to a child that has just died is not an error of the writer."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        if not self._stream.is_closing():
            self._stream.write(data)

    def close(self) -> None:
        self._stream.close()
