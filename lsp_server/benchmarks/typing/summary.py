"""Summary of typing sessions: what suggestions saved, how often they were right, and how fast."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from longllama_code.research.evaluation.bootstrap import Interval
from lsp_server.benchmarks.reporting.statistics import Counts, by_group, compare, quantile, share
from lsp_server.benchmarks.systems import conditions
from lsp_server.benchmarks.typing.rows import Row
from lsp_server.benchmarks.typing.typist import Key

Json = dict[str, Any]
Count = Callable[[Row], tuple[float, int]]

MEASURES: dict[str, Count] = {
    "saved": lambda row: (row.saved, row.characters),
    "shown": lambda row: (_number(row, _is_shown), len(row.keys)),
    "right": lambda row: (_number(row, lambda key: key.right_to_end), _number(row, _is_shown)),
    "right_for_a_word": lambda row: (
        _number(row, lambda key: key.right_for_a_word),
        _number(row, _is_shown),
    ),
    "interruptions": lambda row: (
        100 * _number(row, lambda key: key.is_interruption),
        len(row.keys),
    ),
    "overtaken": lambda row: (_number(row, lambda key: key.overtaken), len(row.keys)),
    "known": lambda row: (
        _number(row, lambda key: key.known and _is_shown(key)),
        _number(row, _is_shown),
    ),
    "failed_requests": lambda row: (_number(row, lambda key: key.failed), len(row.keys)),
}
"""What is counted, and the number of what it is a share of; interruptions are per 100 keys."""
COMPARED = ("saved", "shown", "right", "interruptions")
QUANTILES = {"p50": 0.5, "p95": 0.95}
TIMES: dict[str, Callable[[Key], bool]] = {
    "ms": lambda key: _is_shown(key),
    "asked_ms": lambda key: _is_shown(key) and not key.known,
}
"""Which suggestions' times count: all, and those asked of the model."""


def summarise(rows: Sequence[Row], about: Mapping[str, Any]) -> Json:
    """Return the summary of a run as plain values.

    Args:
        rows: the results; those with errors are left out and named.
        about: machine, model, settings, and the rhythm with its slowdown.
    """
    good = [row for row in rows if row.error is None]
    return {
        **about,
        "sessions": len({row.session for row in rows}),
        "repositories": len({row.repository for row in rows}),
        "engines": sorted({row.engine for row in good if row.engine}),
        "commits": sorted({row.commit for row in rows}),
        "all": _figures(good),
        "by_publication": by_group(good, lambda row: row.published, _figures),
        "by_language": by_group(good, lambda row: row.language, _figures),
        "failed": [asdict(row) for row in rows if row.error is not None],
    }


def shown_times(rows: Iterable[Row], of: str) -> dict[str, list[float]]:
    """Return the milliseconds to suggestions that were shown, by repository.

    Args:
        rows: the results.
        of: a name in `TIMES`.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        times = [key.ms for key in row.keys if TIMES[of](key)]
        found.setdefault(row.repository, []).extend(times)
    return found


def measure(rows: Iterable[Row], name: str) -> Interval | None:
    """Return a measure of `MEASURES` over rows, with its interval."""
    return share(_counts(rows, name))


def _figures(rows: Sequence[Row]) -> Json:
    sides: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        sides.setdefault((row.person, row.condition), []).append(row)
    return {
        "sides": [
            {"person": person, "condition": condition, **_side(mine)}
            for (person, condition), mine in sides.items()
        ],
        "comparisons": [
            {"person": one[0], "of": one[1], "base": other[1], **_comparison(*both)}
            for one, other in combinations(sorted(sides, key=_rank), 2)
            if one[0] == other[0] and (both := _paired(sides[one], sides[other]))[0]
        ],
    }


def _rank(side: tuple[str, str]) -> int:
    """Return the place of a side, person and condition, in the order of comparison."""
    order, (_, condition) = conditions.COMPARED, side
    return order.index(condition) if condition in order else len(order)


def _side(rows: Sequence[Row]) -> Json:
    times = {
        f"{of}_{name}": _plain(quantile(shown_times(rows, of), q))
        for of in TIMES
        for name, q in QUANTILES.items()
    }
    return {
        "sessions": len(rows),
        "characters": sum(row.characters for row in rows),
        "keys": sum(row.pressed for row in rows),
        **{name: _plain(measure(rows, name)) for name in MEASURES},
        **times,
        "seconds": round(sum(row.seconds for row in rows), 1),
        "cpu_seconds_per_saved": _cpu_seconds_per_saved(rows),
        "tokens": sum(row.tokens for row in rows) / len(rows),
    }


def _cpu_seconds_per_saved(rows: Sequence[Row]) -> float | None:
    """Return the CPU seconds for each character saved; None if unknown, or nothing was saved."""
    spent = [row.cpu_seconds for row in rows if row.cpu_seconds is not None]
    saved = sum(row.saved for row in rows)
    return sum(spent) / saved if len(spent) == len(rows) and saved > 0 else None


def _paired(rows: Sequence[Row], base: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows of the sessions that both have."""
    both = {row.session for row in rows} & {row.session for row in base}
    return [row for row in rows if row.session in both], [
        row for row in base if row.session in both
    ]


def _comparison(rows: Sequence[Row], base: Sequence[Row]) -> Json:
    differences = {
        name: _plain(compare(_counts(rows, name), _counts(base, name), "difference"))
        for name in COMPARED
    }
    ratio = compare(_counts(rows, "saved"), _counts(base, "saved"), "ratio")
    return {"sessions": len(rows), "differences": differences, "saved_ratio": _plain(ratio)}


def _counts(rows: Iterable[Row], name: str) -> Counts:
    found: dict[str, tuple[float, int]] = {}
    for row in rows:
        total, count = found.get(row.repository, (0.0, 0))
        more, more_count = MEASURES[name](row)
        found[row.repository] = total + more, count + more_count
    return found


def _number(row: Row, holds: Callable[[Key], bool]) -> int:
    return sum(holds(key) for key in row.keys)


def _is_shown(key: Key) -> bool:
    return bool(key.shown)


def _plain(value: Interval | None) -> Json | None:
    return None if value is None else asdict(value)
