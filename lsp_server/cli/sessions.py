"""``longllama-lsp record`` and ``replay``: sessions of an editor with the server."""

import argparse
from pathlib import Path

from lsp_server.cli.options import (
    Command,
    add_model_options,
    add_workspace_option,
    model_arguments,
)
from lsp_server.engine.python_command import python_command


def configure_record(parser: Command) -> None:
    """Add the options of ``record``."""
    parser.add_argument("file", type=Path, metavar="FILE")
    # Some editors add it to whatever command they are given.
    parser.add_argument("--stdio", action="store_true", help="stdin and stdout, the only way here")
    add_model_options(parser)
    parser.set_defaults(run=record)


def configure_replay(parser: Command) -> None:
    """Add the options of ``replay``."""
    parser.add_argument("file", type=Path, metavar="FILE")
    add_workspace_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=replay)


def record(options: argparse.Namespace) -> int:
    """Serve one client and record the session; return the server's exit code."""
    from lsp_server.clients import record

    command = [*python_command("lsp_server.__main__"), "serve", *model_arguments(options)]
    return record.record(options.file, command)


def replay(options: argparse.Namespace) -> int:
    """Replay a session and print the responses that differ; return the exit code."""
    from lsp_server.clients import replay

    differences = replay.replay(options.file, options.root, model_arguments(options))
    for difference in differences:
        print(difference)
    return 1 if differences else 0
