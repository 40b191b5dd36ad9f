"""The cursor of a request: where it is, and the text on both sides of it."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

from longllama_code.protocol import RecentEdit
from longllama_code.source_files.model_text import model_text
from lsp_server.documents.comments import ends_in_comment
from lsp_server.suggestions.closers import is_within
from lsp_server.suggestions.filters import CLOSERS, FilePlace

_OPENERS = {")": "(", "]": "[", "}": "{", ">": "<"}


@dataclass(frozen=True)
class Limits:
    """Limits of one request, besides those of the settings, which hold in any case."""

    max_tokens: int | None = None
    """Most tokens of the suggestion."""
    n_candidates: int | None = None
    """Number of suggestions that are wanted if the user invoked the request."""
    writing_ms: int | None = None
    """Time of writing after which a suggestion of several lines ends with a whole line."""


NO_LIMITS = Limits()


@dataclass(frozen=True)
class EditedFile:
    """A recent edit, and the file that it was made in."""

    language: str
    """Language identifier of LSP."""
    places: tuple[FilePlace, ...]
    path: str
    """Name of the file in the engine's memory."""
    edit: RecentEdit | None = None


@dataclass(frozen=True, kw_only=True)
class CursorContext:
    """Cursor in one version of a document, with the text on both sides of it."""

    uri: str
    language: str
    """Language identifier of LSP, such as `python`."""
    version: int
    before: str
    """Text before the cursor as the editor has it; in a notebook, with the cells above."""
    after: str
    """Text after the cursor as the editor has it."""
    is_automatic: bool
    """Whether typing caused the request; False if the user invoked it."""
    path: str
    """Name of the file in the engine's memory: its path relative to the workspace folder."""
    repository: str = ""
    """Name of the workspace folder, which some models are told; empty outside of all folders."""
    places: tuple[FilePlace, ...] = ()
    """Places of the document's file, which rules about names look at; else its `path` is one."""
    edited: tuple[EditedFile, ...] = ()
    """Recent edits of files in the workspace folders, the newest last."""
    is_memory_current: bool = True
    """Whether the engine's memory has all other files as they are now."""
    limits: Limits = NO_LIMITS
    """What the request itself limits."""

    @cached_property
    def prefix(self) -> str:
        """Text before the cursor as the model reads it."""
        return model_text(self.before)

    @cached_property
    def suffix(self) -> str:
        """Text after the cursor as the model reads it."""
        return model_text(self.after)

    @property
    def line_prefix(self) -> str:
        """Text before the cursor on its line."""
        return self.before[max(map(self.before.rfind, "\r\n")) + 1 :]

    @property
    def line_suffix(self) -> str:
        """Text after the cursor on its line, without the line end."""
        return re.split(r"[\r\n]", self.after, maxsplit=1)[0]

    @property
    def word(self) -> str:
        """Part of a word that ends at the cursor; may be empty."""
        return re.split(r"\W", self.line_prefix)[-1]

    @cached_property
    def is_in_comment(self) -> bool:
        """Whether text inserted at the cursor would be part of a comment.

        Takes time at first, as the text has to be read: ask for it on a thread.
        """
        return ends_in_comment(self.prefix, self.language)

    def typed_since(self, earlier: "CursorContext") -> str | None:
        """Return what was typed at an earlier cursor to arrive at this one.

        Empty if the texts are the same; None if anything else has changed. An editor may have
        added or taken away closers behind the cursor while the user typed.
        """
        if (self.uri, self.limits) != (earlier.uri, earlier.limits):
            return None
        if not self.prefix.startswith(earlier.prefix):
            return None
        typed = self.prefix[len(earlier.prefix) :]
        if self.suffix == earlier.suffix:
            return typed
        return typed if _closers_follow(typed, earlier.suffix, self.suffix) else None

    def was_typed_on(self, text: str) -> bool:
        """Whether a later text is this one with more text at the cursor.

        Args:
            text: text of the document; in a notebook, with the cells above as in `before`.
        """
        is_longer = len(text) > len(self.before) + len(self.after)
        return is_longer and text.startswith(self.before) and text.endswith(self.after)

    def after_accepting(self, suggestion: str, n_replaced: int = 0) -> "CursorContext":
        """Return the cursor behind a suggestion that was inserted, where typing goes on.

        Args:
            suggestion: the text.
            n_replaced: characters behind the cursor that it takes the place of.
        """
        after = self.after[n_replaced:]
        return replace(self, before=self.before + suggestion, after=after, is_automatic=True)


def _closers_follow(typed: str, earlier_suffix: str, suffix: str) -> bool:
    """Whether an editor turns one text behind the cursor into another while a text is typed.

    It adds the closer of what is opened, and passes over a closer that is typed.
    """
    (earlier, _, earlier_below), (now, _, below) = (
        text.partition("\n") for text in (earlier_suffix, suffix)
    )
    if earlier_below != below or not set(earlier + now) <= CLOSERS:
        return False
    if now.endswith(earlier):
        added = now[: len(now) - len(earlier)]
        return all(_OPENERS.get(closer, closer) in typed for closer in added)
    return earlier.endswith(now) and is_within(earlier[: len(earlier) - len(now)], typed)
