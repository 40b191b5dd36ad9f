"""``longllama-lsp complete`` and ``explain``: the suggestion at a cursor, and its origin."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from longllama_code.console import read_text
from lsp_server.cli.client import command_client
from lsp_server.cli.options import (
    ONE_SUGGESTION,
    Command,
    Json,
    add_query_options,
    settings_from,
)
from lsp_server.cli.terminal import Terminal
from lsp_server.documents.document import Document, Position

NO_SUGGESTION = 2
"""Exit code of ``complete``."""


def configure_complete(parser: Command) -> None:
    """Add the options of ``complete``."""
    _add_options(parser)
    parser.set_defaults(run=complete)


def configure_explain(parser: Command) -> None:
    """Add the options of ``explain``."""
    _add_options(parser)
    parser.set_defaults(run=explain)


def _add_options(parser: Command) -> None:
    parser.add_argument("cursor", metavar="FILE:LINE:COL", help="both count from 1")
    add_query_options(parser)


def complete(options: argparse.Namespace) -> int:
    """Print the suggestion at a cursor, and return the exit code."""
    path, position = parse_cursor(options.cursor)
    text, terminal = read_text(path), _terminal(options)
    suggestion, explanation = asyncio.run(_suggestion_at(path, text, position, options, terminal))
    if options.json:
        print(json.dumps({"text": suggestion, **explanation}))
    elif suggestion:
        print(suggestion)
    else:
        terminal.print(f"no suggestion: {explanation.get('reason')}")
    return 0 if suggestion else NO_SUGGESTION


def explain(options: argparse.Namespace) -> int:
    """Print the suggestion at a cursor and where it comes from, and return the exit code."""
    path, position = parse_cursor(options.cursor)
    text, terminal = read_text(path), _terminal(options)
    suggestion, explanation = asyncio.run(_suggestion_at(path, text, position, options, terminal))
    if options.json:
        print(json.dumps({"text": suggestion, **explanation}))
        return 0
    if suggestion:
        offset = Document("", "", 1, text).offset(position, "utf-32")
        terminal.print_suggestion(path, text, offset, suggestion)
    else:
        terminal.print(f"no suggestion: {explanation.get('reason')}")
    terminal.print_prompt(explanation)
    return 0


def _terminal(options: argparse.Namespace) -> Terminal:
    """Return where to print for people: stdout is for JSON alone."""
    return Terminal(sys.stderr if options.json else sys.stdout)


async def _suggestion_at(
    path: Path, text: str, position: Position, options: argparse.Namespace, terminal: Terminal
) -> tuple[str, Json]:
    """Return the suggestion at a cursor, empty if there is none, and its explanation."""
    settings = {**settings_from(options), "completion": ONE_SUGGESTION}
    async with command_client(options.root, settings, terminal) as client:
        await client.wait_until_indexed()
        terminal.end_progress()
        suggestion = await client.complete(client.open(path, text), position)
        return suggestion, await client.explain() or {}


def parse_cursor(cursor: str) -> tuple[Path, Position]:
    """Return file and position of a cursor ``FILE:LINE:COL``, which counts from 1.

    Raises:
        ValueError: the text has another form, or the file does not exist.
    """
    name, _, column = cursor.rpartition(":")
    name, _, line = name.rpartition(":")
    if not (name and line.isdecimal() and column.isdecimal() and int(line) and int(column)):
        raise ValueError(f"{cursor!r} is no cursor; write FILE:LINE:COL, counting from 1.")
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"{name!r} is no file.")
    return path, Position(int(line) - 1, int(column) - 1)
