"""The best keys of repository memory for a query, exactly, or from the clusters nearest to it.

What is read depends on the query and on the set of rows alone: the clusters whose centroids score
best with any of the query heads that share a key-value head, until they hold as many keys as are
to be read; all, where memory has no more. So a cached prefix stays valid, and a small memory is
searched exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.model.scoring import mix_picked
from longllama_code.model.selection import best_scores

SCAN_ROWS = 65_536
"""Rows that are scored at once where all are."""
MIN_BLOCK_TOKENS = 8
MAX_BLOCK_SHARE = 6
"""More tokens than the one, over less memory than the other times the keys read, are faster in one
product with all keys."""


class RowSearch:
    """Scores of one memory head's keys.

    Args:
        rows: of memory.
        head: which of the memory heads.
        visible: bool (M,), the rows that may be seen; absent, all.
        read_keys: how many keys are read for a query; absent, all.
    """

    def __init__(
        self, rows: MemoryRows, head: int, visible: Tensor | None, read_keys: int | None
    ) -> None:
        self._rows, self._head, self._visible = rows, head, visible
        self._form, self._records = rows.form, rows.records
        self._lists = rows.lists
        self._read_keys = rows.n_tokens if read_keys is None else read_keys

    def best(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Scores and rows of the best ``k`` keys for queries (R, S, D), each (R, S, k).

        Where fewer may be seen, the rest scores lowest.
        """
        queries = scaled(queries)
        n_tokens, n_rows = queries.shape[1], self._rows.n_tokens
        if self._lists is None or n_rows <= self._read_keys:
            best, rows = self._best_of_all(queries.flatten(0, 1), k)
            return best.unflatten(0, queries.shape[:2]), rows.unflatten(0, queries.shape[:2])
        if n_tokens > MIN_BLOCK_TOKENS and n_rows <= MAX_BLOCK_SHARE * self._read_keys:
            return self._best_of_block(queries, k)
        found = [self._best_near(queries[:, token], k) for token in range(n_tokens)]
        best, rows = zip(*found, strict=True)
        return torch.stack(best, dim=1), torch.stack(rows, dim=1)

    def scores(self, queries: Tensor) -> Tensor:
        """Scores of all rows for queries (R, S, D): (R, S, M)."""
        flat = scaled(queries).flatten(0, 1)
        parts = [self._scored(flat, rows) for rows in self._scan()]
        return torch.cat(parts, dim=-1).unflatten(0, queries.shape[:2])

    def mix(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Values of rows, mixed by their weights, each (R, S, k): (R, S, D)."""
        return mix_picked(weights, self.values(rows))

    def values(self, rows: Tensor) -> Tensor:
        """Values of rows (…): float (…, D)."""
        positions = self._rows.positions(rows.flatten())
        values = self._form.values(self._records, positions, self._head)
        return values.unflatten(0, rows.shape)

    def _scan(self) -> tuple[Tensor, ...]:
        return torch.arange(len(self._rows), device=self._records.device).split(SCAN_ROWS)

    def _best_of_all(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """For queries (Q, D), each (Q, k)."""
        found = [(self._best(self._scored(queries, rows), rows, k)) for rows in self._scan()]
        best, rows = (torch.cat(part, dim=-1) for part in zip(*found, strict=True))
        if len(found) == 1:
            return best, rows
        best, places = best.topk(k, dim=-1)
        return best, rows.gather(-1, places)

    def _scored(self, queries: Tensor, rows: Tensor) -> Tensor:
        """Scores (Q, n) of some rows."""
        positions = self._rows.positions(rows)
        codes = self._form.key_codes(self._records, positions, self._head)
        clusters = self._form.clusters_of(self._records, positions, self._head)
        return self._masked(self._form.ask(queries, self._head).scores(codes, clusters), rows)

    def _best_near(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Of the nearest clusters, for the query heads (R, D) of one token, each (R, k)."""
        asked = self._form.ask(queries, self._head)
        assert self._lists is not None
        assert asked.clusters is not None
        order, is_near = self._nearest(asked.clusters.amax(0, keepdim=True))
        near = order[is_near]
        rows, places = self._listed(near)
        codes = self._form.key_codes(self._records, self._rows.positions(rows), self._head)
        return self._best(self._masked(asked.scores(codes, near[places]), rows), rows, k)

    def _best_of_block(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The same for many tokens, (R, S, D), by one product with all keys.

        What a token would not have read is hidden from it.
        """
        assert self._lists is not None
        everything = torch.arange(self._form.n_clusters)
        rows, clusters = self._listed(everything)
        asked = self._form.ask(queries.flatten(0, 1), self._head)
        assert asked.clusters is not None
        order, is_near = self._nearest(asked.clusters.unflatten(0, queries.shape[:2]).amax(0))
        reads = torch.zeros(len(order), len(everything), dtype=torch.bool, device=order.device)
        reads.scatter_(1, order, is_near)
        codes = self._form.key_codes(self._records, self._rows.positions(rows), self._head)
        scores = asked.scores(codes, clusters).unflatten(0, queries.shape[:2])
        scores.masked_fill_(~reads[:, clusters], torch.finfo(scores.dtype).min)
        return self._best(self._masked(scores, rows), rows, k)

    def _nearest(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """For scores (S, C): clusters, best first, and which of them are read, each (S, n).

        They are read until they hold, together, as many keys as are to be read.
        """
        assert self._lists is not None
        counts = self._lists.counts(self._head).to(scores.device)
        # Twice as many clusters as hold the keys on average; if these are small ones, all.
        share = 2 * self._read_keys / self._rows.n_tokens
        n_clusters = scores.shape[-1]
        for n in (min(n_clusters, 1 + int(share * n_clusters)), n_clusters):
            order = scores.topk(n, dim=-1).indices
            each = counts[order]
            held = each.cumsum(-1)
            if bool((held[:, -1] >= self._read_keys).all()):
                break
        return order, held - each < self._read_keys

    def _listed(self, clusters: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of some clusters, and which of the clusters each is in; lists are on the CPU."""
        assert self._lists is not None
        rows, places = self._lists.rows(self._head, clusters.cpu())
        return rows.to(self._records.device), places.to(self._records.device)

    def _masked(self, scores: Tensor, rows: Tensor) -> Tensor:
        if self._visible is None:
            return scores
        return scores.masked_fill_(~self._visible[rows], torch.finfo(scores.dtype).min)

    @staticmethod
    def _best(scores: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The best of (…, n) scores of rows (n,), each (…, k)."""
        best, places = best_scores(scores, min(k, scores.shape[-1]))
        n_missing = k - best.shape[-1]
        lowest = torch.finfo(best.dtype).min
        found = rows[places].long()
        return pad(best, (0, n_missing), value=lowest), pad(found, (0, n_missing))


def scaled(queries: Tensor) -> Tensor:
    """Queries (…, D) whose products with keys are scores."""
    return queries.float() * queries.shape[-1] ** -0.5
