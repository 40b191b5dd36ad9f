"""``longllama convert --random``: write a checkpoint of a published layout with random weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from longllama_code.checkpoints.published import FAMILY
from longllama_code.commands.evaluation_trees import print_progress


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "convert", help="write a checkpoint of a published layout with random weights"
    )
    command.add_argument("--random", required=True, choices=FAMILY, metavar="MODEL")
    command.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="new folder")
    command.add_argument(
        "--scale",
        choices=("full", "small"),
        default="full",
        help="published size, or a small one with as many layers (%(default)s)",
    )
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from longllama_code.checkpoints.random_weights import write_random

    write_random(
        FAMILY[options.random],
        options.output,
        scale=options.scale,
        seed=options.seed,
        progress=lambda file, share: print_progress(f"{100 * share:3.0f} % {file}"),
    )
    print(options.output)
    return 0
