"""``longllama probe``: find the heads of a checkpoint that gain from memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from longllama_code.commands.evaluation_trees import print_progress, training_trees
from longllama_code.errors import ConfigError
from longllama_code.model_sources.catalog import model_dir

if TYPE_CHECKING:
    from longllama_code.research.evaluation.probe.search import ProbeOptions


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("probe", help="find the heads that gain from memory")
    command.add_argument("--model", default="mini", help="name or folder (%(default)s)")
    command.add_argument(
        "--repo", type=Path, action="append", default=[], metavar="PATH", help="a source tree"
    )
    command.add_argument("--packages", type=int, default=0, metavar="N", help="also use N packages")
    command.add_argument("--windows", type=int, default=8, help="windows of each set (%(default)s)")
    command.add_argument("--window-tokens", type=int, default=384, metavar="N")
    command.add_argument("--memory-tokens", type=int, default=4096, metavar="N")
    command.add_argument("--top-k", type=int, metavar="K", help="keys that each query sees")
    command.add_argument("--max-heads", type=int, default=6, metavar="N")
    command.add_argument("--candidates", type=int, default=12, metavar="N")
    command.add_argument("--min-gain", type=float, default=0.003, metavar="NATS")
    command.add_argument("--guard", type=float, default=0.05, metavar="NATS")
    command.add_argument(
        "--skip-first", type=int, default=0, metavar="N", help="tokens of a segment to omit"
    )
    command.add_argument("--output", type=Path, metavar="FOLDER", help="folder of the report")
    command.add_argument("--write", action="store_true", help="write to the model's config.json")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    _check(options)
    from longllama_code.checkpoints.loading import write_config
    from longllama_code.generation.models import load
    from longllama_code.research.evaluation.plots import require_matplotlib
    from longllama_code.research.evaluation.probe.report import (
        as_text,
        memory_fields,
        write_report,
    )
    from longllama_code.research.evaluation.probe.search import check, probe

    if options.output is not None:
        require_matplotlib()
    probe_options = _probe_options(options)
    loaded = load(options.model)
    check(loaded.trainable.config, probe_options.sizes)
    result = probe(loaded, training_trees(options), probe_options, print_progress)
    print(as_text(result))
    if options.output is not None:
        for path in write_report(loaded, result, options.output):
            print(path)
    if options.write:
        print(write_config(model_dir(options.model), memory_fields(result)))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse, before the long work, what would fail after it."""
    for name in ("windows", "window_tokens", "memory_tokens", "max_heads", "candidates", "top_k"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {number}; give 1 or more.")
    if min(options.skip_first, options.packages) < 0:
        raise ConfigError("--skip-first and --packages cannot be below 0.")
    if options.model != "tiny":
        from longllama_code.checkpoints.loading import load_config

        load_config(model_dir(options.model), mem_layers=[0], mem_heads=None)
    elif options.write:
        raise ConfigError("tiny has no config.json to write to; leave out --write.")


def _probe_options(options: argparse.Namespace) -> ProbeOptions:
    from longllama_code.research.evaluation.probe.data import Sizes
    from longllama_code.research.evaluation.probe.head_choice import Rules
    from longllama_code.research.evaluation.probe.search import ProbeOptions

    sizes = Sizes(options.windows, options.window_tokens, options.memory_tokens, options.skip_first)
    rules = Rules(options.candidates, options.max_heads, options.min_gain, options.guard)
    return ProbeOptions(sizes, rules, options.top_k, options.seed)
