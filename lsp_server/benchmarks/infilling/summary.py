"""Summary of a run: means with intervals, differences of conditions, and published runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

from longllama_code.research.evaluation.bootstrap import Interval
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.infilling.rows import Row
from lsp_server.benchmarks.infilling.scores import MEASURES
from lsp_server.benchmarks.reporting import statistics
from lsp_server.benchmarks.reporting.statistics import Paired, Times
from lsp_server.benchmarks.systems.conditions import COMPARED, FILE, LLAMA_CPP, REPOSITORY, SIMILAR

Json = dict[str, Any]

ALL_MEASURES = (*MEASURES, "suggested")
BASES = (REPOSITORY, FILE, SIMILAR, LLAMA_CPP)
"""Conditions that the others are compared with."""


def value_of(row: Row, measure: str) -> float:
    """Return a measure of one answer."""
    return float(bool(row.suggestion)) if measure == "suggested" else getattr(row, measure)


def mean(rows: Iterable[Row], measure: str) -> Interval | None:
    """Return the mean of a measure, with its interval."""
    return statistics.mean((row.repository, value_of(row, measure)) for row in rows)


def paired(rows: Sequence[Row], base: Sequence[Row], measure: str) -> Paired | None:
    """Return the difference of ``rows`` and ``base`` on the instances that both have."""
    by_instance = {row.instance: row for row in base}
    both = [(row, by_instance[row.instance]) for row in rows if row.instance in by_instance]
    return statistics.paired(
        [(row.repository, value_of(row, measure) - value_of(other, measure)) for row, other in both]
    )


def times(rows: Sequence[Row], of: str = "seconds") -> Times | None:
    """Return times of the answers that did not fail, where they were measured."""
    measured = [getattr(row, of) for row in rows if row.error is None]
    return statistics.times(seconds for seconds in measured if seconds is not None)


def published_runs(instances: Sequence[Instance]) -> tuple[list[str], set[str]]:
    """Return the names of published runs, and the instances with a result of every one."""
    names = sorted({name for instance in instances for name in instance.published_results})
    ids = {
        instance.id
        for instance in instances
        if names and all(instance.published_results.get(name) is not None for name in names)
    }
    return names, ids


def summarise(rows: Sequence[Row], instances: Sequence[Instance], about: Mapping[str, Any]) -> Json:
    """Return the summary of a run as plain values.

    Args:
        rows: the results; one that failed counts as wrong.
        instances: all instances of the data.
        about: benchmark, machine, model and settings.
    """
    names, ids = published_runs(instances)
    present = {row.instance for row in rows}
    return {
        **about,
        "instances": len(instances),
        "engines": sorted({row.engine for row in rows if row.engine}),
        "commits": sorted({row.commit for row in rows}),
        "all": _figures(rows),
        "with_published_results": {
            **_figures([row for row in rows if row.instance in ids]),
            "published": _published(names, ids & present, instances),
        },
        "by_kind": statistics.by_group(rows, lambda row: row.kind, _figures),
        "by_language": statistics.by_group(rows, lambda row: row.language, _figures),
        "by_publication": statistics.by_group(rows, lambda row: row.published, _figures),
        "failed": [asdict(row) for row in rows if row.error is not None],
    }


def _figures(rows: Sequence[Row]) -> Json:
    by_condition: dict[str, list[Row]] = {}
    for row in rows:
        by_condition.setdefault(row.condition, []).append(row)
    return {
        "conditions": {name: _condition(mine) for name, mine in by_condition.items()},
        "differences": [
            {"of": of, "base": base, **_difference(by_condition[of], by_condition[base])}
            for of, base in _pairs(by_condition)
        ],
    }


def _pairs(conditions: Iterable[str]) -> list[tuple[str, str]]:
    """Return which conditions are compared, each with those that follow it among the bases."""
    order = [*dict.fromkeys((*COMPARED, *conditions))]
    there = set(conditions)
    return [
        (of, base)
        for of, base in product(order, BASES)
        if {of, base} <= there and of != base and order.index(of) < order.index(base)
    ]


def _difference(rows: Sequence[Row], base: Sequence[Row]) -> Json:
    pairs = {measure: paired(rows, base, measure) for measure in ALL_MEASURES}
    return {measure: asdict(pair) for measure, pair in pairs.items() if pair is not None}


def _condition(rows: Sequence[Row]) -> Json:
    means = {measure: mean(rows, measure) for measure in ALL_MEASURES}
    took = {of: times(rows, of) for of in ("seconds", "key_seconds", "change_seconds")}
    return {
        "answers": len(rows),
        "failed": sum(row.error is not None for row in rows),
        "repositories": len({row.repository for row in rows}),
        "stores_searched": len({row.repository for row in rows if row.store_searched}),
        **{measure: asdict(found) for measure, found in means.items() if found is not None},
        **{of: asdict(found) if found else None for of, found in took.items()},
        "tokens": sum(row.tokens for row in rows) / len(rows),
        "confidence": _confidence(rows),
    }


def _confidence(rows: Sequence[Row]) -> Json:
    """Return the mean confidence of right and of wrong suggestions."""
    known = [row for row in rows if row.suggestion and row.confidence is not None]
    return {
        name: sum(row.confidence or 0.0 for row in group) / len(group)
        for name, group in (
            ("right", [row for row in known if row.right]),
            ("wrong", [row for row in known if not row.right]),
        )
        if group
    }


def _published(names: Sequence[str], ids: set[str], instances: Sequence[Instance]) -> Json:
    chosen = [instance for instance in instances if instance.id in ids]
    found = {
        name: statistics.mean(
            (each.repository, float(bool(each.published_results[name]))) for each in chosen
        )
        for name in names
    }
    return {name: asdict(value) for name, value in found.items() if value is not None}
