"""Shared by all ways to fetch a file: hashes, disk space and progress."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from longllama_code.errors import DownloadError

MB = 10**6
GB = 10**9
BLOCK_BYTES = 1 << 20
REPORT_SECONDS = 0.2
"""Time between two reports of progress; the receiver may raise to stop the transfer."""
RATE_SECONDS = 10.0
"""Time over which the transfer rate is averaged."""
Report = Callable[[str, float], None]
"""Called with the step that begins, and the fraction of the whole work that is done (0 to 1)."""


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, which is read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def require_disk(needed_bytes: int, folder: Path, what: str) -> None:
    """Raise an error if the disk of an existing folder lacks space.

    Raises:
        DownloadError: fewer bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise DownloadError(
            f"{what} needs {needed_bytes / GB:.2f} GB, and the disk of {folder} has"
            f" {free / GB:.2f} GB free: make room, or set LONGLLAMA_CACHE to a larger disk."
        )


class Meter:
    """Reports the progress of a transfer: bytes received, rate and time left."""

    def __init__(
        self,
        total_bytes: int,
        report: Report,
        share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin a transfer.

        Args:
            total_bytes: its size.
            report: receives the progress.
            share: the transfer's share of the whole work.
            clock: returns seconds.
        """
        self._total, self._report, self._share, self._clock = total_bytes, report, share, clock
        self._seen: deque[tuple[float, int]] = deque()
        self._reported_at = float("-inf")

    def at(self, done_bytes: int) -> None:
        """Record the number of bytes received, and report it if the last report is old enough."""
        now = self._clock()
        done_bytes = min(done_bytes, self._total)
        self._seen.append((now, done_bytes))
        while now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        if now - self._reported_at >= REPORT_SECONDS or done_bytes == self._total:
            self._reported_at = now
            self._report(self._description(done_bytes), self._share * (done_bytes / self._total))

    def _description(self, done_bytes: int) -> str:
        (first, before), (last, _) = self._seen[0], self._seen[-1]
        words = f"download {done_bytes / MB:.1f} of {self._total / MB:.1f} MB"
        rate = (done_bytes - before) / (last - first) if last > first else 0.0
        if rate <= 0:
            return words
        left = round((self._total - done_bytes) / rate)
        return f"{words}, {rate / MB:.1f} MB/s, {left // 60}:{left % 60:02d} left"
