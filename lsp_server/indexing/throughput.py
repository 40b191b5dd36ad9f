"""Throughput of indexing, and the time that is left."""

import time
from collections import deque
from collections.abc import Callable

from lsp_server.indexing.file_table import Totals

WINDOW_S = 10.0
"""Window of the measurement. It is short: stored files load faster than others are encoded."""
MIN_S = 1.0
"""Shortest measurement that is reported."""
BYTES_PER_TOKEN = 3
"""Bytes of source per token, for estimates; rather too few, so that files seem too large."""


class Throughput:
    """Tokens per second while files are indexed; ``reset`` it when there are none left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._waiting_bytes = 0

    def note(self, totals: Totals) -> None:
        """Add a sample of the progress."""
        now = self._clock()
        self._waiting_bytes = totals.waiting_bytes
        self._samples.append((now, totals.tokens))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()

    def reset(self) -> None:
        """Drop all samples."""
        self._samples.clear()

    @property
    def tokens_per_second(self) -> int | None:
        """Tokens per second in the window; None if it is too short, or nothing was added."""
        if not self._samples:
            return None
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        if end - start < MIN_S or after <= before:
            return None
        return max(1, round((after - before) / (end - start)))

    @property
    def seconds_left(self) -> int | None:
        """Estimated time for the files that wait; None while there is no throughput."""
        rate = self.tokens_per_second
        return None if rate is None else round(self._waiting_bytes / BYTES_PER_TOKEN / rate)


def as_text(tokens_per_second: int | None, seconds_left: int | None) -> str:
    """Return the throughput as a suffix of a message; empty if it is not known.

    Example: ``, 640 tokens/s, 3 min left``.
    """
    if tokens_per_second is None or seconds_left is None:
        return ""
    left = f"{seconds_left} s" if seconds_left < 100 else f"{round(seconds_left / 60)} min"
    return f", {tokens_per_second:,} tokens/s, {left} left"
