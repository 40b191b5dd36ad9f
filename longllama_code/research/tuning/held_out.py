"""Loss of what is to be written in held-out repositories, by where the definitions stand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.cursor_rows.shards import Shard, rows_of
from longllama_code.research.tuning.batch import passes
from longllama_code.research.tuning.inputs import MODES, Mode, row_input
from longllama_code.research.tuning.objective import row_losses


@dataclass(frozen=True)
class RowLoss:
    """Loss of one row.

    Attributes:
        repository: the row's repository.
        total: sum over its tokens to write, nats.
        n_tokens: number of these tokens.
    """

    repository: str
    total: float
    n_tokens: int


def chosen_rows(shards: Sequence[Shard], n_rows: int, seed: int) -> list[tuple[int, int]]:
    """Draw held-out rows that need definitions; all of them if there are fewer."""
    rows = [(s, r) for s, r in rows_of(shards) if shards[s].row(r).positives]
    return sorted(random.Random(f"{seed} held out").sample(rows, min(n_rows, len(rows))))


def held_out_losses(
    model: LongLlamaForCausalLM,
    shards: Sequence[Shard],
    rows: Sequence[tuple[int, int]],
    tokens_per_pass: int,
    modes: Iterable[Mode] = MODES,
) -> dict[Mode, list[RowLoss]]:
    """Return the loss of each row, in the order of ``rows``, for each mode.

    Args:
        model: the model, with or without updates.
        shards: the shards that the rows are of.
        rows: numbers of shard and row.
        tokens_per_pass: most tokens of one pass.
        modes: where the definitions stand.
    """
    return {mode: _losses(model, shards, rows, tokens_per_pass, mode) for mode in modes}


def mean(losses: Sequence[RowLoss]) -> float:
    """Return the mean over all tokens, nats/token."""
    return sum(each.total for each in losses) / max(1, sum(each.n_tokens for each in losses))


def _losses(
    model: LongLlamaForCausalLM,
    shards: Sequence[Shard],
    rows: Sequence[tuple[int, int]],
    tokens_per_pass: int,
    mode: Mode,
) -> list[RowLoss]:
    inputs = [row_input(shards[s], shards[s].row(r), mode) for s, r in rows]
    totals = dict[int, float]()
    lengths = [each.n_tokens for each in inputs]
    for group in passes(range(len(rows)), lengths, tokens_per_pass):
        found = row_losses(model, [inputs[number] for number in group])
        totals.update(zip(group, found, strict=True))
    names = [shards[s].head(shards[s].row(r).repository).name for s, r in rows]
    return [
        RowLoss(name, totals[number], inputs[number].n_middle) for number, name in enumerate(names)
    ]
