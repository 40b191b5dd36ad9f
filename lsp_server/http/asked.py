"""A request for a suggestion, whichever way it was asked for."""

from dataclasses import dataclass, field

from lsp_server.suggestions.cursor_context import Limits

MAX_PATH_CHARS = 4_096


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Text around a cursor, where it may be from, and what the answer must keep to."""

    before: str
    """Text before the cursor; it may begin in the middle of the file."""
    after: str
    """Text after the cursor; it may end before the file does."""
    file: str = ""
    """Path of the file, absolute or in the workspace folder; empty if it is not known."""
    language: str = ""
    """Language identifier of LSP; empty: what the file's name says."""
    hints: tuple[str, ...] = ()
    """Paths of files that the user visited, of which it may be one."""
    is_automatic: bool
    """Whether typing caused the request."""
    limits: Limits = field(default_factory=Limits)
    stops: tuple[str, ...] = ()
    """Texts that end the suggestion, and are no part of it."""
    n_indent: int = 0
    """Characters of indentation that each further line must have."""
    indentation: str = ""
    """End of `before` that the answer must begin with, as the client left it out."""
    streams: bool = False
    """Whether the answer is sent as events."""


@dataclass(frozen=True)
class Cut:
    """Suggestion that keeps to the limits of a request."""

    text: str
    stopped_by: str = ""
    """The one of the request's `stops` that ended it; empty if none did."""


def cut(text: str, asked: Asked) -> Cut:
    """Return what of a suggestion a request wants."""
    found = [(at, stop) for stop in asked.stops if stop and (at := text.find(stop)) >= 0]
    at, stopped_by = min(found, default=(len(text), ""))
    kept = _indented(text[:at], asked.n_indent)
    return Cut(asked.indentation + kept if kept else "", stopped_by)


def _indented(text: str, n_indent: int) -> str:
    """Return the lines up to the first further one that is indented less; blank ones may be."""
    lines = text.split("\n")
    for number, line in enumerate(lines[1:], start=1):
        if line.strip() and len(line) - len(line.lstrip(" \t")) < n_indent:
            return "\n".join(lines[:number]).rstrip("\n")
    return text
