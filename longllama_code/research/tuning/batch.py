"""Rows as padded tensors, with masks of what sees what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from longllama_code.research.tuning.inputs import HEAD, RowInput

PADDING = -1
"""Owner of padding."""
T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """B rows: P tokens before the open file, S tokens of it and of what is to be written."""

    before: Tensor
    """int64 (B, P)."""
    before_positions: Tensor
    """int64 (B, P)."""
    before_visible: Tensor
    """bool (B, 1, P, P): each token sees the head, and earlier tokens of its own definition."""
    local: Tensor
    """int64 (B, S)."""
    local_positions: Tensor
    """int64 (B, S)."""
    local_visible: Tensor
    """bool (B, 1, S, P + S): each token sees all before the open file, and earlier ones of it."""
    rows: Tensor
    """int64 (N,), row of each token that is to be written, row by row."""
    indices: Tensor
    """int64 (N,), index in its row of each of these tokens, in ``local``."""

    @property
    def targets(self) -> Tensor:
        """Ids that are to be written, (N,)."""
        return self.local[self.rows, self.indices]

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(*(part.to(device) for part in vars(self).values()))


def collate(inputs: Sequence[RowInput]) -> Batch:
    """Return rows as one batch."""
    before, positions = _padded([each.before for each in inputs], 0), _padded_positions(inputs)
    owners = _padded([each.owners for each in inputs], PADDING)
    local = _padded([each.local for each in inputs], 0)
    tops = torch.tensor([each.top for each in inputs])
    rows, indices = _places(inputs)
    return Batch(
        before=before,
        before_positions=positions,
        before_visible=before_mask(owners),
        local=local,
        local_positions=tops[:, None] + torch.arange(local.shape[1]),
        local_visible=_local_mask(owners, local.shape[1]),
        rows=rows,
        indices=indices,
    )


def before_mask(owners: Tensor) -> Tensor:
    """Return which tokens before the open file see which, bool (B, 1, P, P).

    Args:
        owners: int64 (B, P), the definition of each token, or ``HEAD``, or ``PADDING``.
    """
    n_tokens = owners.shape[1]
    causal = torch.ones(n_tokens, n_tokens, dtype=torch.bool).tril()
    keys, queries = owners[:, None, :], owners[:, :, None]
    return (causal & ((keys == HEAD) | (keys == queries)))[:, None]


def passes(drawn: Sequence[T], lengths: Sequence[int], n_tokens: int) -> Iterator[list[T]]:
    """Yield rows in groups of similar length, of at most ``n_tokens`` tokens with padding."""
    group, longest = list[T](), 0
    for number in sorted(range(len(drawn)), key=lambda number: lengths[number]):
        longest = lengths[number]
        if group and longest * (len(group) + 1) > n_tokens:
            yield group
            group = []
        group.append(drawn[number])
    if group:
        yield group


def _padded(parts: Sequence[Sequence[int]], padding: int) -> Tensor:
    """Return parts as rows, (B, longest), with one token at least."""
    rows = [torch.tensor(part or [padding], dtype=torch.int64) for part in parts]
    return pad_sequence(rows, batch_first=True, padding_value=padding)


def _padded_positions(inputs: Sequence[RowInput]) -> Tensor:
    return _padded([each.positions for each in inputs], 0)


def _local_mask(owners: Tensor, n_local: int) -> Tensor:
    causal = torch.ones(n_local, n_local, dtype=torch.bool).tril()
    seen = (owners != PADDING)[:, None, :].expand(-1, n_local, -1)
    return torch.cat((seen, causal.expand(len(owners), -1, -1)), dim=-1)[:, None]


def _places(inputs: Sequence[RowInput]) -> tuple[Tensor, Tensor]:
    """Return row and index of each token that is to be written."""
    places = [
        (row, index)
        for row, each in enumerate(inputs)
        for index in range(len(each.local) - each.n_middle, len(each.local))
    ]
    rows, indices = zip(*places, strict=True)
    return torch.tensor(rows), torch.tensor(indices)
