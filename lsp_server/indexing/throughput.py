"""Progress of reading the repository: share, speed and time left, without jumps.

Work is counted in bytes of files. How fast it goes is measured while files are encoded: what the
store has is read a hundred times as fast, and says nothing about the rest.
"""

import math
import time
from collections.abc import Callable

from lsp_server.indexing.file_table import Totals

BYTES_PER_TOKEN = 3
"""Bytes of source per token, for estimates; rather too few, so that files seem too large."""
MIN_S = 3.0
"""Shortest measurement of encoding from which a time is estimated."""
MIN_MEASURED = 4
"""Fewest files that such a measurement has."""
MEMORY_S = 30.0
"""Time over which a change of speed comes to count for most of it."""
MAX_STEP_S = 5.0
"""Longest time between two looks that counts as work; the machine may have slept."""
FASTER, SLOWER = 0.1, 0.03
"""Most that the time left is corrected by in a second, down and up, as a share of it."""
MANY_FILES = 5
"""Files that wait at the same time for the reading to be worth showing. After most edits it is one
file, for a moment."""
LEAST_CORRECTED_S = 10.0
"""Time left below which corrections do not get smaller."""


class Throughput:
    """Progress of reading, from `reset` to `reset`; smoothed, and it never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget all, as there is nothing left to read, or all is to be read again."""
        self.is_long = False
        """Whether many files waited at the same time."""
        self._seen: Totals | None = None
        self._seen_at: float | None = None
        self._worked_s = 0.0
        """Time spent reading since the number of bytes in memory last grew."""
        self._measured_s = 0.0
        self._n_measured = 0
        """Files that were encoded and measured, or groups of them."""
        self._bytes_per_s = 0.0
        self._tokens_per_s = 0.0
        self._share = 0.0
        self._left_s: float | None = None

    def pause(self) -> None:
        """Keep what was measured, and do not count the time until the next `note`."""
        self._seen_at = None

    def note(self, totals: Totals) -> None:
        """Take in how far reading is now."""
        now = self._clock()
        step_s = 0.0 if self._seen_at is None else min(max(0.0, now - self._seen_at), MAX_STEP_S)
        self._seen_at = now
        self._worked_s += step_s
        if self._seen is None or totals.indexed_bytes != self._seen.indexed_bytes:
            self._measure(self._seen or totals, totals)
            self._seen, self._worked_s = totals, 0.0
        self.is_long |= totals.waiting >= MANY_FILES
        share = self._current_share(totals)
        self._share = max(self._share, share) if totals.indexed_bytes else share
        self._correct_time_left(totals, step_s)

    @property
    def share(self) -> float:
        """Share of the work that is done, 0 to 1."""
        return self._share

    @property
    def tokens_per_second(self) -> int | None:
        """Tokens encoded per second; None before that was measured."""
        return max(1, round(self._tokens_per_s)) if self._is_measured else None

    @property
    def seconds_left(self) -> int | None:
        """Estimated time for the files that wait; None before the speed was measured."""
        return None if self._left_s is None else round(self._left_s)

    @property
    def _is_measured(self) -> bool:
        return self._measured_s >= MIN_S and self._n_measured >= MIN_MEASURED

    def _measure(self, before: Totals, now: Totals) -> None:
        """Take in the speed of the last files, if they were encoded."""
        n_bytes = now.indexed_bytes - before.indexed_bytes
        if now.segments_encoded <= before.segments_encoded or n_bytes < 0 or not self._worked_s:
            return
        # The mean at first, so that a slow first file does not count for long.
        share = self._worked_s / (self._measured_s + self._worked_s)
        weight = max(share, 1 - math.exp(-self._worked_s / MEMORY_S))
        bytes_per_s = n_bytes / self._worked_s
        tokens_per_s = max(0, now.tokens - before.tokens) / self._worked_s
        self._bytes_per_s += weight * (bytes_per_s - self._bytes_per_s)
        self._tokens_per_s += weight * (tokens_per_s - self._tokens_per_s)
        self._measured_s += self._worked_s
        self._n_measured += 1

    def _under_way_bytes(self, totals: Totals) -> float:
        """Return the estimated bytes that were read of files that are not in memory yet."""
        return min(self._bytes_per_s * self._worked_s, totals.waiting_bytes / 2)

    def _current_share(self, totals: Totals) -> float:
        total = totals.indexed_bytes + totals.waiting_bytes
        done = totals.indexed_bytes + self._under_way_bytes(totals)
        return done / total if total and totals.waiting_bytes else 0.0

    def _correct_time_left(self, totals: Totals, step_s: float) -> None:
        """Count the time left down, and bring it nearer to what is estimated now."""
        if not self._is_measured or not self._bytes_per_s:
            return
        estimate_s = (totals.waiting_bytes - self._under_way_bytes(totals)) / self._bytes_per_s
        if self._left_s is None:
            self._left_s = estimate_s
            return
        left_s = max(0.0, self._left_s - step_s)
        scale_s = step_s * max(left_s, LEAST_CORRECTED_S)
        correction_s = min(max(estimate_s - left_s, -FASTER * scale_s), SLOWER * scale_s)
        self._left_s = max(0.0, left_s + correction_s)


def percent(share: float) -> int:
    """Return the whole percents of a share; what is not done is not 100."""
    return math.floor(100 * share + 1e-6)


def as_text(share: float | None, seconds_left: int | None) -> str:
    """Return how far reading is, for people.

    Example: ``38 %, about 4 min left``.
    """
    done = f"{percent(share or 0.0)} %"
    return done if seconds_left is None else f"{done}, {time_as_text(seconds_left)} left"


def time_as_text(seconds: int) -> str:
    """Return a time in words, as exact as an estimate is."""
    if seconds < 60:
        return "less than a minute"
    minutes = math.ceil(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {round(minutes / 60)} h"
