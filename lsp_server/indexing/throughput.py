"""How fast files come into memory, and how long it will take yet."""

import time
from collections import deque
from collections.abc import Callable

from lsp_server.indexing.file_table import Totals

WINDOW_S = 10.0
"""The pace is that of the last seconds: what the store has comes faster than what is encoded."""
LEAST_S = 1.0
"""Before as much time has passed, nothing is said."""
BYTES_PER_TOKEN = 3
"""How large a file is guessed to be in memory; rather too large than too small."""


class Pace:
    """Tokens per second over a stretch of indexing; begins anew after each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._waiting_bytes = 0

    def note(self, totals: Totals) -> None:
        """Take note of how far the work is."""
        now = self._clock()
        self._waiting_bytes = totals.waiting_bytes
        self._seen.append((now, totals.tokens))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_S:
            self._seen.popleft()

    def rest(self) -> None:
        """The stretch is over."""
        self._seen.clear()

    @property
    def tokens_per_second(self) -> int | None:
        """The pace; None where it cannot be told yet."""
        if not self._seen:
            return None
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        if end - start < LEAST_S or after <= before:
            return None
        return max(1, round((after - before) / (end - start)))

    @property
    def seconds_left(self) -> int | None:
        """How long the files that wait will take, about; None where it cannot be told yet."""
        rate = self.tokens_per_second
        return None if rate is None else round(self._waiting_bytes / BYTES_PER_TOKEN / rate)


def as_text(tokens_per_second: int | None, seconds_left: int | None) -> str:
    """For people, to stand behind the counts; empty where nothing can be told.

    Example: ``, 640 tokens/s, 3 min left``.
    """
    if tokens_per_second is None or seconds_left is None:
        return ""
    left = f"{seconds_left} s" if seconds_left < 100 else f"{round(seconds_left / 60)} min"
    return f", {tokens_per_second:,} tokens/s, {left} left"
