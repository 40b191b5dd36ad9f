"""Cross-batch attention: rows of a training batch serve as memory for each other.

Source: FoT paper, section 3.2; ``FoT/cross_batch.py``. Memory layers attend, with gradients, to
keys of rows of the same repository (positives) and of others (negatives), rotated to position 0.

    chained      a row sees earlier rows as they attended themselves (the paper's way)
    order free   a row sees rows as encoded alone, as in our repository memory

Order free, keys come from a pass in which no row sees another, so no row can leak through two
memory layers, whichever rows see each other.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longllama_code.errors import ConfigError
from longllama_code.json_text import as_json
from longllama_code.model.memory_source import DenseView, InputKeys, MemoryView

Share = tuple[int, int]
"""Number of rows of its own repository, and of others, that a row sees."""
PUBLISHED_7B: tuple[Share, ...] = ((0, 0), (1, 2), (2, 5), (3, 4))
"""Quarters of the batch of LongLLaMA-Code 7B: (positives, negatives)."""


@dataclass(frozen=True)
class CrossBatchPlan:
    """Which rows see which: bool (B, B), row i sees row j."""

    sees: Tensor

    def rows_without_memory(self) -> Tensor:
        """Bool (B,): rows that see no other."""
        return ~self.sees.any(dim=1)


def plan_rows(
    repositories: Sequence[int],
    shares: Sequence[Share],
    rng: random.Random,
    *,
    chained: bool,
    cross_batch_range: int | None = None,
) -> CrossBatchPlan:
    """Draw what each row sees: row i takes share i modulo their number.

    Args:
        repositories: the repository of each of the B rows.
        shares: (positives, negatives) in turn; fewer where there are not so many.
        rng: of the draw.
        chained: whether a row sees earlier rows alone.
        cross_batch_range: at most so many neighbouring rows see each other; absent, all.

    Raises:
        ConfigError: a share is negative, or there is none.
    """
    if not shares or any(min(share) < 0 for share in shares):
        raise ConfigError(f"cross-batch shares are {as_json(shares)}; give pairs of 0 or more.")
    n_rows = len(repositories)
    sees = torch.zeros(n_rows, n_rows, dtype=torch.bool)
    turns = [index % len(shares) for index in range(n_rows)]
    rng.shuffle(turns)
    for row, turn in enumerate(turns):
        block = cross_batch_range or n_rows
        start = row // block * block
        end = row if chained else min(start + block, n_rows)
        others = [r for r in range(start, end) if r != row]
        same = [r for r in others if repositories[r] == repositories[row]]
        foreign = [r for r in others if repositories[r] != repositories[row]]
        for pool, n in zip((same, foreign), shares[turn], strict=True):
            sees[row, rng.sample(pool, min(n, len(pool)))] = True
    return CrossBatchPlan(sees)


class CrossBatchMemory:
    """The ``MemorySource`` of a training batch.

    Args:
        heads: memory layer → its memory heads.
        plan: which rows see which.
        stored: bool (B, S), the tokens that enter memory: neither head nor padding.
        alone: keys and values of each memory layer, each (B, G, S, D), for rows encoded alone;
            None means that rows see each other as they attend (chained).
        bank: foreign keys and values beyond the batch, each (heads, n, D) for a layer, without
            gradients: many negatives at little cost.
    """

    def __init__(
        self,
        heads: Mapping[int, Sequence[int]],
        plan: CrossBatchPlan,
        stored: Tensor,
        alone: Mapping[int, tuple[Tensor, Tensor]] | None = None,
        bank: Mapping[int, tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        if alone is None and bool(plan.sees.triu().any()):
            raise ConfigError(
                "a row sees itself or a later one: chained rows may see earlier rows alone, as a "
                "row would otherwise read its own continuation through the next memory layer."
            )
        self._heads, self._alone, self._bank = heads, alone, bank or {}
        self._visible = self._visibility(plan.sees, stored)

    def layer_view(self, layer_idx: int, input_keys: InputKeys | None = None) -> MemoryView | None:
        """Return all rows' keys and values, (1, memory heads, B·S, D), and visibility."""
        assert input_keys is not None
        encoded = input_keys() if self._alone is None else self._alone[layer_idx]
        heads = list(self._heads[layer_idx])
        keys, values = (part[:, heads].transpose(0, 1).flatten(1, 2)[None] for part in encoded)
        visible = self._visible
        if layer_idx in self._bank:
            more_keys, more_values = self._bank[layer_idx]
            keys = torch.cat((keys, more_keys[None]), dim=-2)
            values = torch.cat((values, more_values[None]), dim=-2)
            seen = visible.any(
                dim=-1, keepdim=True
            )  # a row without memory does not see the bank either
            visible = torch.cat((visible, seen.expand(*seen.shape[:-1], more_keys.shape[1])), -1)
        return DenseView(keys, values, visible)

    @staticmethod
    def _visibility(sees: Tensor, stored: Tensor) -> Tensor:
        """Return which stored tokens each row sees: bool (B, 1, 1, B·S)."""
        tokens = sees.to(stored.device)[:, :, None] & stored[None]
        return tokens.flatten(1)[:, None, None, :]


def growing_negatives(shares: Sequence[Share], more: int, done: float) -> list[Share]:
    """Shares with further negatives, in proportion to the part of the run that is ``done``.

    They start few, or the model learns to ignore memory (paper, section 4.2); (0, 0) stays.
    """
    extra = round(more * done)
    return [(p, n + extra) if p or n else (p, n) for p, n in shares]


class NegativeBank:
    """Ring buffers of earlier batches' keys and values, as negatives for each memory layer.

    They are slightly stale, as weights have changed; that is fine for negatives.
    """

    def __init__(self, n_tokens: int) -> None:
        self._n_tokens = n_tokens
        self._rings: dict[int, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def add(
        self,
        encoded: Mapping[int, tuple[Tensor, Tensor]],
        heads: Mapping[int, Sequence[int]],
        stored: Tensor,
    ) -> None:
        """Take in the stored tokens of a batch; the oldest leave."""
        if not self._n_tokens:
            return
        for layer_idx, parts in encoded.items():
            chosen = list(heads[layer_idx])
            fresh = [part.detach()[:, chosen].transpose(0, 1)[:, stored] for part in parts]
            if layer_idx in self._rings:
                pairs = zip(self._rings[layer_idx], fresh, strict=True)
                fresh = [torch.cat(pair, dim=1) for pair in pairs]
            keys, values = (part[:, -self._n_tokens :].contiguous() for part in fresh)
            self._rings[layer_idx] = keys, values

    def entries(self) -> Mapping[int, tuple[Tensor, Tensor]]:
        """Return keys and values of each layer, each (memory heads, n, D)."""
        return self._rings

    def state_dict(self) -> dict[str, Tensor]:
        """Return the rings, to resume with."""
        return {
            f"{layer}.{name}": part
            for layer, ring in self._rings.items()
            for name, part in zip(("keys", "values"), ring, strict=True)
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take rings back."""
        layers = sorted({int(name.partition(".")[0]) for name in state})
        self._rings = {
            layer: (state[f"{layer}.keys"], state[f"{layer}.values"]) for layer in layers
        }
