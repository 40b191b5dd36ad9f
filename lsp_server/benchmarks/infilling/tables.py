"""Summary of a run as Markdown."""

from collections.abc import Mapping
from typing import Any

from longllama_code.research.evaluation.markdown import cell, table
from lsp_server.benchmarks.infilling.summary import ALL_MEASURES
from lsp_server.benchmarks.reporting.markdown import about, times_cell
from lsp_server.benchmarks.systems.conditions import FILE, LLAMA_CPP

NAMES = {
    "right": "first line right",
    "edit_similarity": "edit similarity",
    "identifier_match": "identifiers right",
    "identifier_f1": "identifier F1",
    "suggested": "suggested anything",
}
TIMES = {
    "seconds": "seconds",
    "key_seconds": "after a key",
    "change_seconds": "after a change",
}
NOTE = (
    "Means with 95 % intervals by bootstrap over repositories. Edit similarity: difflib. Times: "
    "median and 95th percentile, in seconds, everything taken in before: of the request; of one "
    "after a key that was not foreseen; of one after such a key and another file's change. Tokens: "
    "mean number in memory, or of the chunks in the prompt."
)
_SPLITS = {
    "by_kind": "By kind of instance",
    "by_language": "By language",
    "by_publication": "By when the code became public: before or after the model was trained",
}


def as_markdown(summary: Mapping[str, Any]) -> str:
    """Return a summary as tables."""
    parts = [f"## {summary['benchmark']}", about(summary), _figures(summary["all"])]
    subset = summary["with_published_results"]
    if subset["conditions"] and subset["published"]:
        parts.append("On the instances with results of all published runs:")
        parts.append(_figures(subset, subset["published"]))
    for name, title in _SPLITS.items():
        for group, figures in summary[name].items():
            parts += [f"{title}: {group or 'none'}", _figures(figures)]
    if summary["failed"]:
        parts.append(f"Failed, and counted as wrong: {len(summary['failed'])}.")
    parts += [*_stores(summary["all"]["conditions"]), NOTE]
    return "\n\n".join(parts) + "\n"


def _stores(conditions: Mapping[str, Any]) -> list[str]:
    """Return a line on the search of what this server had stored of repositories."""
    counts = [
        f"{name} {found['stores_searched']} of {found['repositories']}"
        for name, found in conditions.items()
        if name not in (FILE, LLAMA_CPP)
    ]
    about = "Repositories whose store was searched for answers before the first request"
    return [f"{about}: {', '.join(counts)}."] if counts else []


def _figures(figures: Mapping[str, Any], published: Mapping[str, Any] | None = None) -> str:
    header = ["condition", "n", *NAMES.values(), *TIMES.values(), "tokens"]
    rows = [_condition(name, found) for name, found in figures["conditions"].items()]
    for name, value in (published or {}).items():
        cells = [f"published {name}", str(value["count"]), cell(value, ".3f")]
        rows.append(cells + [""] * (len(header) - len(cells)))
    rows += [_difference(each, len(header)) for each in figures["differences"] if "right" in each]
    return table(header, rows)


def _condition(name: str, found: Mapping[str, Any]) -> list[str]:
    return [
        name,
        str(found["answers"]),
        *(cell(found[measure], ".3f") for measure in ALL_MEASURES),
        *(times_cell(found[of]) for of in TIMES),
        f"{found['tokens']:,.0f}",
    ]


def _difference(pairs: Mapping[str, Any], n_cells: int) -> list[str]:
    right = pairs["right"]
    cells = [cell(pairs[measure]["difference"], "+.3f") for measure in ALL_MEASURES]
    cells[0] += f", {right['won']} won, {right['lost']} lost"
    name, n = f"{pairs['of']} minus {pairs['base']}", str(right["difference"]["count"])
    return [name, n, *cells] + [""] * (n_cells - 2 - len(cells))
