"""Segments of random bytes, put into stores and looked for."""

from pathlib import Path

import torch
from torch import Tensor

from longllama_code.memory.storage.store import SegmentStore, StoredSegment

N_BYTES, N_ROWS = 64, 20


def name(number: int) -> str:
    return f"{number:032x}"


def content(number: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * seed + number)
    return torch.randint(256, (N_ROWS, N_BYTES), generator=generator, dtype=torch.uint8)


def put(store: SegmentStore, number: int, seed: int = 0) -> StoredSegment:
    return store.put(name(number), content(number, seed), [0, 16, 40])


def held(store: SegmentStore, number: int, seed: int = 0) -> bool:
    """Whether a segment is there, as it was put."""
    found = store.find(name(number))
    if found is None:
        return False
    assert (found.id, found.n_tokens, found.page_offsets) == (name(number), N_ROWS, (0, 16, 40))
    rows = store.records.rows[found.start : found.start + N_ROWS]
    return torch.equal(rows, content(number, seed))


def opened(folder: Path, max_bytes: int | None = None) -> SegmentStore:
    return SegmentStore(folder, N_BYTES, max_bytes)
