"""The cursor of a request: where it is, and the text on both sides of it."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

from longllama_code.source_files.model_text import model_text
from lsp_server.documents.comments import ends_in_comment
from lsp_server.suggestions.filters import FilePlace


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

        Empty if the texts are the same; None if anything else has changed.
        """
        if self.uri != earlier.uri or self.suffix != earlier.suffix:
            return None
        if not self.prefix.startswith(earlier.prefix):
            return None
        return self.prefix[len(earlier.prefix) :]

    def was_typed_on(self, text: str) -> bool:
        """Whether a later text is this one with more text at the cursor.

        Args:
            text: text of the document; in a notebook, with the cells above as in `before`.
        """
        is_longer = len(text) > len(self.before) + len(self.after)
        return is_longer and text.startswith(self.before) and text.endswith(self.after)

    def after_accepting(self, suggestion: str) -> "CursorContext":
        """Return the cursor behind a suggestion that was inserted, where typing goes on."""
        return replace(self, before=self.before + suggestion, is_automatic=True)
