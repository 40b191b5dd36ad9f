"""Threads that share the rows of a kernel's work."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial

from longllama_code.kernels.sharing.helpers import Helpers

LEAST_ROWS = 16
"""Least rows of a thread; fewer are done before another thread has started."""
LEAST_GAIN = 1.15
"""Speed-up from which several threads are used; on busy cores they only wait."""
LEAST_TRIES, MOST_TRIES, TRYING_S = 3, 20, 0.1

Work = Callable[[int, int], None]
"""Function that processes rows from a first one up to an end."""


class Threads:
    """The caller's thread, and a pool of others.

    Args:
        n_threads: number of threads, the caller's included.
    """

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = max(n_threads, 1)
        self._others = ThreadPoolExecutor(self.n_threads - 1, "kernels") if n_threads > 1 else None

    @classmethod
    def measured(cls, most: int, work: Work, n_rows: int) -> Threads:
        """Measure some work, and return ``most`` threads if they are faster than one, or else one.

        Args:
            most: most threads.
            work: the work, compiled already.
            n_rows: its rows.
        """
        alone, together = cls(), cls(most)
        if together._others is None:
            return alone
        runs = [partial(threads.run, work, n_rows) for threads in (alone, together)]
        by_one, by_all = _seconds(runs)
        if by_one >= LEAST_GAIN * by_all:
            return together
        together._others.shutdown(wait=False)
        return alone

    @cached_property
    def helpers(self) -> Helpers:
        """Threads that share work that is too short for ``run``."""
        return Helpers(self.n_threads - 1)

    def run(self, work: Work, n_rows: int) -> None:
        """Process all rows; return when they are done."""
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


ALONE = Threads()


def _seconds(works: list[Callable[[], None]]) -> list[float]:
    """Return the least time of each work, run in turn so that other load affects all alike."""
    least, began = [float("inf")] * len(works), time.perf_counter()
    for number in range(1, MOST_TRIES + 1):
        for place, work in enumerate(works):
            started = time.perf_counter()
            work()
            least[place] = min(least[place], time.perf_counter() - started)
        if number >= LEAST_TRIES and time.perf_counter() - began > TRYING_S:
            break
    return least
