"""Confidence intervals by bootstrap over files: lines of one file are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Share:
    """Contribution of one file to a mean."""

    total: float
    count: int


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% confidence interval, which needs two files or more."""

    mean: float
    low: float | None
    high: float | None
    count: int
    """Number of lines or tokens in the mean."""


def interval(shares: Sequence[Share], seed: int) -> Interval | None:
    """Return the mean over all that files contribute, and the percentiles of resampled means.

    Files are drawn with replacement, whole; a file with more lines weighs more, as it does in the
    mean. None if nothing was counted.
    """
    shares = [share for share in shares if share.count]
    if not shares:
        return None
    totals = np.array([share.total for share in shares], dtype=np.float64)
    counts = np.array([share.count for share in shares], dtype=np.int64)
    mean, n = float(totals.sum() / counts.sum()), int(counts.sum())
    if len(shares) < 2:
        return Interval(mean, None, None, n)
    drawn = np.random.default_rng(seed).integers(len(shares), size=(N_RESAMPLES, len(shares)))
    return with_percentiles(mean, totals[drawn].sum(1) / counts[drawn].sum(1), n)


def with_percentiles(
    value: float, resampled: np.ndarray[tuple[int], np.dtype[np.float64]], count: int
) -> Interval:
    """Return a value with the interval that holds the middle 95 % of its resampled ones."""
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high), count)
