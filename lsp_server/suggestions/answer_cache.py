"""Answers that typing on, or accepting a suggestion, asks for again: known without the engine."""

from collections import deque
from dataclasses import dataclass, replace

from longllama_code.protocol import CompletionResult

MAX_KNOWN = 16


@dataclass(frozen=True)
class Place:
    """A cursor in the text of a document."""

    uri: str
    before: str
    after: str

    def typed_since(self, earlier: "Place") -> str | None:
        """What was typed at the cursor since; None where anything else has changed."""
        if self.uri != earlier.uri or self.after != earlier.after:
            return None
        if not self.before.startswith(earlier.before):
            return None
        return self.before[len(earlier.before) :]


@dataclass(frozen=True)
class _Known:
    place: Place
    result: CompletionResult
    foreseen: bool


class KnownAnswers:
    """The engine's last answers, by where they were asked for."""

    def __init__(self) -> None:
        self._known: deque[_Known] = deque(maxlen=MAX_KNOWN)

    def add(self, place: Place, result: CompletionResult, *, foreseen: bool) -> None:
        """Keep an answer that has a text; ``foreseen`` where nobody has asked for it so far.

        An answer that was given is not given again at its own place: who asks there a second time
        may have changed something else, or wants another.
        """
        if result.text and result.stop_reason != "deadline":
            self._known.append(_Known(place, result, foreseen))

    def find(self, place: Place) -> CompletionResult | None:
        """What is left of an answer whose beginning was typed since; None where there is none."""
        for known in reversed(self._known):
            typed = place.typed_since(known.place)
            if typed or (typed == "" and known.foreseen):
                left = rest_of(known.result, typed)
                if left is not None:
                    return left
        return None

    def clear(self) -> None:
        """Forget all of them."""
        self._known.clear()


def rest_of(result: CompletionResult, typed: str) -> CompletionResult | None:
    """An answer without its beginning; None where that is not what was typed, or all of it."""
    if not result.text.startswith(typed) or len(result.text) <= len(typed):
        return None
    return replace(result, text=result.text[len(typed) :], alternatives=[])
