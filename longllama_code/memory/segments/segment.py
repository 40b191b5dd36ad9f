"""Encoded segments, and the pages that they consist of."""

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

PAGE_TOKENS = 16
"""Tokens of a page, the unit by which sources are shown and local text is hidden."""


@dataclass(frozen=True)
class EncodedSegment:
    """Keys and values of one segment for all memory heads, and the offsets of its pages.

    A memory head is a pair (layer, key-value head); heads are ordered by layer, then by head.
    """

    id: str
    """Hash of the model, the encoder's version, the path header and the text."""
    keys: Tensor
    """Position-zero keys (memory heads, n, D), in ``mem_dtype``."""
    values: Tensor
    """(memory heads, n, D), in ``mem_dtype``."""
    ids: Tensor
    """Token ids, int32 (n,)."""
    page_offsets: Tensor
    """Offset of each page in the segment's text, int32 (pages + 1,); the last is the end."""

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return self.keys.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return self.keys.nbytes + self.values.nbytes


def page_offsets(spans: list[tuple[int, int]]) -> Tensor:
    """Return the offsets of pages, from the span of code points of each token.

    Example: 20 tokens of 2 characters each → [0, 32, 40].
    """
    starts = (start for start, _ in spans[::PAGE_TOKENS])
    return torch.tensor(list(chain(starts, [spans[-1][1]])), dtype=torch.int32)
