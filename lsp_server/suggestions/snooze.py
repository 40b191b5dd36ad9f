"""Silence for some minutes, which ends by itself."""

import asyncio
import math
from collections.abc import Callable

MAX_MINUTES = 24 * 60.0


class Snooze:
    """Owner of the time left. Lives on the event loop; its timers keep no process alive.

    Args:
        on_change: called when it begins, when the minutes left are others, and when it ends.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._ends_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_on(self) -> bool:
        """Whether suggestions while typing are silenced."""
        return self._ends_at is not None

    @property
    def minutes_left(self) -> int | None:
        """Minutes left, rounded up; None if nothing is silenced."""
        return None if self._ends_at is None else max(1, math.ceil(self._seconds_left() / 60))

    def start(self, minutes: float) -> None:
        """Be silent for so many minutes from now on; 0 or less ends it."""
        self._cancel_timer()
        if minutes > 0:
            minutes = min(minutes, MAX_MINUTES)
            self._ends_at = asyncio.get_running_loop().time() + 60 * minutes
            self._wait()
        else:
            self._ends_at = None
        self._on_change()

    def end(self) -> None:
        """End it without a word, as the session ends."""
        self._cancel_timer()
        self._ends_at = None

    def _wait(self) -> None:
        """Wait until one minute less is left."""
        left_s = self._seconds_left()
        whole_minutes = math.ceil(left_s / 60) - 1
        delay_s = left_s - 60 * whole_minutes
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick, whole_minutes)

    def _tick(self, minutes_left: int) -> None:
        self._timer = None
        if minutes_left > 0:
            self._wait()
        else:
            self._ends_at = None
        self._on_change()

    def _seconds_left(self) -> float:
        assert self._ends_at is not None
        return self._ends_at - asyncio.get_running_loop().time()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
