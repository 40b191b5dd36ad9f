"""Room for weights in large pages of memory.

Weights are read once for each token, in gigabytes a second. With pages of 4 kB, the CPU spends a
third of that time or more on finding them; so room is taken in pieces large enough for huge pages,
which the system gives where it has them.
"""

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PIECE_BYTES = 64 << 20
"""Bytes of a piece; numpy asks for huge pages for any array of 4 MB or more."""
LINE = 64
"""Bytes of a cache line, at which arrays begin."""


@dataclass
class Room:
    """Allocator of arrays that stay; a piece is freed with the last array in it."""

    _left: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def zeros(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Return an array of zeros that begins at a cache line."""
        n_bytes = shape[0] * shape[1]
        with self._lock:
            start = -self._left.ctypes.data % LINE
            if len(self._left) < start + n_bytes:
                self._left = np.zeros(max(PIECE_BYTES, n_bytes + LINE), np.uint8)
                start = -self._left.ctypes.data % LINE
            found = self._left[start : start + n_bytes]
            self._left = self._left[start + n_bytes :]
        return found.reshape(shape)
