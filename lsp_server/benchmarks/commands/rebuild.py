"""``longllama-lsp bench rebuild``: the data of a benchmark, from git repositories."""

import argparse
import sys
from functools import partial
from pathlib import Path

from lsp_server.benchmarks.datasets.rebuilding import rebuild


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "facts", type=Path, metavar="FACTS", help="JSON lines: commit, file and place of answers"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--git-dirs", type=Path, metavar="FOLDER", help="folder of git directories")
    parser.add_argument(
        "--clone-from",
        metavar="URL",
        help="address of repositories that no git directory has, with {owner} and {name} in it; "
        "nothing is fetched without it",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Rebuild the data, name what is missing; return the exit code."""
    say = partial(print, file=sys.stderr, flush=True)
    found = rebuild(
        options.facts,
        options.output,
        git_directories=options.git_dirs,
        clone_from=options.clone_from,
        report=say,
    )
    for name, reason in found.left_out.items():
        say(f"left out {name}: {reason}")
    print(f"{found.instances} instances of {found.repositories} repositories in {options.output}")
    return 0 if found.instances else 1
