"""From a document and a cursor to a request of the engine, and from its answer to a suggestion."""

import itertools
import re
from dataclasses import dataclass
from functools import cached_property

from longllama_code.protocol import CompletionRequest, CompletionResult
from longllama_code.source_files.model_text import model_text
from lsp_server.documents.comments import ends_in_comment
from lsp_server.documents.document import Snapshot
from lsp_server.settings.declarations import Settings
from lsp_server.suggestions.answer_cache import Place
from lsp_server.suggestions.filters import Refusal, refuse_file, refuse_trigger
from lsp_server.suggestions.trimming import fitted

_ids = itertools.count(1)


@dataclass(frozen=True)
class Cursor:
    """A place in a document, and who asked."""

    snapshot: Snapshot
    offset: int
    automatic: bool
    repository: str = ""
    """Name of the repository that the document is in, which some models are told; empty: none."""

    @cached_property
    def place(self) -> Place:
        """Where it is, in the text as the model reads it: made once, of all of the text."""
        text = self.snapshot.text
        before, after = model_text(text[: self.offset]), model_text(text[self.offset :])
        return Place(self.snapshot.uri, before, after)

    @property
    def word(self) -> str:
        """The part left of the cursor of the word that it stands in, or behind."""
        return re.split(r"\W", self.line_prefix)[-1]

    @property
    def line_prefix(self) -> str:
        """The text left of the cursor on its line."""
        return self.snapshot.text[: self.offset].rpartition("\n")[2]

    @property
    def is_in_comment(self) -> bool:
        """Whether it stands in a comment."""
        return ends_in_comment(self.snapshot.text[: self.offset], self.snapshot.language)

    @property
    def line_suffix(self) -> str:
        """The text right of the cursor on its line."""
        return re.split(r"[\r\n]", self.snapshot.text[self.offset :], maxsplit=1)[0]


@dataclass(frozen=True)
class Suggestion:
    """An answer, editor-neutral: text to insert at the cursor, or the reason for none."""

    id: str
    text: str
    reason: str | None
    result: CompletionResult | None
    alternatives: tuple[str, ...] = ()
    """Other texts, for a client that shows several."""
    known: bool = False
    """Whether the engine need not be asked for it."""


def refuse(cursor: Cursor, name: str, settings: Settings) -> Refusal | None:
    """Why no suggestion is made here, by the settings, the file's name and the place."""
    if not settings.enable:
        return "disabled"
    if not settings.language_enabled(cursor.snapshot.language):
        return "language_disabled"
    if reason := refuse_file(name, settings.disabled_globs):
        return reason
    if cursor.automatic and (
        reason := refuse_trigger(cursor.line_prefix, cursor.line_suffix, settings.trigger)
    ):
        return reason
    if settings.completion.disable_in_comments and cursor.is_in_comment:
        return "in_comment"
    return None


def build_request(
    cursor: Cursor, path: str, settings: Settings, *, is_ahead: bool = False
) -> CompletionRequest:
    """What the engine is asked.

    Args:
        cursor: where.
        path: the file's name in memory.
        settings: as they are now.
        is_ahead: whether nobody waits for the answer.
    """
    place = cursor.place
    return CompletionRequest(
        path=path,
        prefix=place.before,
        suffix=place.after,
        max_tokens=settings.completion.max_tokens,
        multiline=settings.completion.multiline,
        timeout_ms=settings.completion.timeout_ms,
        min_confidence=_min_confidence(settings) if cursor.automatic else 0.0,
        n_candidates=1 if cursor.automatic else settings.completion.candidates,
        repository=cursor.repository,
        definition_tokens=settings.completion.definition_tokens,
        is_ahead=is_ahead,
    )


def _min_confidence(settings: Settings) -> float | None:
    percent = settings.trigger.min_confidence
    return percent / 100 if percent else None


def to_suggestion(result: CompletionResult, cursor: Cursor) -> Suggestion:
    """What is shown of the engine's answer."""
    place = cursor.place
    texts = [
        fitted(text, place.before, place.after) for text in (result.text, *result.alternatives)
    ]
    # Once each, in their order; what is left of the first may be nothing.
    text, *others = dict.fromkeys(text for text in texts if text) or [""]
    reason = None if text else result.empty_reason or "repeats_line"
    return Suggestion(f"s{next(_ids)}", text, reason, result, tuple(others))


def no_suggestion(reason: str) -> Suggestion:
    """An empty answer with its reason."""
    return Suggestion(f"s{next(_ids)}", "", reason, None)
