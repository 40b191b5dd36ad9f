"""Summary of a run: means with intervals, differences of conditions, and published runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from longllama_code.research.evaluation.bootstrap import Interval, Share, interval
from lsp_server.benchmarks.instances import Instance
from lsp_server.benchmarks.rows import Row
from lsp_server.benchmarks.scores import MEASURES

Json = dict[str, Any]
SEED = 1
ALL_MEASURES = (*MEASURES, "suggested")
_NAMES = {
    "right": "first line right",
    "edit_similarity": "edit similarity",
    "identifier_match": "identifiers right",
    "identifier_f1": "identifier F1",
    "suggested": "suggested anything",
}


@dataclass(frozen=True)
class Paired:
    """Difference between two conditions, instance by instance."""

    difference: Interval
    won: int
    """Number of instances that are right only under the first."""
    lost: int
    """Number of instances that are right only under the second."""


@dataclass(frozen=True)
class Times:
    """Seconds until an answer."""

    median: float
    p95: float


def value_of(row: Row, measure: str) -> float:
    """Return a measure of one answer."""
    return float(bool(row.suggestion)) if measure == "suggested" else getattr(row, measure)


def mean(rows: Iterable[Row], measure: str) -> Interval | None:
    """Return a mean with its interval, by bootstrap over whole repositories."""
    return _interval((row.repository, value_of(row, measure)) for row in rows)


def _interval(values: Iterable[tuple[str, float]]) -> Interval | None:
    by_repository: dict[str, list[float]] = {}
    for repository, value in values:
        by_repository.setdefault(repository, []).append(value)
    shares = [Share(sum(each), len(each)) for _, each in sorted(by_repository.items())]
    return interval(shares, SEED)


def paired(rows: Sequence[Row], base: Sequence[Row], measure: str) -> Paired | None:
    """Return the difference of ``rows`` and ``base`` on the instances that both have."""
    by_instance = {row.instance: row for row in base}
    both = [(row, by_instance[row.instance]) for row in rows if row.instance in by_instance]
    changes = [
        (row.repository, value_of(row, measure) - value_of(other, measure)) for row, other in both
    ]
    difference = _interval(changes)
    if difference is None:
        return None
    won, lost = (sum(sign * change > 0 for _, change in changes) for sign in (1, -1))
    return Paired(difference, won, lost)


def times(rows: Sequence[Row]) -> Times | None:
    """Return the times of the answers that did not fail."""
    ordered = sorted(row.seconds for row in rows if row.error is None)
    if not ordered:
        return None
    return Times(
        ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
    )


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
        about: machine, model and settings.
    """
    by_condition: dict[str, list[Row]] = {}
    for row in rows:
        by_condition.setdefault(row.condition, []).append(row)
    names, ids = published_runs(instances)
    subset = {
        condition: [row for row in mine if row.instance in ids]
        for condition, mine in by_condition.items()
    }
    present = {row.instance for row in rows}
    return {
        **about,
        "instances": len(instances),
        "engines": sorted({row.engine for row in rows if row.engine}),
        "commits": sorted({row.commit for row in rows}),
        "all": _figures(by_condition),
        "with_published_results": {
            **_figures(subset),
            "published": _published(names, ids & present, instances),
        },
        "failed": [asdict(row) for row in rows if row.error is not None],
    }


def _figures(by_condition: Mapping[str, Sequence[Row]]) -> Json:
    conditions = {name: _condition(mine) for name, mine in by_condition.items() if mine}
    found: Json = {"conditions": conditions}
    if {"file", "repository"} <= conditions.keys():
        pairs = {
            measure: paired(by_condition["repository"], by_condition["file"], measure)
            for measure in ALL_MEASURES
        }
        found["repository_minus_file"] = {
            measure: asdict(pair) for measure, pair in pairs.items() if pair is not None
        }
    return found


def _condition(rows: Sequence[Row]) -> Json:
    means = {measure: mean(rows, measure) for measure in ALL_MEASURES}
    took = times(rows)
    return {
        "answers": len(rows),
        "failed": sum(row.error is not None for row in rows),
        "repositories": len({row.repository for row in rows}),
        **{measure: asdict(found) for measure, found in means.items() if found is not None},
        "seconds": asdict(took) if took else None,
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
        name: _interval(
            (each.repository, float(bool(each.published_results[name]))) for each in chosen
        )
        for name in names
    }
    return {name: asdict(value) for name, value in found.items() if value is not None}


def as_markdown(summary: Mapping[str, Any]) -> str:
    """Return a summary as tables."""
    parts = ["## CrossCodeEval", _about(summary), _table_of(summary["all"], {})]
    subset = summary["with_published_results"]
    if subset["conditions"] and subset["published"]:
        parts.append("On the instances with results of all published runs:")
        parts.append(_table_of(subset, subset["published"]))
    if summary["failed"]:
        parts.append(f"Failed, and counted as wrong: {len(summary['failed'])}.")
    parts.append(
        "Means with 95 % intervals by bootstrap over repositories. Edit similarity: difflib. "
        "Times: median and 95th percentile of requests, after indexing."
    )
    return "\n\n".join(parts) + "\n"


def _about(summary: Mapping[str, Any]) -> str:
    machine = summary["machine"]
    lines = [
        f"- model: {', '.join(summary['engines']) or summary['model']}"
        + (f", sha256 {summary['weights_sha256']}" if summary["weights_sha256"] else ""),
        f"- code: {', '.join(summary['commits'])}",
        f"- machine: {machine['cpu']}, {machine['cores']} cores ({' '.join(machine['flags'])}), "
        f"{machine['memory_gb']} GB; load {machine['load']} at the end",
        f"- settings: `{summary['settings']}`",
    ]
    return "\n".join(lines)


def _table_of(figures: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    header = ["condition", "n", *_NAMES.values(), "seconds", "tokens in memory"]
    lines = [header, ["---"] * len(header)]
    for condition, found in figures["conditions"].items():
        took = found["seconds"]
        lines.append(
            [
                condition,
                str(found["answers"]),
                *(_cell(found[measure], ".3f") for measure in ALL_MEASURES),
                f"{took['median']:.2f}, {took['p95']:.2f}" if took else "",
                f"{found['tokens']:,.0f}",
            ]
        )
    for name, value in published.items():
        lines.append([f"published {name}", str(value["count"]), _cell(value, ".3f"), *[""] * 6])
    if pairs := figures.get("repository_minus_file"):
        right = pairs["right"]
        cells = [_cell(pairs[measure]["difference"], "+.3f") for measure in ALL_MEASURES]
        cells[0] += f", {right['won']} won, {right['lost']} lost"
        n = str(right["difference"]["count"])
        lines.append(["repository minus file", n, *cells, "", ""])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Mapping[str, Any], form: str) -> str:
    text = format(value["mean"], form)
    if value["low"] is None:
        return text
    return f"{text} [{format(value['low'], form)}, {format(value['high'], form)}]"
