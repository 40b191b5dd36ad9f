"""Means, shares and quantiles, how they differ between conditions, and times.

Intervals are of 95 %, by bootstrap over repositories, which are drawn whole: what comes from one
repository is not independent. To compare two conditions the same repositories are drawn for both.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from longllama_code.research.evaluation.bootstrap import (
    N_RESAMPLES,
    Interval,
    Share,
    interval,
    with_percentiles,
)

SEED = 1
N_QUANTILE_RESAMPLES = 400

Row = TypeVar("Row")
Counts = Mapping[str, tuple[float, int]]
"""What to divide and by what, by repository."""
Values = np.ndarray[tuple[int], np.dtype[np.float64]]


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


def by_group(
    rows: Sequence[Row],
    group: Callable[[Row], str],
    figures: Callable[[Sequence[Row]], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return figures of each group of rows; none if there is only one group."""
    groups = sorted({group(row) for row in rows})
    if len(groups) < 2:
        return {}
    return {name: figures([row for row in rows if group(row) == name]) for name in groups}


def mean(values: Iterable[tuple[str, float]]) -> Interval | None:
    """Return the mean of values, each with its repository; None if there are none."""
    counts: dict[str, tuple[float, int]] = {}
    for repository, value in values:
        total, count = counts.get(repository, (0.0, 0))
        counts[repository] = total + value, count + 1
    return share(counts)


def share(counts: Counts) -> Interval | None:
    """Return one sum divided by another; None if the divisor is 0."""
    return interval([Share(*counts[name]) for name in sorted(counts)], SEED)


def compare(counts: Counts, base: Counts, kind: Literal["difference", "ratio"]) -> Interval | None:
    """Return the difference or the ratio of two shares, over the repositories that both have.

    None if it is not defined, as for a ratio to nothing.
    """
    names = sorted(counts.keys() & base.keys())
    both = np.array([(*counts[name], *base[name]) for name in names], np.float64).reshape(-1, 4)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _compared(both.sum(0, keepdims=True), kind)[0]
        if not np.isfinite(value):
            return None
        sums = both[_drawn(len(both), N_RESAMPLES)].sum(1)
        return _interval(value, _compared(sums, kind), int(both[:, 1].sum()))


def quantile(values: Mapping[str, Sequence[float]], q: float) -> Interval | None:
    """Return a quantile of all values, which are given by repository; None if there are none."""
    groups = [np.array(values[name], np.float64) for name in sorted(values) if len(values[name])]
    if not groups:
        return None
    every = np.concatenate(groups)
    drawn = _drawn(len(groups), N_QUANTILE_RESAMPLES)
    found = [np.quantile(np.concatenate([groups[index] for index in row]), q) for row in drawn]
    return _interval(float(np.quantile(every, q)), np.array(found), len(every))


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


def _compared(
    sums: np.ndarray[tuple[int, int], np.dtype[np.float64]], kind: Literal["difference", "ratio"]
) -> Values:
    shares, bases = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]
    return shares - bases if kind == "difference" else shares / bases


def _drawn(n: int, n_resamples: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return which repositories are drawn, with replacement, (resamples, n); of one none are."""
    return np.random.default_rng(SEED).integers(n, size=(n_resamples if n > 1 else 0, n))


def _interval(value: float, resampled: Values, count: int) -> Interval:
    """Return a value with its interval; without one if no resampled value is defined."""
    defined = resampled[np.isfinite(resampled)]
    if not len(defined):
        return Interval(float(value), None, None, count)
    return with_percentiles(float(value), defined, count)
