"""Names of a suggestion that do not exist: the suggestion is written again from there on.

The model chooses among the names that exist, so its probabilities are those of the names given that
one of them is meant. Where that does not help, the suggestion ends before the line.
"""

from __future__ import annotations

from collections.abc import Sequence

from longllama_code.definitions.existing_names import (
    MissingName,
    existing_names,
    missing_name,
    words_of,
)
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.generation.answer import Answer
from longllama_code.generation.decoding.writer import Writer
from longllama_code.protocol import CompletionRequest, OnProgress

MAX_REWRITTEN = 2
"""Most names of a suggestion that are replaced."""


class NameCheck:
    """Check of the names in the suggestions for one request.

    Args:
        index: the repository.
        request: the cursor.
    """

    def __init__(self, index: DefinitionIndex, request: CompletionRequest) -> None:
        self._index, self._request = index, request
        self._is_wanted = request.existing_names and request.uses_memory

    def checked(self, writer: Writer, answer: Answer, on_progress: OnProgress) -> Writer:
        """Write a suggestion again until its names exist, as far as that is known; return it.

        Raises:
            Cancelled: the request was cancelled.
        """
        for _ in range(MAX_REWRITTEN):
            missing = self._missing(writer)
            if missing is None:
                return writer
            names = self._in_place_of(missing)
            if not names or answer.is_late():
                break
            writer.go_back(max(missing.start, 0), names)
            answer.write_again(writer, on_progress)
        missing = self._missing(writer)
        if missing is not None:
            writer.end_before_line(missing.start)
        return writer

    def existing(self, texts: Sequence[str]) -> list[str]:
        """Return those of some suggestions whose names exist."""
        return [text for text in texts if self._find(text, is_whole=True) is None]

    def _missing(self, writer: Writer) -> MissingName | None:
        is_whole = writer.stop_reason not in ("max_tokens", "deadline")
        return self._find(writer.text.rstrip(), is_whole=is_whole)

    def _find(self, text: str, *, is_whole: bool) -> MissingName | None:
        if not self._is_wanted or not text:
            return None
        request = self._request
        new_words = words_of([edit.after for edit in request.recent_edits])
        return missing_name(
            self._index,
            request.path,
            request.prefix,
            text,
            request.suffix,
            new_words,
            is_whole=is_whole,
        )

    def _in_place_of(self, missing: MissingName) -> list[str]:
        """Return the names that exist there, without what stands before the cursor of each."""
        begun = self._request.prefix[missing.start :] if missing.start < 0 else ""
        names = sorted(existing_names(self._index, missing))
        return [name[len(begun) :] for name in names if name.startswith(begun)]
