"""``longllama-lsp status``: index a folder, and print what is in memory."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator

from lsp_server.cli.client import command_client
from lsp_server.cli.options import (
    Command,
    Json,
    add_query_options,
    settings_from,
)
from lsp_server.cli.terminal import Terminal


def configure(parser: Command) -> None:
    """Add the options of ``status``."""
    add_query_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Index the workspace and print the status; return the exit code."""
    status = asyncio.run(_status_after_indexing(options))
    print(json.dumps(status) if options.json else "\n".join(_as_lines(status)))
    return 0


async def _status_after_indexing(options: argparse.Namespace) -> Json:
    terminal = Terminal(sys.stderr)
    async with command_client(options.root, settings_from(options), terminal) as client:
        await client.wait_until_indexed()
        terminal.end_progress()
        return await client.status()


def _as_lines(status: Json) -> Iterator[str]:
    files, engine = status["files"], status["engine"]
    yield f"{status['phase']}: {status['message']}"
    yield f"model     {engine['model']} ({engine['dtype']} on {engine['device']})"
    size = f"{files['in_memory']} files, {files['tokens']:,} tokens"
    yield f"memory    {size}, {engine['memory_bytes'] / 1e6:.1f} MB"
    yield f"left out  {files['left_out']} files"
    yield f"segments  {files['segments_encoded']} encoded, {files['segments_loaded']} from disk"
    for user in engine["users"]:
        if not user["is_asking"]:
            yield f"shared    with {user['name']}: {user['n_files']} files in memory"
    yield f"on disk   {engine['stored_segments']} segments, {engine['stored_bytes'] / 1e6:.1f} MB"
    if engine["encoded_definitions"]:
        size = (
            f"{engine['encoded_definitions']} as memory, {engine['definition_bytes'] / 1e6:.1f} MB"
        )
        yield f"defined   {size}; {engine['files_to_encode']} files are left to encode"
