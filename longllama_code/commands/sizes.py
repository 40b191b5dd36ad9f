"""``longllama sizes``: measure the loss by size of memory."""

from __future__ import annotations

import argparse

from longllama_code.commands.evaluation_trees import (
    add_shared,
    check_counts,
    model_of,
    print_progress,
    trees_of,
)
from longllama_code.errors import ConfigError

LENGTHS = (0, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 256_000)


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("sizes", help="measure the loss by size of memory")
    add_shared(command, "sizes")
    command.add_argument(
        "--lengths", type=int, nargs="+", default=LENGTHS, metavar="N", help="tokens of memory"
    )
    command.add_argument(
        "--own-tokens",
        type=int,
        default=32_000,
        metavar="N",
        help="tokens of each tree, for itself and as distractors (%(default)s)",
    )
    command.add_argument(
        "--trials",
        "--windows",
        type=int,
        default=8,
        metavar="N",
        help="windows of each tree (%(default)s)",
    )
    command.add_argument("--window-tokens", type=int, default=384, metavar="N")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    _check(options)
    from longllama_code.research.evaluation.lengths.memory_size import SizeOptions, memory_sizes
    from longllama_code.research.evaluation.lengths.memory_size_report import (
        as_markdown,
        write_report,
    )
    from longllama_code.research.evaluation.plots import require_matplotlib

    require_matplotlib()
    size_options = SizeOptions(
        lengths=tuple(sorted(set(options.lengths))),
        own_tokens=options.own_tokens,
        windows=options.trials,
        window_tokens=options.window_tokens,
        seed=options.seed,
    )
    loaded, trees = model_of(options), trees_of(options)
    result = memory_sizes(loaded, trees, size_options, print_progress)
    print(as_markdown(loaded.name, result))
    for path in write_report(loaded, result, options.output):
        print(path)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse, before the long work, what would fail after it."""
    check_counts(options, "own_tokens", "trials", "window_tokens")
    for length in options.lengths:
        if length < 0:
            raise ConfigError(f"--lengths has {length}; give 0 or more.")
    if not (options.repo or options.packages):
        raise ConfigError(
            "there is nothing to measure; name a source tree with --repo, --packages."
        )
