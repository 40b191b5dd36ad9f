"""Records on a GPU: the pages that are read most, as many as a budget holds; the rest in RAM.

What is read is the same bytes wherever they lie, so the budget changes time alone. Pages are taken
in as they are read, while there is room; once there is none, ``settle`` lets a page that was read
more often take the place of one that was read less.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from longllama_code.memory.storage.record_file import Records

PAGE_ROWS = 16
MIN_SLOTS = 64
BLOCK_BYTES = 8 << 20
"""Brought onto the device at once."""


@dataclass(frozen=True)
class DeviceRoom:
    """What memory may take of a device."""

    device: torch.device
    max_bytes: int
    """Of records; their table has 12 bytes beside each page."""


class ResidentRecords(Records):
    """Records in host memory that are read on a device.

    Args:
        host: all of them.
        n_bytes: of a record.
        room: where they are read, and how many may be kept there.
    """

    def __init__(self, host: Records, n_bytes: int, room: DeviceRoom) -> None:
        self._host, self._n_bytes = host, n_bytes
        self._device = room.device
        self._n_slots = room.max_bytes // (PAGE_ROWS * n_bytes)
        self._held = torch.empty(0, dtype=torch.int64)
        self._pages = self._new_pages(0)
        # One more than there are whole pages: the last is always in host memory.
        self._slots = torch.full((1,), -1, device=self._device)
        self._reads = torch.zeros(1, dtype=torch.int32, device=self._device)

    @property
    def rows(self) -> Tensor:
        """uint8 (capacity, bytes of a record), in host memory."""
        return self._host.rows

    @property
    def device(self) -> torch.device:
        """Where records are read."""
        return self._device

    @property
    def resident(self) -> list[int]:
        """The pages on the device, in ascending order."""
        return sorted(self._held.tolist())

    @property
    def resident_bytes(self) -> int:
        """Bytes of records on the device."""
        return self._pages.nbytes

    def write(self, start: int, records: Tensor) -> None:
        """Put records; they may be taken in once ``cover`` says that they are final."""
        self._host.write(start, records)

    @torch.inference_mode()
    def cover(self, n_rows: int) -> bool:
        """Whether so many rows can be read, all of which are final."""
        covered = self._host.cover(n_rows)
        n_new = n_rows // PAGE_ROWS + 1 - len(self._slots)
        if covered and n_new > 0:
            self._slots = torch.cat((self._slots, self._slots.new_full((n_new,), -1)))
            self._reads = torch.cat((self._reads, self._reads.new_zeros(n_new)))
        return covered

    @torch.inference_mode()
    def close(self) -> None:
        """Let go of the file and of the device's memory."""
        self._host.close()
        self._held, self._n_slots = self._held[:0], 0
        self._pages = self._new_pages(0)
        self._slots.fill_(-1)

    @torch.inference_mode()
    def read(self, rows: Tensor, first: int, end: int) -> Tensor:
        """Bytes ``first`` to ``end`` of records, on the device."""
        pages = (rows // PAGE_ROWS).long().clamp(max=len(self._slots) - 1)
        self._reads.index_add_(0, pages, torch.ones_like(pages, dtype=torch.int32))
        slots = self._taken_in(pages)
        missing = (slots < 0).nonzero()[:, 0]
        if len(missing) == len(rows):
            return self._from_host(rows, first, end)
        lines = self._pages.view(-1, self._n_bytes)[:, first:end]
        found = lines.index_select(0, slots.clamp(min=0) * PAGE_ROWS + rows % PAGE_ROWS)
        if len(missing):
            found[missing] = self._from_host(rows[missing], first, end)
        return found

    @torch.inference_mode()
    def settle(self) -> None:
        """Give the room to the pages that were read most; of earlier reads, half count."""
        if not self._n_slots or len(self._held) < self._n_slots:
            return
        reads, resident = self._reads[:-1].cpu(), self._slots[:-1].cpu() >= 0
        chosen = most_read(reads, resident, self._n_slots)
        slots = (~chosen[self._held]).nonzero()[:, 0]
        coming = (chosen & ~resident).nonzero()[:, 0]
        self._slots[self._held[slots].to(self._device)] = -1
        self._held[slots] = coming
        self._bring(slots)
        self._reads //= 2

    def _taken_in(self, pages: Tensor) -> Tensor:
        """The slots of pages, -1 for those that find no room."""
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
            # Dropped before there are new ones, so that both together never exceed the budget.
            self._pages = self._new_pages(0)
            self._pages = self._new_pages(min(self._n_slots, MIN_SLOTS + 5 * n_held // 4))
            n_coming = n_held
        self._bring(torch.arange(n_held - n_coming, n_held))
        return self._slots[pages]

    def _bring(self, slots: Tensor) -> None:
        """Fill slots with the pages that they are to hold."""
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
    """Which ``n`` pages have the room, bool (P,).

    Args:
        reads: how often each page was read, (P,).
        resident: bool (P,), which have it now; of pages that were read alike, they keep it.
        n: how many there may be.
    """
    wanted = ((reads > 0) | resident).nonzero()[:, 0]
    order = (2 * reads.long() + resident)[wanted].argsort(descending=True, stable=True)
    chosen = torch.zeros(len(reads), dtype=torch.bool)
    chosen[wanted[order[:n]]] = True
    return chosen


def through_host(source: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    """Rows (n,) of a tensor in host memory, on a device, by way of pinned memory where it is CUDA.

    Scattered rows must be gathered before they travel; so what is pinned is where they meet, and
    the file that they come from stays as it is mapped.
    """
    pins = device.type == "cuda"
    shape = len(rows), *source.shape[1:]
    gathered = torch.empty(shape, dtype=source.dtype, pin_memory=pins)
    torch.index_select(source, 0, rows, out=gathered)
    return gathered.to(device, non_blocking=pins)
