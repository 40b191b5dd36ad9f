"""JSON-RPC on stdin and stdout: starting a child that speaks it, and being such a child."""

# pyright: reportPrivateUsage=false
# What pygls' own way of starting a child sets, ours must set too.

import asyncio
import logging
import os
import sys
from typing import Any, BinaryIO

from pygls.client import JsonRPCClient
from pygls.io_ import run_async

logger = logging.getLogger(__name__)

READ_LIMIT_BYTES = 1 << 26


def python_command(module: str) -> list[str]:
    """A command that runs a module's ``main``, as ``python -m`` does, but not from where it stands.

    ``-m`` looks for modules in the working directory first. Editors start servers in the
    workspace, where an ``argparse.py`` would then be run, by accident or not.
    """
    code = (
        "import sys; sys.path[:] = [folder for folder in sys.path if folder]; "
        f"from {module} import main; sys.exit(main())"
    )
    return [sys.executable, "-c", code]


async def connect_stdio(
    client: JsonRPCClient, *command: str, **options: Any
) -> asyncio.subprocess.Process:
    """Start ``command``, connect the client to it, and return the process.

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
    client.protocol.set_writer(SafeWriter(process.stdin))
    client._async_tasks += [
        asyncio.create_task(read_messages(client, process.stdout)),
        asyncio.create_task(client._server_exit()),
    ]
    return process


def take_stdout() -> BinaryIO:
    """Keep stdout for messages alone: what is printed from now on, in C too, goes to stderr."""
    sys.stdout.flush()
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return messages


async def read_messages(client: JsonRPCClient, stream: asyncio.StreamReader) -> None:
    """Hand the client what comes, until the stream ends."""
    try:
        await run_async(
            stop_event=client._stop_event,
            reader=stream,
            protocol=client.protocol,
            logger=logger,
            error_handler=client.report_server_error,
        )
    except (asyncio.IncompleteReadError, ConnectionError):
        logger.info("the other side died in the middle of a message")


class SafeWriter:
    """A stream to somebody who may have died just now, which is not an error of the writer."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Send bytes, if anybody is there."""
        if not self._stream.is_closing():
            self._stream.write(data)

    def close(self) -> None:
        """End the stream."""
        self._stream.close()
