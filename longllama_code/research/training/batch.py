"""Rows as tensors, with the weights of their tokens in the loss."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from longllama_code.research.datasets.rows import Row
from longllama_code.research.training.cross_batch import CrossBatchPlan


@dataclass(frozen=True)
class Batch:
    """B rows, padded to S tokens."""

    ids: Tensor
    """int64 (B, S)."""
    padding: Tensor
    """bool (B, S), False for padding."""
    stored: Tensor
    """bool (B, S), the tokens that enter memory: neither heads nor padding."""
    weights: Tensor
    """float32 (B, S), weight of each token in the loss; 0 if it is not sampled."""
    plan: CrossBatchPlan

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(
            self.ids.to(device),
            self.padding.to(device),
            self.stored.to(device),
            self.weights.to(device),
            self.plan,
        )


def collate(
    rows: Sequence[Row],
    plan: CrossBatchPlan,
    rng: random.Random,
    *,
    sampled_share: float = 1.0,
    recall_weight: float = 1.0,
) -> Batch:
    """Return a batch of rows.

    Args:
        rows: the rows.
        plan: which of them see which.
        rng: draws the sample.
        sampled_share: the share of positions whose loss is computed, in addition to all of those
            that memory helps; the head of a small model costs as much as many layers. What is drawn
            counts for what is not, so the loss stays that of all positions.
        recall_weight: what a token counts that the rows seen hold and the row itself has not
            shown yet (after the same token before it).
    """
    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    padding, stored = (torch.zeros(ids.shape, dtype=torch.bool) for _ in range(2))
    weights = torch.zeros(ids.shape)
    held = [set(pairwise(row.ids)) for row in rows]
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        padding[index, : len(row.ids)] = True
        stored[index, : len(row.ids)] = torch.tensor(row.texts)
        seen = torch.nonzero(plan.sees[index]).flatten().tolist()
        elsewhere = set().union(*(held[other] for other in seen))
        for at, recalled in _targets(row, elsewhere):
            if recalled:
                weights[index, at] = recall_weight
            elif rng.random() < sampled_share:
                weights[index, at] = 1 / sampled_share
    return Batch(ids, padding, stored, weights, plan)


def _targets(row: Row, elsewhere: set[tuple[int, int]]) -> Iterator[tuple[int, bool]]:
    """Return the index of each token to predict, and whether only memory, not the row, has it."""
    shown: set[tuple[int, int]] = set()
    for at, (pair, is_text) in enumerate(zip(pairwise(row.ids), row.texts[1:], strict=True), 1):
        if is_text:
            yield at, pair in elsewhere and pair not in shown
            shown.add(pair)
