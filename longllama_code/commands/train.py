"""``longllama train``: continued pre-training with cross-batch attention."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longllama_code.commands.changes import changed
from longllama_code.errors import ConfigError

if TYPE_CHECKING:
    from longllama_code.generation.models import LoadedModel
    from longllama_code.research.datasets.sources import SourceTree
    from longllama_code.research.training.loop import Progress
    from longllama_code.research.training.options import TrainOptions


def add(commands: Any) -> None:
    """Register the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train", help="tune a model's memory on source trees (FoT, cross-batch)"
    )
    parser.add_argument("output", type=Path, help="folder of the run; an existing one resumes")
    parser.add_argument("--model", default="mini", help="name or folder (%(default)s)")
    parser.add_argument("--repo", type=Path, action="append", default=[], help="a source tree")
    parser.add_argument(
        "--suffix", action="append", default=[], help="suffix of files to read (.py)"
    )
    parser.add_argument(
        "--packages", type=int, default=0, metavar="N", help="also use N pinned Python packages"
    )
    parser.add_argument(
        "--npm-packages", type=int, default=0, metavar="N", help="also use N pinned npm packages"
    )
    parser.add_argument("--preset", default="mini", help="mini or published-7b (%(default)s)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="replace an option of the preset, such as learning_rate=1e-4",
    )
    parser.add_argument("--memory-heads", metavar="LAYER:HEAD,…", help="memory heads")
    parser.add_argument("--device", default="cpu", help="device (%(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, or go on; the exit code."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env
    from tqdm import tqdm

    from longllama_code.generation.prompting.infill import InfillMarks
    from longllama_code.research.datasets.corpus import Corpus
    from longllama_code.research.evaluation.plots import curves
    from longllama_code.research.run_folder import METRICS, read_records
    from longllama_code.research.training.loop import train

    # The first call decides how processes communicate: with CPUs only if it says so.
    process = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    chosen = choose_options(options.preset, options.set)
    loaded = _load(options.model, options.device, options.memory_heads)
    corpus = Corpus(
        _trees(options),
        loaded.tokenizer,
        chosen.row_tokens,
        chosen.seed,
        chosen.focus,
        InfillMarks.of(loaded.model.config, loaded.tokenizer),
        chosen.packed,
    )
    with tqdm(unit="tok", unit_scale=True, disable=not process.is_main_process) as bar:

        def show(progress: Progress) -> None:
            bar.total = chosen.total_tokens
            bar.set_postfix(loss=f"{progress.loss:.3f}")
            bar.update(progress.tokens - bar.n)

        adapter = train(loaded, corpus, chosen, options.output, show)
    if process.is_main_process:
        steps = read_records(options.output / METRICS)
        series = {
            name: [(step["tokens"], step[name]) for step in steps if step[name] is not None]
            for name in ("with_memory", "local_only")
        }
        curves(series, "Training", "tokens", "nats/token", options.output / "curves")
        print(f"the changed weights are in {adapter}")
    return 0


def choose_options(preset: str, changes: list[str]) -> TrainOptions:
    """Return a preset with some options replaced; values are JSON.

    Raises:
        ConfigError: the preset or an option is unknown, or a value is of another type.
    """
    from longllama_code.research.training.options import PRESETS

    if preset not in PRESETS:
        raise ConfigError(f"preset is {preset!r}; choose one of {', '.join(PRESETS)}.")
    return changed(PRESETS[preset], changes)


def parse_heads(text: str) -> Mapping[str, list[int]]:
    """``17:1,20:1,20:2`` → {"17": [1], "20": [1, 2]}.

    Raises:
        ConfigError: the text has another form.
    """
    heads: dict[str, list[int]] = {}
    for pair in text.split(","):
        layer, _, head = pair.partition(":")
        if not (layer.isdecimal() and head.isdecimal()):
            raise ConfigError(f"--memory-heads holds {pair!r}; write LAYER:HEAD, as in 17:1,18:2.")
        heads.setdefault(layer, []).append(int(head))
    return heads


def _load(model: str, device: str, heads: str | None) -> LoadedModel:
    from longllama_code.checkpoints.loading import load_model
    from longllama_code.generation.models import load
    from longllama_code.model_sources.catalog import model_dir

    loaded = load(model, device)
    if heads is None:
        return loaded
    chosen = parse_heads(heads)
    tuned = load_model(
        model_dir(model),
        device=device,
        torch_attention=True,
        mem_layers=sorted(map(int, chosen)),
        mem_heads=chosen,
    )
    return dataclasses.replace(loaded, model=tuned)


def _trees(options: argparse.Namespace) -> list[SourceTree]:
    from longllama_code.research.datasets import npm_packages, packages
    from longllama_code.research.datasets.sources import read_tree

    suffixes = options.suffix or [".py"]
    trees = [read_tree(path, suffixes) for path in options.repo]
    wheels = packages.load_packages("training")[: options.packages]
    tarballs = npm_packages.load_npm_packages()[: options.npm_packages]
    trees += [packages.fetch(package) for package in wheels]
    return trees + [npm_packages.fetch(package) for package in tarballs]
