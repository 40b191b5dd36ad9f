"""Index of token sequences in memory: where a context's last tokens occur, and what follows them.

Attention finds similar text, this index finds identical text. The key of a row is its token and the
two before it, packed into one number. Keys are sorted, so a lookup is a binary search; longer
matches are found among its results by comparing further tokens. Sources: "On the Localness of
Software" (Tu et al., 2014), the cache n-gram model of code; "Infini-gram" (arXiv 2401.17377), the
longest match over sorted suffixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longllama_code.model.buffer import GrowingTensor

KEY_TOKENS = 3
TOKEN_BITS = 21
"""Bits of a token in a key; 0 stands for no token, so the largest id is 2²¹ - 2."""
MAX_MATCH_TOKENS = 16
MAX_CANDIDATES = 1024
"""Most occurrences that are compared, spread evenly over all."""
MERGE_SHARE = 8
"""New rows are sorted apart until they are more than one in so many."""


@dataclass(frozen=True)
class Match:
    """Longest match of a context: ``n`` occurrences, followed by ``k`` different tokens."""

    length: int
    """Number of tokens at the context's end that match."""
    rows: Tensor
    """Row of each token that followed, int64 (n,)."""
    followers: Tensor
    """Id of each token that followed, int64 (n,)."""
    tokens: Tensor
    """Distinct ids among ``followers``, int64 (k,)."""
    counts: Tensor
    """Number of times that each of ``tokens`` followed, int64 (k,)."""


class NgramIndex:
    """Tokens of memory by row, and an index of their sequences of three.

    Matches do not extend from one segment into the next.
    """

    def __init__(self) -> None:
        self._ids, self._depths = GrowingTensor(dim=0), GrowingTensor(dim=0)
        self._keys, self._rows = _empty(), _empty()
        self._new_keys, self._new_rows = _empty(), _empty()
        self._n_sorted = 0

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Bytes of tokens and index."""
        lists = self._keys, self._rows, self._new_keys, self._new_rows
        return self._ids.nbytes + self._depths.nbytes + sum(part.nbytes for part in lists)

    @torch.no_grad()
    def add(self, ids: Tensor) -> None:
        """Append the tokens of a segment, int (n,)."""
        self._ids.append(ids.int())
        self._depths.append(torch.arange(len(ids), dtype=torch.int32))

    def ids(self, start: int, end: int) -> Tensor:
        """Return the tokens of some rows, int32."""
        return self._ids.view()[start:end]

    @torch.no_grad()
    def match(self, context: Sequence[int], visible: Tensor | None = None) -> Match | None:
        """Return the longest match of a context's end that a visible row follows.

        Args:
            context: token ids; the match ends at the last one.
            visible: rows that may follow, bool (rows,); None for all.
        """
        if not context or not len(self):
            return None
        self._sort()
        last = list(context[-MAX_MATCH_TOKENS:])
        for length in range(min(KEY_TOKENS, len(last)), 0, -1):
            rows = self._rows_of(last[-length:])
            if visible is not None:
                rows = rows[visible[rows + 1]]
            if len(rows):
                break
        else:
            return None
        if length == KEY_TOKENS:
            rows, length = self._longer(rows, length, last)
        followers = self._ids.view()[rows + 1].long()
        tokens, counts = followers.unique(return_counts=True)
        return Match(length, rows + 1, followers, tokens, counts)

    def following(self, row: int, n_tokens: int) -> list[int]:
        """Return up to ``n_tokens`` tokens from a row on, to the end of its segment at most."""
        depths = self._depths.view()[row : row + n_tokens]
        ends = torch.nonzero(depths[1:] == 0)
        end = int(ends[0]) + 1 if len(ends) else len(depths)
        return self._ids.view()[row : row + end].tolist()

    def _rows_of(self, last: Sequence[int]) -> Tensor:
        """Return rows at which up to three tokens end, at most ``MAX_CANDIDATES``."""
        low = _packed(last)
        high = low | (1 << TOKEN_BITS * (KEY_TOKENS - len(last))) - 1
        found: list[Tensor] = []
        for keys, rows in ((self._keys, self._rows), (self._new_keys, self._new_rows)):
            start = int(torch.searchsorted(keys, low))
            found.append(rows[start : int(torch.searchsorted(keys, high, right=True))])
        rows = torch.cat(found)
        return rows[:: -(-len(rows) // MAX_CANDIDATES)] if len(rows) else rows

    def _longer(self, rows: Tensor, length: int, last: Sequence[int]) -> tuple[Tensor, int]:
        """Return the rows at which the most tokens match, and their number."""
        ids, depths = self._ids.view(), self._depths.view()[rows]
        while length < len(last):
            # At the start of a segment, the row before is another segment's; `depths` excludes it.
            before = ids[(rows - length).clamp(min=0)]
            same = (depths >= length) & (before == last[-1 - length])
            if not bool(same.any()):
                break
            rows, depths, length = rows[same], depths[same], length + 1
        return rows, length

    def _sort(self) -> None:
        """Index the rows that were added since the last lookup."""
        if self._n_sorted == len(self):
            return
        start = self._n_sorted
        new = self._keys_from(start)
        self._n_sorted = len(self)
        keys = torch.cat((self._new_keys, new[0]))
        rows = torch.cat((self._new_rows, new[1]))
        if MERGE_SHARE * len(keys) < len(self._keys):
            self._new_keys, self._new_rows = _sorted(keys, rows)
            return
        self._keys, self._rows = _sorted(
            torch.cat((self._keys, keys)), torch.cat((self._rows, rows))
        )
        self._new_keys, self._new_rows = _empty(), _empty()

    def _keys_from(self, start: int) -> tuple[Tensor, Tensor]:
        """Return keys and numbers of the rows from ``start`` on that have a successor."""
        depths = self._depths.view()[start:]
        known = self._ids.view()[start:].long() + 1
        keys = torch.zeros_like(known)
        for back in range(KEY_TOKENS):
            before = torch.where(depths >= back, known.roll(back), 0)
            keys += before << TOKEN_BITS * (KEY_TOKENS - 1 - back)
        followed = torch.zeros(len(known), dtype=torch.bool)
        followed[:-1] = depths[1:] > 0
        rows = torch.nonzero(followed)[:, 0]
        return keys[rows], rows + start


def _packed(last: Sequence[int]) -> int:
    """Return the lowest key of a row at which the tokens end."""
    key = 0
    for back, token in enumerate(reversed(last)):
        key |= token + 1 << TOKEN_BITS * (KEY_TOKENS - 1 - back)
    return key


def _sorted(keys: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    keys, order = keys.sort(stable=True)
    return keys, rows[order]


def _empty() -> Tensor:
    return torch.empty(0, dtype=torch.int64)
