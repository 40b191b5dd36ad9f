"""``longllama-lsp demo``: complete a new file whose next word is defined in another file.

The cursor is in a document that is not on disk, as in an editor's new file.
"""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from lsp_server.cli.client import command_client
from lsp_server.cli.options import (
    ONE_SUGGESTION,
    Command,
    add_model_options,
    add_workspace_option,
    settings_from,
)
from lsp_server.cli.terminal import Terminal
from lsp_server.documents.document import Document

FILE = "scratch.py"
TEXT = """import torch

from longllama_code.generation.prompting.prompt import build_"""
EXCLUDED = [
    *("tests/", "editor-client/", "docs/", "*.md", "lsp_server/cli/demo.py"),
    *(f"longllama_code/{name}/" for name in ("data", "commands", "research")),
]
SETTINGS: dict[str, Any] = {"memory": {"exclude": EXCLUDED}, "completion": ONE_SUGGESTION}
"""Leave out this module, which holds the text, and folders that triple the time of indexing."""


def configure(parser: Command) -> None:
    """Add the options of ``demo``."""
    add_workspace_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Index the workspace, complete, and print the result; return the exit code."""
    settings = settings_from(options)
    memory = {**SETTINGS["memory"], **settings.get("memory", {})}
    return asyncio.run(_run(options.root, {**SETTINGS, **settings, "memory": memory}))


async def _run(root: Path, settings: dict[str, Any]) -> int:
    terminal = Terminal()
    started = time.perf_counter()
    async with command_client(root, settings, terminal) as client:
        terminal.print(f"Taking {client.root.name} into the model's memory …")
        await client.wait_until_indexed()
        terminal.end_progress()
        files = (await client.status())["files"]
        terminal.print(
            f"{files['in_memory']} files, {files['tokens']:,} tokens in memory "
            f"({files['segments_encoded']} segments encoded, {files['segments_loaded']} from disk) "
            f"after {time.perf_counter() - started:.1f} s\n"
        )
        uri = client.open(root.absolute() / FILE, TEXT)
        position = Document("", "python", 1, TEXT).position(len(TEXT), "utf-32")
        suggestion = await client.complete(uri, position)
        terminal.print_suggestion(Path(FILE), TEXT, len(TEXT), suggestion)
        terminal.print_sources(await client.explain())
    return 0 if suggestion else 1
