"""What a segment is once it is encoded, and the pages that it consists of."""

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

PAGE_TOKENS = 16
"""Tokens of a page: the unit of selection and provenance."""


@dataclass(frozen=True)
class EncodedSegment:
    """Keys and values of one segment, for every memory head, and where its pages begin.

    A memory head is a pair (layer, key-value head); they are ordered by layer, then head.
    """

    id: str
    """Hash of the model, the encoder's version, the path header and the text."""
    keys: Tensor
    """(memory heads, n, D), rotated as if first, in ``mem_dtype``."""
    values: Tensor
    """(memory heads, n, D), in ``mem_dtype``."""
    ids: Tensor
    """int32 (n,): its tokens."""
    page_offsets: Tensor
    """int32 (pages + 1,): where each page begins in the segment's text; the last is its end."""

    @property
    def n_tokens(self) -> int:
        """Tokens of the segment."""
        return self.keys.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return self.keys.nbytes + self.values.nbytes


def page_offsets(spans: list[tuple[int, int]]) -> Tensor:
    """Where pages begin, from the code points that each token stands for.

    Example: 20 tokens of 2 characters each → [0, 32, 40].
    """
    starts = (start for start, _ in spans[::PAGE_TOKENS])
    return torch.tensor(list(chain(starts, [spans[-1][1]])), dtype=torch.int32)
