"""Summary of typing sessions as Markdown."""

from collections.abc import Mapping
from typing import Any

from longllama_code.research.evaluation.markdown import cell, table
from lsp_server.benchmarks.reporting.markdown import about
from lsp_server.benchmarks.typing.summary import COMPARED

Json = Mapping[str, Any]

_SHARES = {
    "saved": "characters saved",
    "shown": "keys with a suggestion before the next",
    "right": "… right to its end",
    "right_for_a_word": "… right for a word",
    "interruptions": "interruptions per 100 keys",
}
_TIMES = {"ms": "ms to a suggestion, p50; p95", "asked_ms": "… asked of the model"}
_SPLITS = {
    "by_publication": "By when the commit became public: before or after the model was trained",
    "by_language": "By language",
}
_NOTE = (
    "A person types what real commits added, key by key, and accepts a suggestion that is right to "
    "its end (`whole`), or also for its first word (`word`). Characters saved: keys that need not "
    "be pressed, the one that accepts counted, of all that the text needs; a line's end with its "
    "indentation is one. Interruption: a suggestion was shown, and not even its first word is "
    "right. Times: of suggestions that came before the next key. Intervals: 95 %, bootstrap over "
    "repositories."
)


def as_markdown(summary: Json) -> str:
    """Return a summary as tables."""
    parts = ["## Typing", about(summary), rhythm_line(summary["rhythm"]), _counts(summary)]
    parts.append(_figures(summary["all"]))
    for name, title in _SPLITS.items():
        for group, figures in summary[name].items():
            parts += [f"{title}: {group or 'none'}", _figures(figures)]
    if summary["failed"]:
        parts.append(f"Failed, and left out: {len(summary['failed'])}.")
    parts.append(_NOTE)
    return "\n\n".join(parts) + "\n"


def rhythm_line(rhythm: Json) -> str:
    """Return the rhythm in words, with its slowdown."""
    slowdown = rhythm["slowdown"]
    how = "" if slowdown == 1 else f", all of it {slowdown:g} times slower"
    return (
        f"Rhythm: {rhythm['word_s']:g} s from key to key within a word, {rhythm['word_end_s']:g} s "
        f"elsewhere, {rhythm['line_end_s']:g} s at a line's end, {rhythm['reading_s']:g} s to read "
        f"and accept, {rhythm['start_s']:g} s before the first key{how} (slowdown {slowdown:g})."
    )


def _counts(summary: Json) -> str:
    return f"{summary['sessions']} sessions of {summary['repositories']} repositories."


def _figures(figures: Json) -> str:
    header = ["person", "condition", "n", *_SHARES.values(), *_TIMES.values()]
    header += ["known without the model", "CPU s per character saved"]
    parts = [table(header, [_side(each) for each in figures["sides"]])]
    if figures["comparisons"]:
        names = [_SHARES[name] for name in COMPARED]
        header = ["person", "difference", "n", *names, "ratio of characters saved"]
        parts.append(table(header, [_comparison(each) for each in figures["comparisons"]]))
    return "\n\n".join(parts)


def _side(side: Json) -> list[str]:
    spent = side["cpu_seconds_per_saved"]
    return [
        side["person"],
        side["condition"],
        str(side["sessions"]),
        *(cell(side[name], ".1f" if name == "interruptions" else ".1%") for name in _SHARES),
        *("; ".join(_times(side, name)) for name in _TIMES),
        cell(side["known"], ".0%"),
        "" if spent is None else f"{spent:.3f}",
    ]


def _times(side: Json, name: str) -> list[str]:
    return [found for q in ("p50", "p95") if (found := cell(side[f"{name}_{q}"], ".0f"))]


def _comparison(each: Json) -> list[str]:
    differences = each["differences"]
    return [
        each["person"],
        f"{each['of']} minus {each['base']}",
        str(each["sessions"]),
        *(
            cell(differences[name], "+.1f" if name == "interruptions" else "+.1%")
            for name in COMPARED
        ),
        cell(each["saved_ratio"], ".2f"),
    ]
