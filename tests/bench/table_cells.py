"""Cells and rows of tables about times, for the benchmarks in a real workbench."""

import statistics
from collections.abc import Iterable


def times_ms(times: Iterable[float | None]) -> tuple[str, str]:
    """Return the median and the 95th percentile of times in ms; empty if there are none.

    Args:
        times: the times; None for what never came, which does not count.
    """
    known = sorted(time for time in times if time is not None)
    if not known:
        return "", ""
    p95 = known[min(len(known) - 1, round(0.95 * len(known)))]
    return f"{statistics.median(known):.0f}", f"{p95:.0f}"


def row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
