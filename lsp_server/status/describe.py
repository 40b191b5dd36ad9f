"""Status and explanations in words, for clients that can only show a message."""

from collections.abc import Mapping, Sequence
from typing import Any

LEAST_SHARE = 0.005
"""Least share that is told."""
MAX_SOURCES = 3
MAX_TEXT_CHARS = 60

REASONS: Mapping[str, str] = {
    "not_open": "the editor asked for a document that it has not opened",
    "out_of_step": "a change of the document was not understood; close it and open it again",
    "disabled": "everything is turned off; `longllama.toggle` turns it on",
    "language_disabled": "suggestions are turned off in this language (longllama.enableLanguages)",
    "glob_disabled": "suggestions are turned off in this file (longllama.disabledGlobs)",
    "secret_file": "the file's name says that it holds secrets",
    "manual_mode": "longllama.trigger.mode is manual; trigger it manually, or set it to auto",
    "inside_line": (
        "there is text behind the cursor on its line; trigger it manually, or raise "
        "longllama.trigger.maxLineSuffix"
    ),
    "inside_word": (
        "the cursor is inside a word; trigger it manually, or turn longllama.trigger.insideWord on"
    ),
    "after_bracket": (
        "the cursor is behind a closing bracket; trigger it manually, or turn "
        "longllama.trigger.afterClosingBracket on"
    ),
    "in_comment": (
        "the cursor is in a comment; turn longllama.completion.disableInComments off to have some"
    ),
    "snoozed": "suggestions are snoozed; `longllama.snooze` with 0 ends that",
    "superseded": "a newer request replaced this one",
    "shutting_down": "the server is shutting down",
    "engine_stopped": "the engine is not running",
    "engine_loading": "the model is being loaded",
    "engine_failed": "the model cannot be loaded; the status says why",
    "engine_restarting": "the engine ended unexpectedly and is being restarted",
    "engine_error": "the engine failed on this request; its log says why",
    "unknown_name": (
        "the model wrote a name that the module or class lacks, and none of its own fits; "
        "see longllama.completion.existingNames"
    ),
    "repeats_line": "the model only repeated the text behind the cursor; type on",
    "nothing_to_add": "the model had nothing to add here; type on",
    "unsure": (
        "the model was not sure enough; trigger it manually, or set "
        "longllama.trigger.minConfidence below the model's own limit (coder: 60)"
    ),
    "deadline": (
        "the model took too long; choose a smaller one, or raise longllama.completion.timeoutMs"
    ),
}
"""Meaning of the reason codes, and what to do about them."""


def reason(code: str) -> str:
    """Describe a reason code."""
    return REASONS.get(code, code.replace("_", " "))


def status(status: Mapping[str, Any]) -> str:
    """Describe a status of server and engine."""
    files, engine = status["files"], status["engine"]
    parts = [f"longllama is {status['phase']}: {status['message']}"]
    parts.append(
        f"{files['in_memory']} files in memory ({files['tokens']:,} tokens), "
        f"{files['waiting']} waiting, {files['left_out']} left out"
    )
    if engine is not None:
        compiled = ", compiled" if engine["compiled"] else ""
        parts.append(
            f"model {engine['model']} ({engine['dtype']} on {engine['device']}{compiled}"
            f"{threads(engine)})"
        )
        if engine["not_compiled"] is not None:
            parts.append(f"its layers are not compiled: {engine['not_compiled']}")
        others = [user["name"] for user in engine["users"] if not user["is_asking"]]
        parts += [f"shared with {', '.join(others)}"] if others else []
    if status["last_reason"] is not None:
        parts.append(f"no suggestion last time: {reason(status['last_reason'])}")
    return "; ".join(parts) + "."


def threads(engine: Mapping[str, Any]) -> str:
    """Say how many threads measured best; nothing if torch decides."""
    n_prompts, n_decoding = engine.get("prompt_threads"), engine.get("decoding_threads")
    return f"; threads: {n_prompts} for prompts, {n_decoding} for a token" if n_prompts else ""


def cleared(cleared: Mapping[str, Any]) -> str:
    """Describe what was removed from disk."""
    if cleared["problem"] is not None:
        return f"Nothing was removed: {cleared['problem']}."
    removed, kept = (cleared[name] / 1e6 for name in ("n_bytes", "kept_bytes"))
    rest = f" {kept:,.1f} MB that other windows use stay." if kept else ""
    return (
        f"{removed:,.1f} MB were removed from disk.{rest} Nothing is in memory, and indexing is "
        "paused; `longllama.resumeIndexing` reads the repository again."
    )


def statistics(found: Mapping[str, Any]) -> str:
    """Describe what became of suggestions."""
    total = found["total"]
    if not total["shown"]:
        return "No suggestion was counted yet."
    share = total["accepted"] / total["shown"]
    return (
        f"{total['shown']:,} suggestions were shown: {total['accepted']:,} accepted "
        f"({share:.0%}), {total['partly_accepted']:,} in part, {total['typed_out']:,} typed out, "
        f"{total['typed_over']:,} typed over. Nothing of this was sent anywhere; "
        "`longllama-lsp stats` has more."
    )


def cleared_statistics(cleared: Mapping[str, Any]) -> str:
    """Describe what was removed of the statistics."""
    n_removed = cleared["n_removed"]
    if n_removed is None:
        return "The statistics cannot be cleared; the status says why."
    return f"Cleared: {n_removed:,} suggestions that were counted. Counting goes on."


def explanation(explained: Mapping[str, Any] | None) -> str:
    """Describe where a suggestion came from, or why there was none."""
    if explained is None:
        return "There was no suggestion yet."
    if explained["reason"] is not None:
        return f"No suggestion: {reason(explained['reason'])}."
    definitions = explained.get("definitions", ())
    named = [each for each in definitions if each["is_named"]]
    lines = [
        f"{each['path']}:{each['first_line']} ({_with_share(each['name'], each.get('share'))})"
        for each in named
    ]
    lines += sources(explained["sources"])
    of_others = sum(each.get("share") or 0.0 for each in definitions if not each["is_named"])
    if of_others >= LEAST_SHARE:
        lines.append(f"definitions that it does not name ({of_others:.0%})")
    where = f"from {', '.join(lines)}" if lines else "from the text before the cursor alone"
    own = explained.get("ownShare")
    if lines and own is not None:
        where += f", the model itself and this file ({own:.0%})"
    timings = explained["timings"]
    total_ms = timings["prefill_ms"] + timings["decode_ms"]
    which = _which(explained.get("text"), is_stale=explained.get("stale", False))
    return f"{which} came {where}; {timings['generated_tokens']} tokens in {total_ms:.0f} ms."


def _which(text: str | None, *, is_stale: bool) -> str:
    """Name a suggestion by its first line."""
    suggestion = "An earlier suggestion" if is_stale else "The suggestion"
    first = (text or "").strip().partition("\n")[0]
    if not first:
        return suggestion
    shown = first if len(first) <= MAX_TEXT_CHARS else f"{first[:MAX_TEXT_CHARS]}…"
    return f"{suggestion} `{shown}`"


def _with_share(name: str, share: float | None) -> str:
    return name if share is None else f"{name}, {share:.0%}"


def sources(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines that a suggestion drew on most, such as ``lib.py:10-24 (61%)``."""
    return [
        f"{source['path']}:{source['first_line']}-{source['last_line']} ({source['mass']:.0%})"
        for source in found[:MAX_SOURCES]
    ]
