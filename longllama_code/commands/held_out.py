"""``longllama held-out``: loss of what is to be written, by where the definitions stand."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longllama_code.commands.evaluation_trees import check_counts
from longllama_code.commands.tune import add_model, device_of, load_to_tune
from longllama_code.errors import ConfigError

if TYPE_CHECKING:
    from longllama_code.research.tuning.held_out import RowLoss
    from longllama_code.research.tuning.inputs import Mode

    Losses = dict[Mode, list[RowLoss]]


def add(commands: Any) -> None:
    """Register the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "held-out", help="loss with definitions in memory, in the prompt and without them"
    )
    parser.add_argument("shards", type=Path, nargs="+", help="folders that `longllama shards` made")
    add_model(parser)
    parser.add_argument(
        "--adapter", type=Path, metavar="FILE", help="updates of `longllama tune`, to compare"
    )
    parser.add_argument("--rows", type=int, default=64, help="most rows (%(default)s)")
    parser.add_argument(
        "--tokens-per-pass", type=int, default=3072, metavar="N", help="(%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the numbers as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure before and after; the exit code."""
    from longllama_code.research.cursor_rows.collection import read_all_shards
    from longllama_code.research.tuning.adapter import add_adapter, base_of
    from longllama_code.research.tuning.held_out import chosen_rows, held_out_losses

    check_counts(options, "rows", "tokens_per_pass")
    shards = read_all_shards(options.shards).held_out
    rows = chosen_rows(shards, options.rows, options.seed)
    if not rows:
        raise ConfigError(
            "the shards have no held-out rows; make shards of two repositories or more."
        )
    loaded = load_to_tune(options.model, device_of(options.device))
    measured = (loaded.trainable, shards, rows, options.tokens_per_pass)
    found = {"before": held_out_losses(*measured)}
    if options.adapter is not None:
        add_adapter(loaded, options.adapter, base_of(options.model))
        found["after"] = held_out_losses(*measured)
    print(_table(found, options.seed))
    if options.output is not None:
        _write(options.output, found)
    return 0


def _table(found: dict[str, Losses], seed: int) -> str:
    """Return the mean losses with intervals over repositories, and the changes by tuning."""
    from longllama_code.research.evaluation.bootstrap import Share, interval
    from longllama_code.research.evaluation.markdown import cell, table
    from longllama_code.research.tuning.inputs import MODES

    def shown(mode: Mode, parts: list[tuple[RowLoss, float]]) -> str:
        repositories = dict[str, list[float]]()
        for each, total in parts:
            sums = repositories.setdefault(each.repository, [0.0, 0.0])
            sums[0] += total
            sums[1] += each.n_tokens
        shares = [Share(total, int(count)) for total, count in repositories.values()]
        mean = interval(shares, seed)
        return cell(None if mean is None else asdict(mean), ".3f")

    rows = list[list[str]]()
    for mode in MODES:
        parts = [[(each, each.total) for each in losses[mode]] for losses in found.values()]
        if len(parts) == 2:
            pairs = zip(*parts, strict=True)
            parts.append([(new, total - former) for (_, former), (new, total) in pairs])
        rows.append([mode, *(shown(mode, part) for part in parts)])
    header = ["definitions in", *found, *(["change"] if len(found) == 2 else [])]
    n_tokens = sum(each.n_tokens for each in found["before"]["memory"])
    return f"{table(header, rows)}\n\nnats/token to write, {n_tokens} tokens"


def _write(path: Path, found: dict[str, Losses]) -> None:
    from longllama_code.research.evaluation.report_files import write_json

    plain = {
        name: {mode: [asdict(each) for each in part] for mode, part in losses.items()}
        for name, losses in found.items()
    }
    write_json(path, plain)
