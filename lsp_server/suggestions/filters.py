"""Which cursors are worth a suggestion, and what of a suggestion is worth showing.

Pure functions of texts. Every refusal has a reason code, shown in status and logs.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from pathspec import GitIgnoreSpec

from longllama_code.source_files.secret_names import is_secret
from lsp_server.settings.declarations import Trigger

Refusal = Literal[
    "disabled",
    "language_disabled",
    "glob_disabled",
    "secret_file",
    "manual_mode",
    "inside_line",
    "inside_word",
    "after_bracket",
    "in_comment",
]

BRACKETS = (")", "]", "}")
CLOSERS = frozenset(")]}>\"'`,;: \t")


def refuse_trigger(line_prefix: str, line_suffix: str, trigger: Trigger) -> Refusal | None:
    """Why typing at a place of a line is not worth a suggestion; None if it is."""
    if trigger.mode != "auto":
        return "manual_mode"
    rest = line_suffix.strip()
    if len(rest) > trigger.max_line_suffix and not set(rest) <= CLOSERS:
        return "inside_line"
    # What follows would have to be written again.
    if not trigger.inside_word and (line_suffix[:1].isalnum() or line_suffix[:1] == "_"):
        return "inside_word"
    if not trigger.after_closing_bracket and line_prefix.endswith(BRACKETS):
        return "after_bracket"
    return None


def refuse_file(name: str, disabled_globs: Sequence[str]) -> Refusal | None:
    """Why nothing is suggested in a file, by its path below the workspace folder."""
    if is_secret(name):
        return "secret_file"
    is_disabled = bool(disabled_globs) and _globs(tuple(disabled_globs)).match_file(name)
    return "glob_disabled" if is_disabled else None


@lru_cache(maxsize=8)
def _globs(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)


def trim_overlap(text: str, line_suffix: str) -> str:
    """A suggestion without the end that the rest of the line already has.

    Example: ``get(key))`` before ``)`` becomes ``get(key)``; before an empty line end, nothing
    changes.
    """
    suffix = line_suffix.rstrip()
    if not suffix or "\n" in text:
        return text
    for length in range(min(len(text), len(suffix)), 0, -1):
        kept, removed = text[:-length], text[-length:]
        if suffix.startswith(removed) and not _opens(kept, removed):
            return kept
    return text


def _opens(kept: str, removed: str) -> bool:
    """Whether removing a closer would leave a bracket open that the suggestion itself opened."""
    pairs = {")": "(", "]": "[", "}": "{"}
    return any(
        kept.count(opener) > kept.count(closer)
        for closer, opener in pairs.items()
        if closer in removed
    )
