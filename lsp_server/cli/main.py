"""Entry point of ``longllama-lsp``."""

import argparse
import logging
import sys
import warnings

from longllama_code.console import run_command
from longllama_code.errors import LongLlamaError
from lsp_server import __version__
from lsp_server.cli import cache, complete, demo, diagnose, serve, sessions, statistics, status
from lsp_server.cli.options import Command

DESCRIPTION = "Language server for code completion, and commands that use it without an editor."


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    expected = (LongLlamaError, RuntimeError, OSError, ValueError)
    return run_command("longllama-lsp", lambda: _run(arguments), expected)


class _Options(argparse.Namespace):
    """Options of which those before the command's name hold, unless they stand behind it too."""

    def __setattr__(self, name: str, value: object) -> None:
        if value is not None or getattr(self, name, None) is None:
            super().__setattr__(name, value)


def _run(arguments: list[str]) -> int:
    parser = _parser(has_benchmarks="bench" in arguments)
    options = parser.parse_args(arguments, _Options())
    if options.run is not serve.run and (given := serve.connection_options(options)):
        parser.error(f"{given[0]} is an option of serve alone")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    # pygls logs parameters, which are source code, also in errors.
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)  # a race in watchdog
    return options.run(options)


def _parser(*, has_benchmarks: bool) -> Command:
    """Return the parser of the command line.

    Args:
        has_benchmarks: whether ``bench`` has its options; they take as long to import as a server.
    """
    parser = argparse.ArgumentParser(prog="longllama-lsp", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    serve.configure(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, configure, about in (
        ("serve", serve.configure_command, "serve one client, or HTTP (the default)"),
        ("complete", complete.configure_complete, "print the suggestion at a cursor"),
        ("explain", complete.configure_explain, "print where the suggestion at a cursor is from"),
        ("demo", demo.configure, "complete from the memory of a folder"),
        ("status", status.configure, "index a folder and print what is in memory"),
        ("diagnose", diagnose.configure, "check what may keep the server from working"),
        ("stats", statistics.configure, "print what became of suggestions, or clear it"),
        ("cache", cache.configure, "list or remove what the cache folder holds"),
        ("record", sessions.configure_record, "serve one client and record the session"),
        ("replay", sessions.configure_replay, "replay a session and compare the responses"),
    ):
        configure(commands.add_parser(name, help=about))
    bench = commands.add_parser("bench", help="run a published benchmark on the server")
    if has_benchmarks:
        from lsp_server.benchmarks.commands import command

        command.configure(bench)
    return parser
