"""Rules for where nothing is suggested, each with a reason code for status and logs."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from longllama_code.source_files.patterns import FilePatterns
from longllama_code.source_files.secret_names import is_secret_in
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
"""Characters that editors insert behind the cursor; a line's rest of only these is ignored."""
MAX_FOLDERS_ABOVE = 64
"""Folders above a file outside of all workspace folders that patterns are tried in."""


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


class FilePlace(NamedTuple):
    """Where a file is, for rules about its name."""

    folder: str
    """Absolute path of its workspace folder, with forward slashes; empty outside of all."""
    name: str
    """Path relative to the folder, or whatever path of it is known."""


def refuse_file(places: Iterable[FilePlace], disabled_globs: Sequence[str]) -> Refusal | None:
    """Return the reason why nothing is suggested in a file; None if something may be.

    Args:
        places: of the file, whatever the scheme of its document, and of what it links to.
        disabled_globs: patterns in gitignore syntax, relative to workspace folders. Outside of
            all, they are tried in every folder above the file.
    """
    return _refuse_file(tuple(places), tuple(disabled_globs))


@lru_cache(maxsize=64)  # every key asks the same again
def _refuse_file(places: tuple[FilePlace, ...], disabled_globs: tuple[str, ...]) -> Refusal | None:
    if any(is_secret_in(place.folder, place.name) for place in places):
        return "secret_file"
    if disabled_globs:
        globs = _globs(disabled_globs)
        if any(globs.names(name) for place in places for name in _names(place)):
            return "glob_disabled"
    return None


def _names(place: FilePlace) -> Iterator[str]:
    """Yield the paths of a file that patterns are compared with."""
    parts = place.name.strip("/").split("/")
    yield "/".join(parts)
    if not place.folder:
        tail = parts[1:][-MAX_FOLDERS_ABOVE:]
        yield from ("/".join(tail[start:]) for start in range(len(tail)))


@lru_cache(maxsize=8)
def _globs(patterns: tuple[str, ...]) -> FilePatterns:
    return FilePatterns(patterns)
