"""From a cursor to a request of the engine, or to the reason why there is none."""

from longllama_code.protocol import CompletionRequest, RecentEdit
from lsp_server.settings.declarations import Settings
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.filters import FilePlace, Refusal, refuse_file, refuse_trigger

PATIENCE_MS = 2000
"""Time for which somebody who types waits for a suggestion, in milliseconds."""


def refuse(cursor: CursorContext, settings: Settings, *, is_ahead: bool = False) -> Refusal | None:
    """Return the reason why nothing is suggested at a cursor; None if something may be.

    Args:
        cursor: where to suggest.
        settings: the settings now.
        is_ahead: whether nobody waits for a suggestion there. Then it does not matter whether the
            cursor is in a comment, for which the text has to be read.
    """
    places = cursor.places or (FilePlace("", cursor.path),)
    if reason := _refuse_document(cursor.language, places, settings):
        return reason
    if cursor.is_automatic and (
        reason := refuse_trigger(cursor.line_prefix, cursor.line_suffix, settings.trigger)
    ):
        return reason
    if settings.completion.disable_in_comments and not is_ahead and cursor.is_in_comment:
        return "in_comment"
    return None


def _refuse_document(
    language: str, places: tuple[FilePlace, ...], settings: Settings
) -> Refusal | None:
    """Return the reason why nothing is suggested in a document, and nothing of it is shown."""
    if not settings.enable:
        return "disabled"
    if not settings.language_enabled(language):
        return "language_disabled"
    return refuse_file(places, settings.disabled_globs)


def recent_edits(cursor: CursorContext, settings: Settings) -> tuple[RecentEdit, ...]:
    """Return the recent edits that a request may show: of no file that is refused itself."""
    if not settings.completion.recent_edits:
        return ()
    return tuple(
        file.edit
        for file in cursor.edited
        if file.edit is not None and _refuse_document(file.language, file.places, settings) is None
    )


def build_request(
    cursor: CursorContext, settings: Settings, *, is_ahead: bool = False, floor: int = 0
) -> CompletionRequest:
    """Return the engine's request for a cursor.

    Args:
        cursor: where to suggest.
        settings: the settings now.
        is_ahead: whether nobody waits for the answer.
        floor: least confidence of what typing requests, in percent, beside that of the settings.
    """
    return CompletionRequest(
        path=cursor.path,
        prefix=cursor.prefix,
        suffix=cursor.suffix,
        max_tokens=_least(settings.completion.max_tokens, cursor.limits.max_tokens),
        multiline=settings.completion.multiline,
        timeout_ms=settings.completion.timeout_ms,
        min_confidence=_min_confidence(settings) if cursor.is_automatic else 0.0,
        min_confidence_floor=floor / 100 if cursor.is_automatic else 0.0,
        n_candidates=1 if cursor.is_automatic else _n_candidates(cursor, settings),
        repository=cursor.repository,
        definition_tokens=settings.completion.definition_tokens,
        repository_context=settings.completion.repository_context,
        short_after_ms=_short_after_ms(settings, is_automatic=cursor.is_automatic),
        is_ahead=is_ahead,
        writing_ms=cursor.limits.writing_ms,
        recent_edits=recent_edits(cursor, settings),
        existing_names=settings.completion.existing_names and cursor.is_memory_current,
    )


def _short_after_ms(settings: Settings, *, is_automatic: bool) -> int | None:
    """Return how long reading the whole prompt may take; who asks by a key waits for it."""
    auto = settings.completion.timeout_ms // 2
    if is_automatic:
        auto = min(auto, PATIENCE_MS)
    return {"always": 0, "auto": auto, "never": None}[settings.completion.short_first]


def _least(setting: int, limit: int | None) -> int:
    return setting if limit is None else min(setting, limit)


def _n_candidates(cursor: CursorContext, settings: Settings) -> int:
    return _least(settings.completion.candidates, cursor.limits.n_candidates)


def _min_confidence(settings: Settings) -> float | None:
    """Return the least probability that all is right, 0 to 1; None: the model's own limit."""
    percent = settings.trigger.min_confidence
    return percent / 100 if percent else None
