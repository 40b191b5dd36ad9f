"""``longllama table``: fit the table for compressing and searching repository memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from longllama_code.commands.evaluation_trees import check_counts, print_progress, training_trees
from longllama_code.errors import ConfigError
from longllama_code.model_sources.catalog import model_dir


def add(commands: Any) -> None:
    """Register the command."""
    command: argparse.ArgumentParser = commands.add_parser(
        "table", help="fit the table for compressing and searching memory"
    )
    command.add_argument("--model", default="mini", help="name or folder (%(default)s)")
    command.add_argument(
        "--repo", type=Path, action="append", default=[], metavar="PATH", help="a source tree"
    )
    command.add_argument("--packages", type=int, default=0, metavar="N", help="also use N packages")
    command.add_argument("--tokens", type=int, default=8_000, metavar="N", help="per tree")
    command.add_argument("--queries", type=int, default=1_024, metavar="N", help="per tree")
    command.add_argument("--clusters", type=int, default=8_192, metavar="N", help="per head")
    command.add_argument("--output", type=Path, metavar="FOLDER", help="(the model's folder)")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from longllama_code.checkpoints.loading import load_config

    check_counts(options, "tokens", "queries", "clusters")
    if options.model == "tiny" and options.output is None:
        raise ConfigError("tiny has no folder to put a table into; name an --output.")
    if options.model != "tiny":
        load_config(model_dir(options.model))
    from longllama_code.generation.models import load
    from longllama_code.research.evaluation.fitting.table_fit import TableFitOptions, fit_table

    fit_options = TableFitOptions(
        options.tokens, options.queries, options.clusters, seed=options.seed
    )
    trees = training_trees(options)
    if not trees:
        raise ConfigError("no source tree to read: name some with --repo or --packages.")
    table = fit_table(load(options.model), trees, fit_options, print_progress)
    folder = options.output or model_dir(options.model)
    folder.mkdir(parents=True, exist_ok=True)
    print(table.save(folder))
    return 0
