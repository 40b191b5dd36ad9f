"""Cache of records on a GPU: the pages that are read most, within a budget; the rest is in RAM.

Reads return the same bytes from either place, so the budget affects speed alone. Pages are cached
as they are read while there is room. After that, ``rebalance`` replaces pages that are read less by
pages that are read more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from longllama_code.memory.storage.record_file import RecordStorage

PAGE_ROWS = 16
MIN_SLOTS = 64
BLOCK_BYTES = 8 << 20
"""Most bytes that are copied to the device at once."""


@dataclass(frozen=True)
class DeviceRoom:
    """Budget of memory on a device."""

    device: torch.device
    max_bytes: int
    """Most bytes of records; the table of pages takes 12 more bytes a page."""


class ResidentRecords(RecordStorage):
    """Records in host memory that are read on a device, which caches pages of them.

    Args:
        host: storage of all records.
        n_bytes: bytes of a record.
        room: the device, and the budget there.
    """

    def __init__(self, host: RecordStorage, n_bytes: int, room: DeviceRoom) -> None:
        self._host, self._n_bytes = host, n_bytes
        self._device = room.device
        self._n_slots = room.max_bytes // (PAGE_ROWS * n_bytes)
        self._held = torch.empty(0, dtype=torch.int64)
        self._pages = self._new_pages(0)
        # One more than there are whole pages: an incomplete last page stays in host memory.
        self._slots = torch.full((1,), -1, device=self._device)
        self._reads = torch.zeros(1, dtype=torch.int32, device=self._device)

    @property
    def rows(self) -> Tensor:
        """All rows in host memory, uint8 (capacity, bytes of a record)."""
        return self._host.rows

    @property
    def device(self) -> torch.device:
        """Device on which records are read."""
        return self._device

    @property
    def resident(self) -> list[int]:
        """Pages on the device, in ascending order."""
        return sorted(self._held.tolist())

    @property
    def resident_bytes(self) -> int:
        """Bytes of records on the device."""
        return self._pages.nbytes

    def write(self, start: int, records: Tensor) -> None:
        """Write records; they are cached only after ``cover`` has declared them final."""
        self._host.write(start, records)

    @torch.inference_mode()
    def cover(self, n_rows: int) -> bool:
        """Declare so many rows final and make them readable; False if there are fewer."""
        covered = self._host.cover(n_rows)
        n_new = n_rows // PAGE_ROWS + 1 - len(self._slots)
        if covered and n_new > 0:
            self._slots = torch.cat((self._slots, self._slots.new_full((n_new,), -1)))
            self._reads = torch.cat((self._reads, self._reads.new_zeros(n_new)))
        return covered

    @torch.inference_mode()
    def close(self) -> None:
        """Close the file and free the device's memory."""
        self._host.close()
        self._held, self._n_slots = self._held[:0], 0
        self._pages = self._new_pages(0)
        self._slots.fill_(-1)

    @torch.inference_mode()
    def read(self, rows: Tensor, first: int, end: int) -> Tensor:
        """Return bytes ``first`` to ``end`` of records, on the device."""
        pages = (rows // PAGE_ROWS).long().clamp(max=len(self._slots) - 1)
        self._reads.index_add_(0, pages, torch.ones_like(pages, dtype=torch.int32))
        slots = self._cached(pages)
        missing = (slots < 0).nonzero()[:, 0]
        if len(missing) == len(rows):
            return self._from_host(rows, first, end)
        lines = self._pages.view(-1, self._n_bytes)[:, first:end]
        found = lines.index_select(0, slots.clamp(min=0) * PAGE_ROWS + rows % PAGE_ROWS)
        if len(missing):
            found[missing] = self._from_host(rows[missing], first, end)
        return found

    @torch.inference_mode()
    def rebalance(self) -> None:
        """Cache the pages that were read most; earlier reads count half with every call."""
        if not self._n_slots or len(self._held) < self._n_slots:
            return
        reads, resident = self._reads[:-1].cpu(), self._slots[:-1].cpu() >= 0
        chosen = most_read(reads, resident, self._n_slots)
        slots = (~chosen[self._held]).nonzero()[:, 0]
        coming = (chosen & ~resident).nonzero()[:, 0]
        self._slots[self._held[slots].to(self._device)] = -1
        self._held[slots] = coming
        self._fill(slots)
        self._reads //= 2

    def _cached(self, pages: Tensor) -> Tensor:
        """Cache pages while there is room; return their slots, -1 for pages that are not cached."""
        slots = self._slots[pages]
        if len(self._held) == self._n_slots:
            return slots
        missing = pages[(slots < 0) & (pages < len(self._slots) - 1)].unique().cpu()
        coming = missing[: self._n_slots - len(self._held)]
        if not len(coming):
            return slots
        self._held = torch.cat((self._held, coming))
        n_held, n_coming = len(self._held), len(coming)
        if n_held > len(self._pages):
            # The old buffer is freed before a new one is allocated, to stay within the budget.
            self._pages = self._new_pages(0)
            self._pages = self._new_pages(min(self._n_slots, MIN_SLOTS + 5 * n_held // 4))
            n_coming = n_held
        self._fill(torch.arange(n_held - n_coming, n_held))
        return self._slots[pages]

    def _fill(self, slots: Tensor) -> None:
        """Copy the pages assigned to slots to the device."""
        n_whole = len(self._slots) - 1
        paged = self.rows[: n_whole * PAGE_ROWS].view(n_whole, self._pages.shape[1])
        for part in slots.split(max(1, BLOCK_BYTES // self._pages.shape[1])):
            there = part.to(self._device)
            self._pages[there] = through_host(paged, self._held[part], self._device)
            self._slots[self._held[part].to(self._device)] = there

    def _from_host(self, rows: Tensor, first: int, end: int) -> Tensor:
        return through_host(self.rows[:, first:end], rows.cpu(), self._device)

    def _new_pages(self, n_slots: int) -> Tensor:
        shape = n_slots, PAGE_ROWS * self._n_bytes
        return torch.empty(shape, dtype=torch.uint8, device=self._device)


def most_read(reads: Tensor, resident: Tensor, n: int) -> Tensor:
    """Return the ``n`` pages to cache, bool (P,).

    Args:
        reads: how often each page was read, (P,).
        resident: pages that are cached, bool (P,); they stay if others were read as often.
        n: most pages.
    """
    wanted = ((reads > 0) | resident).nonzero()[:, 0]
    order = (2 * reads.long() + resident)[wanted].argsort(descending=True, stable=True)
    chosen = torch.zeros(len(reads), dtype=torch.bool)
    chosen[wanted[order[:n]]] = True
    return chosen


def through_host(source: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    """Copy rows (n,) of a tensor in host memory to a device.

    Scattered rows are gathered first, for CUDA in a pinned buffer; the mapped file is not pinned.
    """
    pins = device.type == "cuda"
    shape = len(rows), *source.shape[1:]
    gathered = torch.empty(shape, dtype=source.dtype, pin_memory=pins)
    torch.index_select(source, 0, rows, out=gathered)
    return gathered.to(device, non_blocking=pins)
