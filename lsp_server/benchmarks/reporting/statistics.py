"""Means with intervals, differences of pairs, and times.

Intervals are of 95 %, by bootstrap over repositories, which are drawn whole: instances of one
repository are not independent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longllama_code.research.evaluation.bootstrap import Interval, Share, interval

SEED = 1


@dataclass(frozen=True)
class Paired:
    """Difference between two conditions, instance by instance."""

    difference: Interval
    won: int
    """Number of instances that score higher under the first."""
    lost: int
    """Number of instances that score higher under the second."""


@dataclass(frozen=True)
class Times:
    """Seconds until an answer."""

    median: float
    p95: float


def mean(values: Iterable[tuple[str, float]]) -> Interval | None:
    """Return the mean of values, each with its repository; None if there are none."""
    by_repository: dict[str, list[float]] = {}
    for repository, value in values:
        by_repository.setdefault(repository, []).append(value)
    shares = [Share(sum(each), len(each)) for _, each in sorted(by_repository.items())]
    return interval(shares, SEED)


def paired(changes: Sequence[tuple[str, float]]) -> Paired | None:
    """Return the mean of differences, each with its repository; None if there are none."""
    difference = mean(changes)
    if difference is None:
        return None
    won, lost = (sum(sign * change > 0 for _, change in changes) for sign in (1, -1))
    return Paired(difference, won, lost)


def times(seconds: Iterable[float]) -> Times | None:
    """Return median and 95th percentile; None if nothing was measured."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    p95 = ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
    return Times(ordered[len(ordered) // 2], p95)
