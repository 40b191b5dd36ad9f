"""Recent answers of the engine, reused when the user types or accepts what they say."""

from collections import deque
from dataclasses import dataclass, replace

from longllama_code.protocol import CompletionResult
from lsp_server.suggestions.cursor_context import CursorContext

MAX_ANSWERS = 16


@dataclass(frozen=True)
class _CachedAnswer:
    cursor: CursorContext
    result: CompletionResult
    is_ahead: bool


class AnswerCache:
    """The last answers, by the cursor that they were written for."""

    def __init__(self) -> None:
        self._answers: deque[_CachedAnswer] = deque(maxlen=MAX_ANSWERS)

    def add(self, cursor: CursorContext, result: CompletionResult, *, is_ahead: bool) -> None:
        """Keep an answer that has a text and was not cut off by its deadline.

        Args:
            cursor: where the answer is to be inserted.
            result: the answer.
            is_ahead: whether no request was given this answer. Others are not found at their own
                cursor: whoever requests there again may have changed another file, or wants
                another answer.
        """
        if result.text and result.stop_reason != "deadline":
            self._answers.append(_CachedAnswer(cursor, result, is_ahead))

    def find(self, cursor: CursorContext) -> CompletionResult | None:
        """Return the rest of the latest answer whose beginning was typed since, if any."""
        for cached in reversed(self._answers):
            typed = cursor.typed_since(cached.cursor)
            if typed or (typed == "" and cached.is_ahead):
                rest = remainder(cached.result, typed)
                if rest is not None:
                    return rest
        return None

    def clear(self) -> None:
        """Forget all answers."""
        self._answers.clear()


def remainder(result: CompletionResult, typed: str) -> CompletionResult | None:
    """Return what is left of an answer after its typed beginning; None if that leaves nothing."""
    if not result.text.startswith(typed) or len(result.text) <= len(typed):
        return None
    return replace(result, text=result.text[len(typed) :], alternatives=[])
