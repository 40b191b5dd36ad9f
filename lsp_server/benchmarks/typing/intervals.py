"""Shares, quantiles and their comparison, with 95 % intervals by bootstrap over repositories.

Repositories are drawn whole, as sessions of one repository are not independent. For a comparison
of two conditions the same repositories are drawn for both.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from longllama_code.research.evaluation.bootstrap import LEVEL, Interval

N_RESAMPLES = 2000
N_QUANTILE_RESAMPLES = 400
SEED = 1

Counts = Mapping[str, tuple[float, float]]
"""What to divide and by what, by repository."""


def share(counts: Counts) -> Interval | None:
    """Return one sum divided by another; None if the divisor is 0."""
    first = np.array([counts[name] for name in sorted(counts)], np.float64).reshape(-1, 2)
    total, count = first.sum(0)
    if not count:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = _resampled(first)
        return _interval(total / count, sums[:, 0] / sums[:, 1], len(first), count)


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
        return _interval(value, _compared(_resampled(both), kind), len(both), both[:, 1].sum())


def quantile(values: Mapping[str, Sequence[float]], q: float) -> Interval | None:
    """Return a quantile of all values, which are given by repository; None if there are none."""
    groups = [np.array(values[name], np.float64) for name in sorted(values) if len(values[name])]
    if not groups:
        return None
    every = np.concatenate(groups)
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(len(groups), size=(N_QUANTILE_RESAMPLES, len(groups)))
    found = [np.quantile(np.concatenate([groups[index] for index in row]), q) for row in drawn]
    return _interval(float(np.quantile(every, q)), np.array(found), len(groups), len(every))


def _compared(
    sums: np.ndarray[tuple[int, int], np.dtype[np.float64]], kind: Literal["difference", "ratio"]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    shares, bases = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]
    return shares - bases if kind == "difference" else shares / bases


def _resampled(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the sums of rows drawn with replacement, (resamples, columns)."""
    drawn = np.random.default_rng(SEED).integers(len(rows), size=(N_RESAMPLES, len(rows)))
    return rows[drawn].sum(1)


def _interval(
    value: float,
    resampled: np.ndarray[tuple[int], np.dtype[np.float64]],
    n_groups: int,
    count: float,
) -> Interval:
    """Return a value with the percentiles of its resampled ones; of one group it has none."""
    defined = resampled[np.isfinite(resampled)]
    if n_groups < 2 or not len(defined):
        return Interval(float(value), None, None, int(count))
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high), int(count))
