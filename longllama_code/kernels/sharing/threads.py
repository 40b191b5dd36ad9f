"""Threads that share the rows of a kernel's work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
    def measured(cls, most: int, work: Callable[[Threads], object]) -> Threads:
        """Measure some work with one thread, two, four and so on; return those that do it best.

        More threads are taken only where they are faster by ``LEAST_GAIN`` than fewer.

        Args:
            most: most threads.
            work: the work, compiled already.
        """
        tried = [cls(number) for number in _numbers(most)]
        best, *others = zip(
            least_seconds([partial(work, each) for each in tried]), tried, strict=True
        )
        for other in others:
            if best[0] >= LEAST_GAIN * other[0]:
                best = other
        for each in tried:
            if each is not best[1]:
                each._end()
        return best[1]

    def _end(self) -> None:
        if self._others is not None:
            self._others.shutdown(wait=False)

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


def _numbers(most: int) -> list[int]:
    """Return the numbers of threads to try: one, its doubles, and the most."""
    doubles = [1 << power for power in range(max(most, 1).bit_length())]
    return sorted({*doubles, max(most, 1)})


def least_seconds(works: Sequence[Callable[[], object]]) -> list[float]:
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
