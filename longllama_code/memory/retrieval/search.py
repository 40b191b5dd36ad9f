"""Search for the best keys of repository memory, exact or in the clusters nearest to a query.

The clusters whose centroids score best with any of the query heads that share a key-value head are
read, until they contain ``read_keys`` keys. A memory with no more keys is searched exactly. What is
read depends on the query and on the set of rows alone, so a cached prefix stays valid.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.model.scoring import mix_picked
from longllama_code.model.selection import best_scores

SCAN_ROWS = 65_536
"""Rows that are scored at once in an exact search."""
MIN_BLOCK_TOKENS = 8
MAX_BLOCK_SHARE = 6
"""Queries of more than ``MIN_BLOCK_TOKENS`` tokens, over at most ``MAX_BLOCK_SHARE`` times the keys
that are read, are faster as one product with all keys."""


class RowSearch:
    """Search of the keys of one memory head.

    Args:
        rows: memory's rows.
        head: index of the memory head.
        visible: visible rows, bool (M,); None for all.
        read_keys: how many keys are read for a query; None for all.
    """

    def __init__(
        self, rows: MemoryRows, head: int, visible: Tensor | None, read_keys: int | None
    ) -> None:
        self._rows, self._head, self._visible = rows, head, visible
        self._format, self._records = rows.record_format, rows.records
        self._lists = rows.lists
        self._read_keys = rows.n_tokens if read_keys is None else read_keys

    def best(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return scores and rows of the best ``k`` keys for queries (R, S, D), each (R, S, k).

        If fewer rows are visible, the rest has the lowest finite score.
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
        """Return the scores of all rows for queries (R, S, D): (R, S, M)."""
        flat = scaled(queries).flatten(0, 1)
        parts = [self._scored(flat, rows) for rows in self._scan()]
        return torch.cat(parts, dim=-1).unflatten(0, queries.shape[:2])

    def mix(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Return the sum of rows' values by their weights, each (R, S, k): (R, S, D)."""
        return mix_picked(weights, self.values(rows))

    def values(self, rows: Tensor) -> Tensor:
        """Return the values of rows (…), float (…, D)."""
        positions = self._rows.positions(rows.flatten())
        values = self._format.values(self._records, positions, self._head)
        return values.unflatten(0, rows.shape)

    def _scan(self) -> tuple[Tensor, ...]:
        return torch.arange(len(self._rows), device=self._records.device).split(SCAN_ROWS)

    def _best_of_all(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Search all rows for queries (Q, D); return scores and rows, each (Q, k)."""
        found = [self._best(self._scored(queries, rows), rows, k) for rows in self._scan()]
        best, rows = (torch.cat(part, dim=-1) for part in zip(*found, strict=True))
        if len(found) == 1:
            return best, rows
        best, indices = best.topk(k, dim=-1)
        return best, rows.gather(-1, indices)

    def _scored(self, queries: Tensor, rows: Tensor) -> Tensor:
        """Return the scores of some rows, (Q, n)."""
        positions = self._rows.positions(rows)
        codes = self._format.key_codes(self._records, positions, self._head)
        clusters = self._format.clusters_of(self._records, positions, self._head)
        encoded = self._format.encode_queries(queries, self._head)
        return self._masked(encoded.scores(codes, clusters), rows)

    def _best_near(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Search the nearest clusters for one token's queries (R, D); return each (R, k)."""
        encoded = self._format.encode_queries(queries, self._head)
        assert self._lists is not None
        assert encoded.clusters is not None
        order, is_near = self._nearest(encoded.clusters.amax(0, keepdim=True))
        near = order[is_near]
        rows, indices = self._listed(near)
        codes = self._format.key_codes(self._records, self._rows.positions(rows), self._head)
        scores = encoded.scores(codes, near[indices])
        return self._best(self._masked(scores, rows), rows, k)

    def _best_of_block(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Search the nearest clusters for the queries (R, S, D) of many tokens.

        One product with all keys is computed; then keys of clusters that a token does not read are
        masked for it.
        """
        assert self._lists is not None
        everything = torch.arange(self._format.n_clusters)
        rows, clusters = self._listed(everything)
        encoded = self._format.encode_queries(queries.flatten(0, 1), self._head)
        assert encoded.clusters is not None
        order, is_near = self._nearest(encoded.clusters.unflatten(0, queries.shape[:2]).amax(0))
        reads = torch.zeros(len(order), len(everything), dtype=torch.bool, device=order.device)
        reads.scatter_(1, order, is_near)
        codes = self._format.key_codes(self._records, self._rows.positions(rows), self._head)
        scores = encoded.scores(codes, clusters).unflatten(0, queries.shape[:2])
        scores.masked_fill_(~reads[:, clusters], torch.finfo(scores.dtype).min)
        return self._best(self._masked(scores, rows), rows, k)

    def _nearest(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return clusters by scores (S, C), best first, and which of them are read, each (S, n).

        A token reads clusters until they contain ``read_keys`` keys together.
        """
        assert self._lists is not None
        counts = self._lists.counts(self._head).to(scores.device)
        # Twice as many clusters as contain the keys on average, or all if these are too small.
        share = 2 * self._read_keys / self._rows.n_tokens
        n_clusters = scores.shape[-1]
        for n in (min(n_clusters, 1 + int(share * n_clusters)), n_clusters):
            order = scores.topk(n, dim=-1).indices
            each = counts[order]
            total = each.cumsum(-1)
            if bool((total[:, -1] >= self._read_keys).all()):
                break
        return order, total - each < self._read_keys

    def _listed(self, clusters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of some clusters, and the index of each one's cluster."""
        assert self._lists is not None
        rows, indices = self._lists.rows(self._head, clusters.cpu())  # lists are on the CPU
        return rows.to(self._records.device), indices.to(self._records.device)

    def _masked(self, scores: Tensor, rows: Tensor) -> Tensor:
        if self._visible is None:
            return scores
        return scores.masked_fill_(~self._visible[rows], torch.finfo(scores.dtype).min)

    @staticmethod
    def _best(scores: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the best of (…, n) scores of rows (n,), and their rows, each (…, k)."""
        best, indices = best_scores(scores, min(k, scores.shape[-1]))
        n_missing = k - best.shape[-1]
        lowest = torch.finfo(best.dtype).min
        found = rows[indices].long()
        return pad(best, (0, n_missing), value=lowest), pad(found, (0, n_missing))


def scaled(queries: Tensor) -> Tensor:
    """Return queries (…, D) scaled so that their products with keys are scores."""
    return queries.float() * queries.shape[-1] ** -0.5
