"""The time, which tests can set."""

from datetime import datetime, timedelta, timezone


class Clock:
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(timezone.utc)


class FixedClock(Clock):
    """A time that moves when it is told to."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the time that was set."""
        return self._now

    def advance(self, **by: float) -> None:
        """Move on, such as ``advance(days=3)``."""
        self._now += timedelta(**by)
