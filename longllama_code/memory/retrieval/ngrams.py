"""Where the last tokens of a context stand in memory, and what followed them there.

Attention finds what is alike; this finds what is the same. Each row of memory is known by its token
and the two before it, packed into one sorted number, so a lookup is a binary search; longer matches
are told apart by reading on. Sources: "On the Localness of Software" (Tu et al., 2014), the cache
n-gram model of code; "Infini-gram" (arXiv 2401.17377), the longest match over sorted suffixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longllama_code.model.buffer import GrowingTensor

KEY_TOKENS = 3
TOKEN_BITS = 21
"""Bits of a token in a key; 0 stands for no token, so the greatest id is two millions less two."""
MAX_MATCH_TOKENS = 16
MAX_CANDIDATES = 1024
"""Places that are looked at, evenly over all; what is more frequent says little more."""
MERGE_SHARE = 8
"""Rows that came lately are sorted apart until they are more than one in so many."""


@dataclass(frozen=True)
class Match:
    """What followed the longest match of a context, ``k`` different tokens at ``n`` places."""

    length: int
    """Tokens that match, from the context's end."""
    rows: Tensor
    """int64 (n,): the row of each token that followed."""
    followers: Tensor
    """int64 (n,): that token."""
    tokens: Tensor
    """int64 (k,): the different ones."""
    counts: Tensor
    """int64 (k,): how often each followed."""


class NgramIndex:
    """The tokens of memory by row, and where each sequence of three stands.

    Segments are read one by one: no match reaches from one into the next.
    """

    def __init__(self) -> None:
        self._ids, self._depths = GrowingTensor(dim=0), GrowingTensor(dim=0)
        self._keys, self._rows = _nothing(), _nothing()
        self._late_keys, self._late_rows = _nothing(), _nothing()
        self._n_sorted = 0

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        lists = self._keys, self._rows, self._late_keys, self._late_rows
        return self._ids.nbytes + self._depths.nbytes + sum(part.nbytes for part in lists)

    @torch.no_grad()
    def add(self, ids: Tensor) -> None:
        """Append the rows of a segment: int (n,)."""
        self._ids.append(ids.int())
        self._depths.append(torch.arange(len(ids), dtype=torch.int32))

    def ids(self, start: int, end: int) -> Tensor:
        """Tokens of some rows, int32."""
        return self._ids.view()[start:end]

    @torch.no_grad()
    def match(self, context: Sequence[int], visible: Tensor | None = None) -> Match | None:
        """The longest match of a context's end that something visible follows.

        Args:
            context: token ids, the last one being the one to be continued.
            visible: bool (rows,), the rows that may follow; absent, all.
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
        """Up to as many tokens from a row on, as far as its segment goes."""
        depths = self._depths.view()[row : row + n_tokens]
        ends = torch.nonzero(depths[1:] == 0)
        end = int(ends[0]) + 1 if len(ends) else len(depths)
        return self._ids.view()[row : row + end].tolist()

    def _rows_of(self, last: Sequence[int]) -> Tensor:
        """Some of the rows at which tokens end that something follows."""
        low = _packed(last)
        high = low | (1 << TOKEN_BITS * (KEY_TOKENS - len(last))) - 1
        found: list[Tensor] = []
        for keys, rows in ((self._keys, self._rows), (self._late_keys, self._late_rows)):
            start = int(torch.searchsorted(keys, low))
            found.append(rows[start : int(torch.searchsorted(keys, high, right=True))])
        rows = torch.cat(found)
        return rows[:: -(-len(rows) // MAX_CANDIDATES)] if len(rows) else rows

    def _longer(self, rows: Tensor, length: int, last: Sequence[int]) -> tuple[Tensor, int]:
        """Those of the rows at which most tokens match, and how many do."""
        ids, depths = self._ids.view(), self._depths.view()[rows]
        while length < len(last):
            # Where a segment begins, the row before it is another's; `depths` rules it out.
            before = ids[(rows - length).clamp(min=0)]
            same = (depths >= length) & (before == last[-1 - length])
            if not bool(same.any()):
                break
            rows, depths, length = rows[same], depths[same], length + 1
        return rows, length

    def _sort(self) -> None:
        """Bring in the rows that came since the last lookup."""
        if self._n_sorted == len(self):
            return
        start = self._n_sorted
        late = self._keys_from(start)
        self._n_sorted = len(self)
        keys = torch.cat((self._late_keys, late[0]))
        rows = torch.cat((self._late_rows, late[1]))
        if MERGE_SHARE * len(keys) < len(self._keys):
            self._late_keys, self._late_rows = _sorted(keys, rows)
            return
        self._keys, self._rows = _sorted(
            torch.cat((self._keys, keys)), torch.cat((self._rows, rows))
        )
        self._late_keys, self._late_rows = _nothing(), _nothing()

    def _keys_from(self, start: int) -> tuple[Tensor, Tensor]:
        """Keys of the rows from ``start`` on, but of those that nothing follows."""
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
    """The least key of the rows at which tokens end."""
    key = 0
    for back, token in enumerate(reversed(last)):
        key |= token + 1 << TOKEN_BITS * (KEY_TOKENS - 1 - back)
    return key


def _sorted(keys: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    keys, order = keys.sort(stable=True)
    return keys, rows[order]


def _nothing() -> Tensor:
    return torch.empty(0, dtype=torch.int64)
