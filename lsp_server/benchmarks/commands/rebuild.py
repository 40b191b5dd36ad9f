"""``longllama-lsp bench rebuild``: the data of a benchmark, from git repositories."""

import argparse
import sys
from functools import partial
from pathlib import Path

from lsp_server.benchmarks.datasets.rebuilding import rebuild

DESCRIPTION = (
    "Write CrossCodeEval's repositories and instances to a folder, the DATA of `bench "
    "crosscodeeval`: from facts (which commit, file and place), and from git directories that have "
    "the commits."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "facts",
        type=Path,
        metavar="FACTS",
        help="JSON lines with instance_id, source (OWNER/NAME), repository (name of its folder), "
        "commit, file, offset and length of each answer, in characters",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="folder to write"
    )
    parser.add_argument(
        "--git-dirs",
        type=Path,
        metavar="FOLDER",
        help="folder of git directories or checkouts: OWNER/NAME, OWNER+NAME or OWNER+NAME/repo",
    )
    parser.add_argument(
        "--clone-from",
        metavar="URL",
        help="address of what no git directory has, such as https://github.com/{owner}/{name}; "
        "nothing is fetched without it",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Rebuild the data, name what is missing; return the exit code.

    Raises:
        ValueError: the facts are broken, or nothing could be rebuilt.
    """
    say = partial(print, file=sys.stderr, flush=True)
    found = rebuild(
        options.facts,
        options.output,
        git_directories=options.git_dirs,
        clone_from=options.clone_from,
        report=say,
    )
    if not found.instances:
        raise ValueError(
            "nothing was rebuilt. Give --git-dirs FOLDER with the repositories of "
            f"{options.facts}, or --clone-from URL to fetch them."
        )
    n_left_out = f"; {len(found.left_out)} left out" if found.left_out else ""
    print(
        f"{found.instances} instances of {found.repositories} repositories in "
        f"{options.output}{n_left_out}"
    )
    return 0
