"""Where records are: one file that only grows, mapped into the process, or the same in RAM."""

from __future__ import annotations

import mmap
import os
import weakref
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from longllama_code.errors import StoreError

MIN_BYTES = 1 << 20
GROWTH = 5 / 4


class Records(Protocol):
    """Rows of bytes, each written once and then read for ever."""

    @property
    def rows(self) -> Tensor:
        """uint8 (capacity, bytes of a record), in host memory; valid until the next ``write``."""
        ...

    @property
    def device(self) -> torch.device:
        """Where ``read`` puts what it finds."""
        return torch.device("cpu")

    def read(self, rows: Tensor, first: int, end: int) -> Tensor:
        """Bytes ``first`` to ``end`` of some records, whose rows (n,) are on the same device.

        Returns:
            uint8 (n, end - first).
        """
        return self.rows[:, first:end].index_select(0, rows)

    def settle(self) -> None:
        """Between two completions: put in order what lies where."""

    def write(self, start: int, records: Tensor) -> None:
        """Put records (n, bytes) at rows from ``start`` on.

        Raises:
            OSError: there is no room for them.
        """
        ...

    def cover(self, n_rows: int) -> bool:
        """Whether so many rows can be read, after another process may have written some."""
        ...

    def close(self) -> None:
        """Let go of the file; rows that somebody still holds stay readable."""
        ...


class RecordFile(Records):
    """Records in a file that processes share. Who writes holds the manifest's lock.

    Args:
        path: the file; it is made where it is not there.
        n_bytes: of a record.

    Raises:
        OSError: it cannot be opened for writing.
    """

    def __init__(self, path: Path, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o600)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._rows = torch.empty(0, n_bytes, dtype=torch.uint8)
        self._map()

    @property
    def rows(self) -> Tensor:
        """uint8 (capacity, bytes of a record)."""
        return self._rows

    def write(self, start: int, records: Tensor) -> None:
        """Put records, durably."""
        # Not through the mapping: a full disk is an error there that no process survives.
        end = (start + len(records)) * self._n_bytes
        if end > self._size():
            os.truncate(self._descriptor, max(MIN_BYTES, round(GROWTH * end)))
        os.lseek(self._descriptor, start * self._n_bytes, os.SEEK_SET)
        content = records.contiguous().numpy().data.cast("B")
        while content:
            content = content[os.write(self._descriptor, content) :]
        os.fsync(self._descriptor)
        self.cover(start + len(records))

    def cover(self, n_rows: int) -> bool:
        """Whether so many rows can be read."""
        if n_rows > len(self._rows):
            self._map()
        return n_rows <= len(self._rows)

    def close(self) -> None:
        """Let go of the file."""
        self._close()

    def _map(self) -> None:
        n_rows = self._size() // self._n_bytes
        if n_rows:
            length = n_rows * self._n_bytes
            mapped = mmap.mmap(self._descriptor, length, access=mmap.ACCESS_WRITE)
            self._rows = torch.frombuffer(mapped, dtype=torch.uint8).view(n_rows, self._n_bytes)

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size


class RecordBuffer(Records):
    """Records in RAM, for one process."""

    def __init__(self, n_bytes: int) -> None:
        self._rows = torch.empty(0, n_bytes, dtype=torch.uint8)

    @property
    def rows(self) -> Tensor:
        """uint8 (capacity, bytes of a record)."""
        return self._rows

    def write(self, start: int, records: Tensor) -> None:
        """Put records."""
        end = start + len(records)
        if end > len(self._rows):
            n_bytes = self._rows.shape[1]
            grown = self._rows.new_empty(max(MIN_BYTES // n_bytes, round(GROWTH * end)), n_bytes)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        self._rows[start:end] = records

    def cover(self, n_rows: int) -> bool:
        """Whether so many rows can be read."""
        return n_rows <= len(self._rows)

    def close(self) -> None:
        """There is nothing to let go of."""


def open_records(path: Path, n_bytes: int) -> RecordFile:
    """A file of records.

    Raises:
        StoreError: it cannot be opened for writing.
    """
    try:
        return RecordFile(path, n_bytes)
    except OSError as error:
        raise StoreError(f"{path} cannot hold the memory store: {error}") from error
