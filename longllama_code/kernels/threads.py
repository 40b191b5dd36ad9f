"""Rows of a kernel's work, shared between threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

LEAST_ROWS = 16
"""Of a thread: what is less is done before another thread has begun."""
LEAST_GAIN = 1.15
"""How much faster threads must be to be worth having: on cores that others use, they wait."""
N_TRIES = 5

Work = Callable[[int, int], None]
"""Does the rows from one up to another."""


class Threads:
    """The caller's thread, and others beside it.

    Args:
        n_threads: all of them.
    """

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = max(n_threads, 1)
        self._others = ThreadPoolExecutor(self.n_threads - 1, "kernels") if n_threads > 1 else None

    @classmethod
    def measured(cls, most: int, work: Work, n_rows: int) -> Threads:
        """As many as make some work faster here and now, at most ``most``: all, or one.

        Args:
            most: threads that may be used.
            work: compiled already.
            n_rows: of the work.
        """
        alone, together = cls(), cls(most)
        if together._others is None:
            return alone
        gain = _seconds(partial(alone.run, work, n_rows)) / _seconds(
            partial(together.run, work, n_rows)
        )
        if gain >= LEAST_GAIN:
            return together
        together._others.shutdown(wait=False)
        return alone

    def run(self, work: Work, n_rows: int) -> None:
        """Do all rows; return when they are done."""
        n_parts = min(self.n_threads, n_rows // LEAST_ROWS)
        if n_parts < 2 or self._others is None:
            work(0, n_rows)
            return
        ends = [n_rows * part // n_parts for part in range(n_parts + 1)]
        others = [
            self._others.submit(work, ends[part], ends[part + 1]) for part in range(1, n_parts)
        ]
        work(0, ends[1])
        for other in others:
            other.result()


def _seconds(work: Callable[[], None]) -> float:
    """The least of a few tries."""
    tries: list[float] = []
    for _ in range(N_TRIES):
        started = time.perf_counter()
        work()
        tries.append(time.perf_counter() - started)
    return min(tries)
