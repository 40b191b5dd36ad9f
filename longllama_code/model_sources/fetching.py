"""What every way of fetching a file needs: its hash, room on the disk, and word of how it goes."""

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
SAY_SECONDS = 0.2
"""Between two words of how a transfer goes; whoever listens may give it up then."""
RATE_SECONDS = 10.0
"""The time that a rate is the mean of."""
Report = Callable[[str, float], None]
"""Called with the step that begins or goes on now, and the share of the whole that is done."""


def sha256_of(path: Path) -> str:
    """The sha256 of a file, which is read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def require_disk(needed_bytes: int, folder: Path, what: str) -> None:
    """Refuse what the disk of an existing folder has no room for.

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
    """Tells of a transfer: bytes that are here, how fast they come, and when the last is here."""

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
            report: whom to tell.
            share: of the whole work, what the transfer is.
            clock: seconds.
        """
        self._total, self._report, self._share, self._clock = total_bytes, report, share, clock
        self._seen: deque[tuple[float, int]] = deque()
        self._said = float("-inf")

    def at(self, done_bytes: int) -> None:
        """Note how many bytes are here, and tell of it if it is time to."""
        now = self._clock()
        done_bytes = min(done_bytes, self._total)
        self._seen.append((now, done_bytes))
        while now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        if now - self._said >= SAY_SECONDS or done_bytes == self._total:
            self._said = now
            self._report(self._words(done_bytes), self._share * (done_bytes / self._total))

    def _words(self, done_bytes: int) -> str:
        (first, before), (last, _) = self._seen[0], self._seen[-1]
        words = f"download {done_bytes / MB:.1f} of {self._total / MB:.1f} MB"
        rate = (done_bytes - before) / (last - first) if last > first else 0.0
        if rate <= 0:
            return words
        left = round((self._total - done_bytes) / rate)
        return f"{words}, {rate / MB:.1f} MB/s, {left // 60}:{left % 60:02d} left"
