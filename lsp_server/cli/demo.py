"""``longllama-lsp demo``: a cursor whose answer stands in another file.

The cursor is in a file that does not exist on disk: a document opened with the text below, as an
editor would with a new file.
"""

import time
from pathlib import Path
from typing import Any

from lsp_server.cli.terminal import Terminal
from lsp_server.clients.headless import headless
from lsp_server.documents.document import Document

CURSOR_FILE = "scratch.py"
CURSOR_TEXT = """import torch

from longllama_code.generation.prompting.prompt import build_"""
EXCLUDED = [
    *("tests/", "editor-client/", "docs/", "*.md", "lsp_server/cli/demo.py"),
    *(f"longllama_code/{name}/" for name in ("data", "commands", "evaluation", "training")),
]
SETTINGS: dict[str, Any] = {"memory": {"exclude": EXCLUDED}, "completion": {"candidates": 1}}
"""Without what is left out the demo takes a third as long; this file holds the cursor's text."""


async def run_demo(root: Path, settings: dict[str, Any]) -> int:
    """Index ``root``, complete at the cursor, show what came of it; the exit code."""
    terminal = Terminal()
    started = time.perf_counter()
    path = root.absolute() / CURSOR_FILE
    memory = {**SETTINGS["memory"], **settings.get("memory", {})}
    settings = {**SETTINGS, **settings, "memory": memory}
    async with headless(root, settings, terminal.progress) as client:
        terminal.say(f"Taking {client.root.name} into the model's memory …")
        await client.wait_until_indexed()
        terminal.end_progress()
        status = await client.status()
        files = status["files"]
        terminal.say(
            f"{files['in_memory']} files, {files['tokens']:,} tokens in memory "
            f"({files['segments_encoded']} segments encoded, {files['segments_loaded']} from disk) "
            f"after {time.perf_counter() - started:.1f} s\n"
        )
        document = Document("", "python", 1, CURSOR_TEXT)
        uri = client.open(path, CURSOR_TEXT)
        position = document.position(len(CURSOR_TEXT), "utf-32")
        suggestion = await client.complete(uri, position)
        terminal.ghost(Path(CURSOR_FILE), CURSOR_TEXT, len(CURSOR_TEXT), suggestion)
        terminal.why(await client.explain())
    return 0 if suggestion else 1
