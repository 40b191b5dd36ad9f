"""Regular expressions over texts of anybody: bounded in time, and beside other threads.

Python's own `re` takes quadratic time and more for some texts, cannot be interrupted, and keeps the
interpreter's lock meanwhile, so that nothing else runs. The library `regex` has a limit of time,
and lets go of the lock.
"""

import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import regex

_UNDERSTOOD = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE
_limits = threading.local()


class TimedPattern:
    """A pattern of `re`, searched within the limit of `time_limit`.

    Raises `TimeoutError` where a search takes longer; without a limit, it does not end early.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        import regex  # it takes longer than the rest of a start, and is needed later

        self._pattern = regex.compile(pattern.pattern, pattern.flags & int(_UNDERSTOOD))

    def search(self, text: str) -> "regex.Match[str] | None":
        """Do what `re.Pattern.search` does."""
        return self._pattern.search(text, timeout=_left_s())

    def findall(self, text: str) -> list[Any]:
        """Do what `re.Pattern.findall` does."""
        return self._pattern.findall(text, timeout=_left_s())


@contextmanager
def time_limit(seconds: float) -> Generator[None, None, None]:
    """Limit the processor's time of this thread's searches, all together."""
    _limits.end_s = time.thread_time() + seconds
    try:
        yield
    finally:
        del _limits.end_s


def _left_s() -> float | None:
    end_s: float | None = getattr(_limits, "end_s", None)
    if end_s is None:
        return None
    left_s = end_s - time.thread_time()
    if left_s <= 0:
        raise TimeoutError
    return left_s
