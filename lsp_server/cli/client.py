"""The client of a command: the server's messages to the user are printed once, on stderr."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from lsp_server.cli.options import Json
from lsp_server.cli.terminal import Terminal
from lsp_server.clients.headless import HeadlessClient, headless

QUIET: Json = {"level": "error"}
"""Log of the server's process, which would print its messages a second time."""


@asynccontextmanager
async def command_client(
    root: Path, settings: Json, terminal: Terminal
) -> AsyncGenerator[HeadlessClient, None]:
    """Yield a client on a workspace folder.

    What the server said to the user is printed at the end, unless the command ends with an error
    that says the same.

    Args:
        root: the workspace folder.
        settings: settings of the server.
        terminal: where to show how far indexing is.
    """
    messages: list[str] = []
    try:
        async with headless(root, {"log": QUIET, **settings}, terminal.show_progress) as client:
            messages = client.warnings
            yield client
    except RuntimeError as error:
        messages = [message for message in messages if message not in str(error)]
        raise
    finally:
        for message in messages:
            print(f"longllama-lsp: {message}", file=sys.stderr)
