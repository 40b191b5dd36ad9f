"""Storage of records: a file that only grows, mapped into the process, or a buffer in RAM."""

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


class RecordStorage(Protocol):
    """Rows of bytes, each written once and never changed."""

    @property
    def rows(self) -> Tensor:
        """Rows in host memory, uint8 (capacity, bytes of a record), until the next ``write``."""
        ...

    @property
    def device(self) -> torch.device:
        """Device on which ``read`` returns records."""
        return torch.device("cpu")

    def read(self, rows: Tensor, first: int, end: int) -> Tensor:
        """Return bytes ``first`` to ``end`` of records at rows (n,), uint8 (n, end - first).

        Rows and result are on ``device``.
        """
        return self.rows[:, first:end].index_select(0, rows)

    def rebalance(self) -> None:
        """Choose which records stay on the device; called between two completions."""

    def write(self, start: int, records: Tensor) -> None:
        """Write records (n, bytes) to the rows from ``start`` on.

        Raises:
            OSError: the disk is full or not writable.
        """
        ...

    def cover(self, n_rows: int) -> bool:
        """Make rows readable that another process may have written; False if there are fewer."""
        ...

    def close(self) -> None:
        """Close the file; tensors of its rows stay readable."""
        ...


class RecordFile(RecordStorage):
    """Records in a file that processes share; a writer must hold the manifest's lock.

    Args:
        path: path of the file, which is created if it does not exist.
        n_bytes: bytes of a record.

    Raises:
        OSError: the file cannot be opened for writing.
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
        """All rows, uint8 (capacity, bytes of a record)."""
        return self._rows

    def write(self, start: int, records: Tensor) -> None:
        """Write records and flush them to disk."""
        # Not through the mapping: if the disk is full, that kills the process (SIGBUS).
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
        """Map rows that another process may have written; return False if there are fewer."""
        if n_rows > len(self._rows):
            self._map()
        return n_rows <= len(self._rows)

    def close(self) -> None:
        """Close the file."""
        self._close()

    def _map(self) -> None:
        n_rows = self._size() // self._n_bytes
        if n_rows:
            length = n_rows * self._n_bytes
            mapped = mmap.mmap(self._descriptor, length, access=mmap.ACCESS_WRITE)
            self._rows = torch.frombuffer(mapped, dtype=torch.uint8).view(n_rows, self._n_bytes)

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size


class RecordBuffer(RecordStorage):
    """Records in RAM, for one process."""

    def __init__(self, n_bytes: int) -> None:
        self._rows = torch.empty(0, n_bytes, dtype=torch.uint8)

    @property
    def rows(self) -> Tensor:
        """All rows, uint8 (capacity, bytes of a record)."""
        return self._rows

    def write(self, start: int, records: Tensor) -> None:
        """Write records."""
        end = start + len(records)
        if end > len(self._rows):
            n_bytes = self._rows.shape[1]
            grown = self._rows.new_empty(max(MIN_BYTES // n_bytes, round(GROWTH * end)), n_bytes)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        self._rows[start:end] = records

    def cover(self, n_rows: int) -> bool:
        """Return whether there are so many rows."""
        return n_rows <= len(self._rows)

    def close(self) -> None:
        """Do nothing."""


def open_records(path: Path, n_bytes: int) -> RecordFile:
    """Open a file of records.

    Raises:
        StoreError: the file cannot be opened for writing.
    """
    try:
        return RecordFile(path, n_bytes)
    except OSError as error:
        raise StoreError(
            f"{path} cannot hold the memory store: {error}; make it writable, or set another cache "
            "folder."
        ) from error
