"""``longllama copying``: fit the gate that decides how far to copy from memory."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from longllama_code.commands.evaluation_trees import check_counts, print_progress, training_trees
from longllama_code.errors import ConfigError
from longllama_code.model_sources.catalog import model_dir


def add(commands: Any) -> None:
    """Register the command."""
    command: argparse.ArgumentParser = commands.add_parser(
        "copying", help="fit the gate that copies from memory"
    )
    command.add_argument("--model", default="mini", help="name or folder (%(default)s)")
    command.add_argument(
        "--repo", type=Path, action="append", default=[], metavar="PATH", help="a source tree"
    )
    command.add_argument(
        "--packages",
        type=int,
        default=0,
        metavar="N",
        help="also use N packages, the last of those for training",
    )
    command.add_argument(
        "--windows", type=int, default=4, help="windows of each tree (%(default)s)"
    )
    command.add_argument("--window-tokens", type=int, default=384, metavar="N")
    command.add_argument("--memory-tokens", type=int, default=20_000, metavar="N")
    command.add_argument("--write", action="store_true", help="write to the model's config.json")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from longllama_code.checkpoints.loading import load_config, write_config

    check_counts(options, "windows", "window_tokens", "memory_tokens")
    if options.model != "tiny":
        load_config(model_dir(options.model))
    elif options.write:
        raise ConfigError("tiny has no config.json to write to; leave out --write.")
    from longllama_code.generation.models import load
    from longllama_code.research.evaluation.fitting.copy_fit import CopyFitOptions, fit_copying

    fit_options = CopyFitOptions(
        options.windows, options.window_tokens, options.memory_tokens, options.seed
    )
    trees = training_trees(options, last=True)
    found = fit_copying(load(options.model), trees, fit_options, print_progress)
    fields = {"copy_gate": [round(weight, 4) for weight in found.weights]}
    print(json.dumps(fields))
    print(f"own memory: {found.own:+.4f} nats/token, another repository's: {found.foreign:+.4f}")
    if options.write:
        print(write_config(model_dir(options.model), fields))
    return 0
