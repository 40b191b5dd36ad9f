"""``longllama merge``: a GGUF file with the updates that `longllama tune` made."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from longllama_code.errors import CheckpointError, ConfigError


def add(commands: Any) -> None:
    """Register the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "merge", help="write a GGUF file with the updates of `longllama tune`"
    )
    parser.add_argument("adapter", type=Path, help="file of the updates")
    parser.add_argument("output", type=Path, help="the new file, a path that ends in .gguf")
    parser.add_argument(
        "--model", default="coder-0.5b", help="the model that was tuned (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the file; the exit code."""
    from longllama_code.checkpoints.low_rank import load_updates
    from longllama_code.checkpoints.merged_gguf import write_merged
    from longllama_code.checkpoints.weight_paths import is_gguf_file, weight_files
    from longllama_code.model_sources.catalog import model_dir
    from longllama_code.research.tuning.adapter import base_of, check_updates

    if options.output.suffix != ".gguf" or options.output.exists():
        raise ConfigError(f"{options.output} exists, or does not end in .gguf; name a new file.")
    (path, *others) = weight_files(model_dir(options.model))
    if others or not is_gguf_file(path):
        raise CheckpointError(
            f"--model {options.model} is no GGUF file, and updates are merged into one; name it."
        )
    updates = load_updates(options.adapter)
    check_updates(updates, options.adapter, options.model, base_of(options.model))
    write_merged(path, updates, options.output)
    print(f"{options.output}: use it by its path, as in `longllama-lsp serve --model`")
    return 0
