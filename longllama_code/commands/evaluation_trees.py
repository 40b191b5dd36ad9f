"""Options that the evaluations share: model, source trees and output folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longllama_code.errors import ConfigError

if TYPE_CHECKING:
    from longllama_code.generation.models import LoadedModel
    from longllama_code.research.datasets.sources import SourceTree
    from longllama_code.research.evaluation.ablation import Ablation


def add_shared(command: argparse.ArgumentParser, output: str) -> None:
    """Add the options to a command; ``output`` is the folder that its report has by default."""
    add_places(command, output)
    add_trees(command)
    command.add_argument("--no-copying", action="store_true", help="read memory by attention alone")
    command.add_argument(
        "--encode-anew",
        action="store_true",
        help="ignore the cache of encoded segments",
    )


def add_places(command: argparse.ArgumentParser, output: str) -> None:
    """Add the options for model, seed and output folder."""
    command.add_argument("--model", default="mini", help="name or folder (%(default)s)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--output",
        type=Path,
        default=Path(output),
        metavar="DIR",
        help="folder of the report (%(default)s)",
    )


def add_trees(command: argparse.ArgumentParser) -> None:
    """Add the options for source trees."""
    command.add_argument(
        "--repo", type=Path, action="append", default=[], metavar="PATH", help="a source tree"
    )
    command.add_argument(
        "--packages", type=int, default=0, metavar="N", help="packages to fetch as source trees"
    )
    command.add_argument(
        "--suffix",
        action="append",
        default=[],
        metavar=".EXT",
        help="suffix of files to read, such as .ts; can be repeated (.py)",
    )


def model_of(options: argparse.Namespace, ablation: Ablation | None = None) -> LoadedModel:
    """Return the model, in the variant given, with a cache of encoded segments.

    Raises:
        ModelNotFound: it is not here.
        CheckpointError: it cannot be read.
        ConfigError: the variant contradicts itself.
        StoreError: the cache folder cannot be written.
    """
    from longllama_code.generation.models import load
    from longllama_code.research.evaluation.ablation import Ablation, apply
    from longllama_code.research.evaluation.memories import with_segment_cache

    ablation = Ablation(copies=not options.no_copying) if ablation is None else ablation
    loaded = apply(load(options.model), ablation)
    return loaded if options.encode_anew or options.model == "tiny" else with_segment_cache(loaded)


def trees_of(options: argparse.Namespace) -> list[SourceTree]:
    """Return the source trees of the options, without empty ones.

    Raises:
        ConfigError: a path is no folder, or a suffix has no dot.
        DownloadError: a package could not be fetched.
    """
    suffixes = suffixes_of(options)
    trees = repositories_of(options, suffixes)
    if options.packages:
        from longllama_code.research.datasets.packages import fetch, load_packages

        packages = load_packages("evaluation")[: options.packages]
        trees += [fetch(package, suffixes) for package in packages]
    return [tree for tree in trees if tree.texts]


def repositories_of(
    options: argparse.Namespace, suffixes: Sequence[str] = (".py",)
) -> list[SourceTree]:
    """Return the source trees of ``--repo``; also check ``--packages``.

    Raises:
        ConfigError: a path is no folder, or the number of packages is below 0.
    """
    from longllama_code.research.datasets.sources import read_tree

    if options.packages < 0:
        raise ConfigError(f"--packages is {options.packages}; give 0 or more.")
    for path in options.repo:
        if not path.is_dir():
            raise ConfigError(f"--repo {path} is no folder; name the root of a source tree.")
    return [read_tree(path, suffixes) for path in options.repo]


def training_trees(options: argparse.Namespace, *, last: bool = False) -> list[SourceTree]:
    """Return the source trees of ``--repo``, and of ``--packages`` that training may use.

    Args:
        options: the command's options.
        last: whether to take the last packages instead of the first.

    Raises:
        ConfigError: a path is no folder, or the number of packages is below 0.
        DownloadError: a package could not be fetched.
    """
    from longllama_code.research.datasets.packages import fetch, load_packages

    trees, n = repositories_of(options), options.packages
    packages = load_packages("training")
    chosen = packages[max(0, len(packages) - n) :] if last else packages[:n]
    return trees + [fetch(package) for package in chosen]


def suffixes_of(options: argparse.Namespace) -> list[str]:
    """Return the suffixes of the files to read.

    Raises:
        ConfigError: one has no dot.
    """
    suffixes: list[str] = options.suffix or [".py"]
    for suffix in suffixes:
        if not suffix.startswith("."):
            raise ConfigError(f"--suffix is {suffix!r}; write it with its dot, as in .ts.")
    return suffixes


def add_lengths(command: argparse.ArgumentParser, lengths: Sequence[int], what: str) -> None:
    """Add the lengths to measure at, in tokens; ``what`` they are of."""
    command.add_argument("--lengths", type=int, nargs="+", default=lengths, metavar="N", help=what)


def lengths_of(options: argparse.Namespace) -> tuple[int, ...]:
    """Return the lengths of the options, each once, shortest first.

    Raises:
        ConfigError: one is below 1.
    """
    for length in options.lengths:
        if length < 1:
            raise ConfigError(f"--lengths has {length}; give 1 or more.")
    return tuple(sorted(set(options.lengths)))


def check_counts(options: argparse.Namespace, *names: str) -> None:
    """Refuse counts below 1.

    Raises:
        ConfigError: one of the options is.
    """
    for name in names:
        found = getattr(options, name)
        if found < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {found}; give 1 or more.")


def print_progress(line: str) -> None:
    """Print a line of progress to stderr."""
    print(line, file=sys.stderr, flush=True)
