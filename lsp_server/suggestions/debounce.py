"""The time to wait after a key: it depends on the speed of the user and of the engine."""

from collections import deque
from itertools import pairwise
from statistics import median

MAX_GAP_S = 1.0
"""Time between two keys above which they belong to different bursts."""
N_KEYS = 5
"""Number of the last keys, and of the last answers, whose times count."""
SLOW_ANSWER_KEYS = 4
"""Gaps between keys that an answer may take; a slower one is requested after the burst."""
MARGIN = 1.25
"""Gaps between two keys after which a burst counts as over."""
MAX_DELAY_S = 0.3
"""Longest wait for a burst to be over, unless the settings say a longer one."""
QUICK_S = 0.05
"""Time of an answer below which it comes before anybody presses the next key."""


class DebouncePolicy:
    """Delay before an automatic request, from the times of the last keys and answers."""

    def __init__(self) -> None:
        self._keys: deque[float] = deque(maxlen=N_KEYS)
        self._answers: deque[float] = deque(maxlen=N_KEYS)

    def note_key(self, now: float) -> None:
        """Record the time of an automatic request, in seconds of a monotonic clock."""
        if self._keys and not 0 <= now - self._keys[-1] <= MAX_GAP_S:
            self._keys.clear()
        self._keys.append(now)

    def note_answer(self, seconds: float) -> None:
        """Record how long the engine took for an answer."""
        self._answers.append(seconds)

    def delay_s(self, usual_s: float) -> float:
        """Return the quiet time before the engine is asked, in seconds.

        Zero if the answer arrives before the next key. Longer than `usual_s` if the burst of keys
        is likely to outlast many answers that the engine would compute in vain.
        """
        if not usual_s or not self._answers:
            return usual_s
        answer = median(self._answers)
        if answer < QUICK_S:
            return 0.0
        if len(self._keys) < N_KEYS:
            return usual_s
        gap = median(later - earlier for earlier, later in pairwise(self._keys))
        if answer < gap:
            return 0.0
        if answer > SLOW_ANSWER_KEYS * gap:
            return max(usual_s, min(MARGIN * gap, MAX_DELAY_S))
        return usual_s
