"""Rules for where nothing is suggested, each with a reason code for status and logs."""

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
"""Characters that editors insert ahead of the cursor; a line's rest of only these is ignored."""


def refuse_trigger(line_prefix: str, line_suffix: str, trigger: Trigger) -> Refusal | None:
    """Return the reason why typing here requests no suggestion; None if it does.

    Args:
        line_prefix: text before the cursor on its line.
        line_suffix: text after the cursor on its line.
        trigger: the settings of automatic requests.
    """
    if trigger.mode != "auto":
        return "manual_mode"
    rest = line_suffix.strip()
    if len(rest) > trigger.max_line_suffix and not set(rest) <= CLOSERS:
        return "inside_line"
    # A completion would have to repeat the rest of the word.
    if not trigger.inside_word and (line_suffix[:1].isalnum() or line_suffix[:1] == "_"):
        return "inside_word"
    if not trigger.after_closing_bracket and line_prefix.endswith(BRACKETS):
        return "after_bracket"
    return None


def refuse_file(name: str, disabled_globs: Sequence[str]) -> Refusal | None:
    """Return the reason why nothing is suggested in a file; None if something may be.

    Args:
        name: path of the file, relative to its workspace folder.
        disabled_globs: patterns in gitignore syntax.
    """
    if is_secret(name):
        return "secret_file"
    is_disabled = bool(disabled_globs) and _globs(tuple(disabled_globs)).match_file(name)
    return "glob_disabled" if is_disabled else None


@lru_cache(maxsize=8)
def _globs(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)
