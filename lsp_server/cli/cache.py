"""``longllama-lsp cache``: list what the cache folder holds, or remove some of it."""

import argparse
import json
from dataclasses import asdict

from longllama_code.paths import cache_path, expanded
from lsp_server.cli.cache_folder import as_lines, clear, entries
from lsp_server.cli.options import Command, add_json_option


def configure(parser: Command) -> None:
    """Add the options of ``cache``."""
    parser.add_argument(
        "--clear", nargs="+", metavar="NAME", help="remove entries by their name or their model's"
    )
    add_json_option(parser)
    parser.add_argument("--cache-dir", help="another folder than the user's own")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List entries, or those that were removed; return the exit code."""
    root = expanded(options.cache_dir) if options.cache_dir else cache_path()
    listed = clear(root, options.clear) if options.clear else entries(root)
    if options.json:
        print(json.dumps([asdict(entry) for entry in listed]))
    else:
        print("removed from" if options.clear else "in", "\n".join(as_lines(root, listed)))
    return 0
