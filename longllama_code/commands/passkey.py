"""``longllama passkey``: measure retrieval of numbers from memory, by its size and their depth."""

from __future__ import annotations

import argparse

from longllama_code.commands.evaluation_trees import (
    add_lengths,
    add_shared,
    check_counts,
    lengths_of,
    model_of,
    print_progress,
    trees_of,
)
from longllama_code.errors import ConfigError
from longllama_code.research.evaluation.lengths.options import PasskeyOptions

USUAL = PasskeyOptions()


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("passkey", help="measure retrieval of numbers from memory")
    add_shared(command, "passkey")
    command.add_argument(
        "--kind", choices=USUAL.kinds, action="append", help="kind of needle (both)"
    )
    add_lengths(command, USUAL.lengths, "tokens of memory")
    command.add_argument(
        "--depths",
        type=float,
        nargs="+",
        default=USUAL.depths,
        metavar="X",
        help="positions of the file among the sorted paths, 0 to 1; memory has no order",
    )
    command.add_argument(
        "--trials", type=int, default=USUAL.trials, metavar="N", help="per cell (%(default)s)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    _check(options)
    lengths = lengths_of(options)
    from longllama_code.research.evaluation.lengths.passkey import passkey
    from longllama_code.research.evaluation.lengths.passkey_report import as_markdown, write_report
    from longllama_code.research.evaluation.plots import require_matplotlib

    require_matplotlib()
    passkey_options = PasskeyOptions(
        lengths=lengths,
        depths=tuple(sorted(set(options.depths))),
        trials=options.trials,
        kinds=tuple(dict.fromkeys(options.kind or USUAL.kinds)),
        seed=options.seed,
    )
    loaded, trees = model_of(options), trees_of(options)
    result = passkey(loaded, trees, passkey_options, print_progress)
    print(as_markdown(loaded.name, result))
    for path in write_report(loaded, result, options.output):
        print(path)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse, before the long work, what would fail after it."""
    check_counts(options, "trials")
    for depth in options.depths:
        if not 0 <= depth <= 1:
            raise ConfigError(f"--depths has {depth}; give 0 (first) to 1 (last).")
    if "constant" in (options.kind or USUAL.kinds) and not (options.repo or options.packages):
        raise ConfigError(
            "there is no code to hide a constant in; name a source tree with --repo or "
            "--packages, or ask with --kind passkey alone."
        )
