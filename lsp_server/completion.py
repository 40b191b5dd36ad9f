"""From a document and a cursor to a request of the engine, and from its answer to a suggestion."""

import itertools
import re
from dataclasses import dataclass

from longllama_code.protocol import CompletionRequest, CompletionResult
from lsp_server.comments import ends_in_comment
from lsp_server.documents import Snapshot
from lsp_server.filters import Refusal, refuse_file, refuse_trigger, trim_overlap
from lsp_server.settings import Settings

_ids = itertools.count(1)


@dataclass(frozen=True)
class Cursor:
    """A place in a document, and who asked."""

    snapshot: Snapshot
    offset: int
    automatic: bool

    @property
    def word(self) -> str:
        """The part left of the cursor of the word that it stands in, or behind."""
        line = self.snapshot.text[: self.offset].rpartition("\n")[2]
        return re.split(r"\W", line)[-1]

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


def refuse(cursor: Cursor, name: str, settings: Settings) -> Refusal | None:
    """Why no suggestion is made here, by the settings, the file's name and the place."""
    if not settings.enable:
        return "disabled"
    if not settings.language_enabled(cursor.snapshot.language):
        return "language_disabled"
    if reason := refuse_file(name, settings.disabled_globs):
        return reason
    reason = refuse_trigger(
        automatic=cursor.automatic,
        auto_mode=settings.trigger.mode == "auto",
        line_suffix=cursor.line_suffix,
        max_line_suffix=settings.trigger.max_line_suffix,
    )
    if reason is None and settings.completion.disable_in_comments and cursor.is_in_comment:
        return "in_comment"
    return reason


def build_request(cursor: Cursor, path: str, settings: Settings) -> CompletionRequest:
    """What the engine is asked; ``path`` is the file's name in memory."""
    text, offset = cursor.snapshot.text, cursor.offset
    return CompletionRequest(
        path=path,
        prefix=model_text(text[:offset]),
        suffix=model_text(text[offset:]),
        max_tokens=settings.completion.max_tokens,
        multiline=settings.completion.multiline,
        timeout_ms=settings.completion.timeout_ms,
    )


def to_suggestion(result: CompletionResult, cursor: Cursor) -> Suggestion:
    """What is shown of the engine's answer."""
    text = trim_overlap(result.text, cursor.line_suffix)
    reason = None if text else result.empty_reason or "repeats_line"
    return Suggestion(f"s{next(_ids)}", text, reason, result)


def no_suggestion(reason: str) -> Suggestion:
    """An empty answer with its reason."""
    return Suggestion(f"s{next(_ids)}", "", reason, None)


def model_text(text: str) -> str:
    r"""A text as the model reads it.

    ``\r\n`` becomes ``\n``, so that a repository has one memory however git checked it out. A lone
    surrogate, which a client may send and no codec takes, becomes a replacement character.
    """
    well_formed = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return well_formed.replace("\r\n", "\n")
