"""``longllama-lsp demo``: type lines whose end stands in another file, and have them completed."""

import argparse
import asyncio
from pathlib import Path

from longllama_code.errors import ConfigError
from longllama_code.paths import expanded
from lsp_server.cli.options import Command, add_model_options, settings_from
from lsp_server.demo.places import parse_place
from lsp_server.demo.play import show_project, show_sample
from lsp_server.demo.screen import Screen


def configure(parser: Command) -> None:
    """Add the options of ``demo``."""
    parser.add_argument(
        "cursors",
        nargs="*",
        metavar="FILE:LINE[:COL]",
        help="lines to complete; by default, some are chosen",
    )
    parser.add_argument(
        "--root", type=_folder, help="a project of yours; by default, a sample: a small web shop"
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show the demo, and return the exit code."""
    settings, screen = settings_from(options), Screen()
    root: Path | None = options.root or (Path.cwd().resolve() if options.cursors else None)
    if root is None:
        return asyncio.run(show_sample(settings, screen))
    places = [parse_place(cursor, root) for cursor in options.cursors]
    return asyncio.run(show_project(root, places, settings, screen))


def _folder(name: str) -> Path:
    """Return the whole path of a folder; argparse turns the error into a usage message."""
    try:
        path = expanded(name).resolve()
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{name!r} is no folder")
    return path
