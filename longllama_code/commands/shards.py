"""``longllama shards``: rows for the tuning of definitions as memory, packed into files."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longllama_code.commands.evaluation_trees import print_progress, suffixes_of
from longllama_code.errors import ConfigError

if TYPE_CHECKING:
    from longllama_code.generation.prompting.infill import InfillMarks
    from longllama_code.research.cursor_rows.collection import Source
    from longllama_code.research.cursor_rows.drawing import Shares
    from longllama_code.tokenizers.tokenizer import Tokenizer


def add(commands: Any) -> None:
    """Register the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "shards", help="pack cursors and the definitions that they need, for `longllama tune`"
    )
    parser.add_argument("output", type=Path, help="folder of the shards; a new one")
    parser.add_argument(
        "--model", default="coder-0.5b", help="name or folder of the model (%(default)s)"
    )
    parser.add_argument("--repo", type=Path, action="append", default=[], help="a source tree")
    parser.add_argument(
        "--packages", type=int, default=0, metavar="N", help="also use N pinned Python packages"
    )
    parser.add_argument(
        "--after", type=int, default=0, metavar="N", help="leave out the first N of them"
    )
    parser.add_argument(
        "--npm-packages", type=int, default=0, metavar="N", help="also use N pinned npm packages"
    )
    parser.add_argument(
        "--suffix",
        action="append",
        default=[],
        metavar=".EXT",
        help="suffix of files of --repo to read, such as .go; can be repeated (.py)",
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="most rows of one repository (Shares' default)"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of every draw (%(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the shards; the exit code."""
    from longllama_code.research.cursor_rows.collection import write_shards

    sources, shares = _sources(options), _shares(options)
    tokenizer, marks = _tokenizer(options.model)
    path = write_shards(options.output, sources, tokenizer, marks, shares, print_progress)
    print(f"the shards and their sources are listed in {path}")
    return 0


def _shares(options: argparse.Namespace) -> Shares:
    from longllama_code.research.cursor_rows.drawing import Shares

    if options.rows is None:
        return Shares(options.seed)
    if options.rows < 1:
        raise ConfigError(f"--rows is {options.rows}; give 1 or more.")
    return Shares(options.seed, rows_per_repository=options.rows)


def _tokenizer(model: str) -> tuple[Tokenizer, InfillMarks]:
    """Return a model's tokenizer and marks; its weights are not read.

    Raises:
        ConfigError: the model was not trained to fill in.
    """
    from longllama_code.checkpoints.loading import load_config
    from longllama_code.generation.prompting.infill import InfillMarks
    from longllama_code.model_sources.catalog import model_dir
    from longllama_code.tokenizers.loading import load_tokenizer

    folder = model_dir(model)
    tokenizer = load_tokenizer(folder)
    marks = InfillMarks.of(load_config(folder), tokenizer)
    if marks is None or not marks.always:
        raise ConfigError(
            f"--model {model} has no infill marks, so it is shown no definitions; name a code "
            "model, such as coder-0.5b."
        )
    return tokenizer, marks


def _sources(options: argparse.Namespace) -> list[Source]:
    """Return the repositories of the options, of which none is read so far.

    Raises:
        ConfigError: a number is below 0, or a path is no folder.
    """
    from longllama_code.research.cursor_rows.collection import Source
    from longllama_code.research.datasets import npm_packages, packages
    from longllama_code.research.datasets.sources import read_tree

    for name in ("packages", "after", "npm_packages"):
        if getattr(options, name) < 0:
            raise ConfigError(
                f"--{name.replace('_', '-')} is {getattr(options, name)}; give 0 or more."
            )
    suffixes = suffixes_of(options)
    sources = list[Source]()
    for path in options.repo:
        if not path.is_dir():
            raise ConfigError(f"--repo {path} is no folder; name the root of a source tree.")
        sources.append(Source(partial(read_tree, path, suffixes), path.resolve().name))
    for each in packages.load_packages("training")[options.after :][: options.packages]:
        tree = partial(packages.fetch, each)
        pinned = each.version, each.wheel, each.sha256, each.licence
        sources.append(Source(tree, each.name, *pinned))
    for each in npm_packages.load_npm_packages()[: options.npm_packages]:
        tree = partial(npm_packages.fetch, each)
        pinned = each.version, each.tarball, each.sha256, each.licence
        sources.append(Source(tree, each.name, *pinned))
    return sources
