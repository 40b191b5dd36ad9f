"""Status, explanation and diagnosis in words, for clients that show no more than a message."""

from collections.abc import Mapping, Sequence
from typing import Any

MAX_SOURCES = 3

REASONS: Mapping[str, str] = {
    "disabled": "everything is turned off; `longllama.toggle` turns it on",
    "language_disabled": "suggestions are turned off in this language (longllama.enableLanguages)",
    "glob_disabled": "suggestions are turned off in this file (longllama.disabledGlobs)",
    "secret_file": "the file's name says that it holds secrets",
    "manual_mode": "longllama.trigger.mode is manual, and the request was automatic",
    "inside_line": "the cursor stands before other text of its line; ask for it by hand",
    "inside_word": "the cursor stands inside a word; see longllama.trigger.insideWord",
    "after_bracket": (
        "the cursor stands behind a closing bracket; see longllama.trigger.afterClosingBracket"
    ),
    "superseded": "a newer request took its place",
    "shutting_down": "the server is about to end",
    "engine_stopped": "the engine is not running",
    "engine_loading": "the model is being loaded",
    "engine_failed": "the model cannot be loaded; the status says why",
    "engine_restarting": "the engine ended unexpectedly and is started again",
    "engine_error": "the engine failed over this request; its log says why",
    "repeats_line": "the model only repeated what stands behind the cursor",
}
"""What the reason codes of the server itself mean; the engine's own speak for themselves."""


def reason(code: str) -> str:
    """A reason for no suggestion."""
    return REASONS.get(code, code.replace("_", " "))


def status(status: Mapping[str, Any]) -> str:
    """A status, with what the engine holds."""
    files, engine = status["files"], status["engine"]
    parts = [f"longllama is {status['phase']}: {status['message']}"]
    parts.append(
        f"{files['in_memory']} files in memory ({files['tokens']:,} tokens), "
        f"{files['waiting']} waiting, {files['left_out']} left out"
    )
    if engine is not None:
        compiled = ", compiled" if engine["compiled"] else ""
        parts.append(f"model {engine['model']} ({engine['dtype']} on {engine['device']}{compiled})")
        if engine["not_compiled"] is not None:
            parts.append(f"its layers are not compiled: {engine['not_compiled']}")
        others = [user["name"] for user in engine["users"] if not user["is_asking"]]
        parts += [f"shared with {', '.join(others)}"] if others else []
    if status["last_reason"] is not None:
        parts.append(f"no suggestion last time: {reason(status['last_reason'])}")
    return "; ".join(parts) + "."


def explanation(explained: Mapping[str, Any] | None) -> str:
    """Where a suggestion came from, or why there was none."""
    if explained is None:
        return "There was no suggestion yet."
    if explained["reason"] is not None:
        return f"No suggestion: {reason(explained['reason'])}."
    named = [each for each in explained.get("definitions", ()) if each["is_named"]]
    lines = [f"{each['path']}:{each['first_line']} ({each['name']})" for each in named]
    lines += sources(explained["sources"])
    where = f"from {', '.join(lines)}" if lines else "from the text before the cursor alone"
    timings = explained["timings"]
    total_ms = timings["prefill_ms"] + timings["decode_ms"]
    return (
        f"The suggestion came {where}; {timings['generated_tokens']} tokens in {total_ms:.0f} ms."
    )


def sources(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines that a suggestion drew on most.

    Example: ``lib.py:10-24 (61%)``.
    """
    return [
        f"{source['path']}:{source['first_line']}-{source['last_line']} ({source['mass']:.0%})"
        for source in found[:MAX_SOURCES]
    ]
