"""Index of a repository's chunks, ranked by BM25, updated as files change.

    score(chunk) = Σ idf(t) · n · (k1 + 1) / (n + k1 · (1 - b + b · length / mean length))
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))

The sum is over the distinct terms t of the query; n is how often t occurs in the chunk, df the
number of chunks with t, N that of all chunks. Source: "The Probabilistic Relevance Framework: BM25
and Beyond" (Robertson and Zaragoza, 2009), with the idf of Lucene's ``BM25Similarity``, which is
never negative.

Libraries compute the scores of a whole corpus once (``bm25s``, ``rank_bm25``), so that each change
of a file would build their index again. Here a file's postings are added and removed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import Counter
from math import log

import numpy as np
from numpy.typing import NDArray

from longllama_code.similar_code.chunks import Chunk, chunks_of, terms_of

K1, B = 1.2, 0.75
"""Saturation of term counts, and weight of the length; the defaults of Lucene."""
COUNT_BITS = 16
"""Low bits of a posting, for the term's count in a chunk; the others are the chunk's row."""
COUNTS = (1 << COUNT_BITS) - 1

Integers = NDArray[np.int64]


class ChunkIndex:
    """Chunks of a repository; results do not depend on the order of ``put``.

    An index over another one sees that one's files, except those that it replaces or forgets: one
    user's edits over a shared repository. Meanwhile the other one must not change.

    Args:
        base: index under this one; None for none.
    """

    def __init__(self, base: ChunkIndex | None = None) -> None:
        self._base = base
        self._hidden: set[str] = set()
        self._files: dict[str, tuple[Chunk, ...]] = {}
        self._rows: dict[str, list[int]] = {}
        self._chunks: list[Chunk] = []
        self._lengths = array("Q")
        """Number of terms of each row's chunk; rows with 0, free ones among them, do not count."""
        self._free: list[int] = []
        self._postings: dict[str, array[int]] = {}
        """Postings of each term, ascending."""

    def put(self, path: str, text: str) -> None:
        """Add a file, or replace its earlier version and the base's."""
        chunks = tuple(chunks_of(path, text))
        if self._files.get(path) == chunks:
            return
        self._remove(path)
        self._files[path] = chunks
        self._rows[path] = [self._add(chunk) for chunk in chunks]

    def forget(self, path: str) -> None:
        """Remove a file of this index, and hide the base's."""
        self._remove(path)
        if self._base is not None:
            self._hidden.add(path)

    def restore(self, path: str) -> None:
        """Show the base's version of a file again."""
        self._remove(path)
        self._hidden.discard(path)

    def chunks(self, path: str) -> tuple[Chunk, ...]:
        """Return the chunks of a file, in order; none if the index lacks it."""
        own = self._files.get(path)
        if own is not None:
            return own
        return () if self._base is None or path in self._hidden else self._base.chunks(path)

    def search(self, query: str, path: str, n: int) -> list[tuple[Chunk, float]]:
        """Return the ``n`` best chunks with a term of the query, and their scores, best first.

        Chunks of equal scores are in the order of their paths and lines.

        Args:
            query: text whose terms are looked up.
            path: file whose chunks are left out, and count for nothing.
            n: maximum number of chunks.
        """
        scores = self._scores(query, path)
        least = np.partition(scores, -n)[-n] if n < len(scores) else 0.0
        rows = np.flatnonzero((scores > 0) & (scores >= least)).tolist()
        found = [(self._chunk(row), float(scores[row])) for row in rows]
        return sorted(found, key=lambda pair: (-pair[1], pair[0].path, pair[0].line))[:n]

    def _scores(self, query: str, path: str) -> NDArray[np.float64]:
        """Return the score of each row, float64 (rows,); 0 where no term occurs."""
        lengths = self._visible_lengths(frozenset((path,)))
        n_chunks = int(np.count_nonzero(lengths))
        scores = np.zeros(len(lengths))
        if not n_chunks:
            return scores
        norms = K1 * (1 - B + B * lengths * (n_chunks / int(lengths.sum())))
        for term in dict.fromkeys(terms_of(query)):
            postings = self._postings_of(term)
            rows, counts = postings >> COUNT_BITS, postings & COUNTS
            is_visible = lengths[rows] > 0
            rows, counts = rows[is_visible], counts[is_visible]
            idf = log(1 + (n_chunks - len(rows) + 0.5) / (len(rows) + 0.5))
            scores[rows] += idf * (K1 + 1) * counts / (counts + norms[rows])
        return scores

    def _visible_lengths(self, without: frozenset[str]) -> Integers:
        """Return the length of each row's chunk, the base's first; 0 for chunks that do not count.

        Args:
            without: files whose chunks do not count.
        """
        own = np.array(self._lengths, np.int64)
        for path in without:
            own[self._rows.get(path, [])] = 0
        if self._base is None:
            return own
        replaced = without.union(self._hidden, self._rows)
        return np.concatenate((self._base._visible_lengths(replaced), own))

    def _postings_of(self, term: str) -> Integers:
        """Return a term's postings, those of the base first."""
        own = np.array(self._postings.get(term, ()), np.int64)
        if self._base is None:
            return own
        shift = len(self._base._chunks) << COUNT_BITS
        return np.concatenate((self._base._postings_of(term), own + shift))

    def _chunk(self, row: int) -> Chunk:
        if self._base is None:
            return self._chunks[row]
        n_base = len(self._base._chunks)
        return self._base._chunk(row) if row < n_base else self._chunks[row - n_base]

    def _add(self, chunk: Chunk) -> int:
        """Add a chunk; return its row."""
        terms = terms_of(chunk.text)
        row = self._free.pop() if self._free else len(self._chunks)
        if row == len(self._chunks):
            self._chunks.append(chunk)
            self._lengths.append(0)
        self._chunks[row], self._lengths[row] = chunk, len(terms)
        for term, count in Counter(terms).items():
            insort(self._postings.setdefault(term, array("Q")), row << COUNT_BITS | count)
        return row

    def _remove(self, path: str) -> None:
        """Remove a file of this index, if it has it."""
        self._files.pop(path, None)
        for row in self._rows.pop(path, ()):
            for term in set(terms_of(self._chunks[row].text)):
                postings = self._postings[term]
                del postings[bisect_left(postings, row << COUNT_BITS)]
                if not postings:
                    del self._postings[term]
            self._lengths[row] = 0
            self._free.append(row)
