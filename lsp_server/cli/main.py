"""Entry point of ``longllama-lsp``."""

import argparse
import logging
import sys
import warnings

from longllama_code.errors import LongLlamaError
from lsp_server import __version__
from lsp_server.cli import cache, complete, demo, diagnose, serve, sessions, status
from lsp_server.cli.options import Command

DESCRIPTION = "Language server for code completion, and commands that use it without an editor."


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(has_benchmarks="bench" in arguments).parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    # pygls logs parameters, which are source code, also in errors.
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)  # a race in watchdog
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return 130
    except (LongLlamaError, RuntimeError, OSError, ValueError) as error:
        print(f"longllama-lsp: {error}", file=sys.stderr)
        return 1


def _parser(*, has_benchmarks: bool) -> Command:
    """Return the parser of the command line.

    Args:
        has_benchmarks: whether ``bench`` has its options; they take as long to import as a server.
    """
    parser = argparse.ArgumentParser(prog="longllama-lsp", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    serve.add_connection_options(parser)
    parser.set_defaults(run=serve.run)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, configure, about in (
        ("serve", serve.configure, "serve one client (the default)"),
        ("complete", complete.configure_complete, "print the suggestion at a cursor"),
        ("explain", complete.configure_explain, "print where the suggestion at a cursor is from"),
        ("demo", demo.configure, "complete from the memory of a folder"),
        ("status", status.configure, "index a folder and print what is in memory"),
        ("diagnose", diagnose.configure, "check what may keep the server from working"),
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
