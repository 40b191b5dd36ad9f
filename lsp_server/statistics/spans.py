"""The part of a text that differs between two versions of it."""

from collections.abc import Callable
from typing import NamedTuple

from longllama_code.texts import common_prefix_length


class Change(NamedTuple):
    """Replacement of one span of a text: everything outside of it is unchanged."""

    start: int
    end: int
    """End of the span in the text before."""
    end_now: int
    """End of the span in the text now."""

    def touches(self, start: int, end: int) -> bool:
        """Whether a span of the text before, or a place where both are equal, is next to it."""
        return self.start <= end and start <= self.end


def change_between(then: str, now: str) -> Change | None:
    """Return what changed between two versions of a text; None if they are equal."""
    if then == now:
        return None
    limit = min(len(then), len(now))
    start = common_prefix_length(then, now)
    left = limit - start
    n_end = _longest(left, lambda n: not n or then[-n:] == now[-n:])
    return Change(start, len(then) - n_end, len(now) - n_end)


def _longest(limit: int, holds: Callable[[int], bool]) -> int:
    """Return the greatest number up to a limit that a predicate holds for, and all below it."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
