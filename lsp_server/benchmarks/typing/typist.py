"""Typing one session into a system, key by key, at a person's rhythm.

Every key is an edit and an automatic request, which the next key cancels. A suggestion counts as
shown if it comes before the next key. The person waits for none; to read and accept one that is
right delays the next key.
"""

import asyncio
import time
from dataclasses import dataclass

from lsp_server.benchmarks.systems.system import Answer, System, SystemGoneError
from lsp_server.benchmarks.typing.person import Person
from lsp_server.benchmarks.typing.rhythm import count_keys, keystroke
from lsp_server.benchmarks.typing.session import Session

CANCEL_TIMEOUT_S = 60.0
"""Time within which cancelled requests must end."""


@dataclass(frozen=True)
class Key:
    """Key after which a suggestion was asked for, and what came of it."""

    ms: float
    """Time to the answer, or until the next key if that came first."""
    shown: str = ""
    """Suggestion that came before the next key; empty if there was none."""
    known: bool = False
    """Whether it was answered from an earlier answer, without the model."""
    overtaken: bool = False
    """Whether the next key came before the answer."""
    failed: bool = False
    """Whether the model did not answer."""
    right_to_end: bool = False
    right_for_a_word: bool = False
    """Whether at least the first word of the suggestion is right."""
    accepted: int = 0
    """Number of characters that the next key accepts; 0 if it is typed."""
    saved: int = 0
    """Number of keys that this saves, without the one that accepts."""

    @property
    def is_interruption(self) -> bool:
        """Whether a suggestion was shown of which not even the first word is right."""
        return bool(self.shown) and not self.right_for_a_word


class Typist:
    """Types a session. The document must be open in the system, as it is before typing."""

    def __init__(self, system: System, session: Session, person: Person) -> None:
        self._system, self._session, self._person = system, session, person
        self._overtaken: set[asyncio.Task[Answer]] = set()
        self.text = session.opened
        """Text of the document."""
        self.keys: list[Key] = []
        """Keys after which a suggestion was asked for: all but the last one."""
        self.n_pressed = 0
        """Number of keys, those that accept included."""

    async def type(self) -> None:
        """Find the place, and type all of it.

        Raises:
            SystemGoneError: the system has ended or does not respond.
        """
        await self._system.move_cursor(len(self._session.before))
        await asyncio.sleep(self._person.rhythm.seconds_to_start)
        remaining = self._session.typed
        pressed = keystroke(remaining)
        try:
            while pressed:
                remaining = remaining[len(pressed) :]
                pressed = await self._press(pressed, remaining)
        finally:
            await self._end_overtaken()

    async def _press(self, pressed: str, remaining: str) -> str:
        """Insert what one key writes, ask, and return what the next key writes when it is time."""
        started = time.perf_counter()
        self.n_pressed += 1
        at = len(self._session.before) + len(self._session.typed) - len(remaining)
        start = at - len(pressed)
        self.text = self.text[:start] + pressed + self.text[start:]
        await self._system.change(start, start, pressed)
        if not remaining:
            return ""
        last = "\n" if pressed == keystroke(pressed) and pressed[0] == "\n" else pressed[-1]
        next_key_at = started + self._person.rhythm.gap_s(last, remaining[0])
        asked = time.perf_counter()
        answer = await self._ask(at, next_key_at)
        ms = 1000 * (time.perf_counter() - started)
        if isinstance(answer, Answer) and answer.seconds:
            ms = 1000 * (asked - started + answer.seconds)  # without what the benchmark asks after
        if answer is None:
            self.keys.append(Key(round(ms, 2), overtaken=True))
            return keystroke(remaining)
        return await self._decide(answer, ms, remaining, next_key_at)

    async def _ask(self, at: int, next_key_at: float) -> Answer | RuntimeError | None:
        """Return the answer or why there is none; None if the next key comes first."""
        request = asyncio.ensure_future(self._system.complete(at, automatic=True))
        self._overtaken.add(request)  # at once, so that it is ended if typing is cancelled
        await asyncio.wait([request], timeout=max(0.0, next_key_at - time.perf_counter()))
        if not request.done():
            request.cancel()
            await asyncio.sleep(0)  # the cancellation goes out before the next edit
            return None
        self._overtaken.discard(request)
        try:
            return request.result()
        except SystemGoneError:
            raise
        except RuntimeError as error:
            return error

    async def _decide(
        self, answer: Answer | RuntimeError, ms: float, remaining: str, next_key_at: float
    ) -> str:
        """Note a key, wait until it is time for the next one, and return what that writes."""
        if isinstance(answer, RuntimeError):
            key, accepted = Key(round(ms, 2), failed=True), ""
        else:
            shown = answer.text if answer.text.strip() else ""
            found = self._person.judge(shown, remaining, self._session.rest)
            accepted = found.accepted
            key = Key(
                round(ms, 2),
                shown,
                answer.is_known,
                right_to_end=found.right_to_end,
                right_for_a_word=found.right_for_a_word,
                accepted=len(accepted),
                saved=count_keys(accepted) - 1 if accepted else 0,
            )
        self.keys.append(key)
        if accepted:
            await asyncio.sleep(self._person.rhythm.seconds_to_read)
            return accepted
        await asyncio.sleep(max(0.0, next_key_at - time.perf_counter()))
        return keystroke(remaining)

    async def _end_overtaken(self) -> None:
        """Wait until cancelled requests have ended.

        Raises:
            SystemGoneError: one of them found the system gone, or does not end.
        """
        if not self._overtaken:
            return
        for request in self._overtaken:
            request.cancel()
        done, waiting = await asyncio.wait(self._overtaken, timeout=CANCEL_TIMEOUT_S)
        self._overtaken.clear()
        if waiting:
            raise SystemGoneError(
                f"{len(waiting)} cancelled requests did not end within {CANCEL_TIMEOUT_S:.0f} s"
            )
        errors = [None if request.cancelled() else request.exception() for request in done]
        for error in errors:
            if isinstance(error, SystemGoneError):
                raise error
