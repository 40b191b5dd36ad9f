"""How long to wait after a key before the engine is asked, by how the user types and it answers."""

from collections import deque
from itertools import pairwise
from statistics import median

SAME_BURST_S = 1.0
"""Keys further apart belong to different bursts."""
N_KEYS = 5
SLOW_ANSWER_KEYS = 4
"""An answer that takes as long as so many keys is not worth asking for before the burst is over."""
MARGIN = 1.25
MAX_DELAY_S = 0.3


class Rhythm:
    """The times of the last automatic requests, which follow keys, and of the last answers."""

    def __init__(self) -> None:
        self._keys: deque[float] = deque(maxlen=N_KEYS)
        self._answers: deque[float] = deque(maxlen=N_KEYS)

    def note_key(self, now: float) -> None:
        """A key was struck; in seconds of any clock that goes on."""
        if self._keys and not 0 <= now - self._keys[-1] <= SAME_BURST_S:
            self._keys.clear()
        self._keys.append(now)

    def note_answer(self, seconds: float) -> None:
        """The engine took so long for an answer."""
        self._answers.append(seconds)

    def delay_s(self, usual_s: float) -> float:
        """Quiet time before the engine is asked, in seconds.

        None where the answer will be there before the next key. More than usual, until the burst is
        over, where many keys will be struck before it is: the engine would be kept from other work.
        """
        if not usual_s or len(self._keys) < N_KEYS or not self._answers:
            return usual_s
        gap = median(later - earlier for earlier, later in pairwise(self._keys))
        answer = median(self._answers)
        if answer < gap:
            return 0.0
        if answer > SLOW_ANSWER_KEYS * gap:
            return max(usual_s, min(MARGIN * gap, MAX_DELAY_S))
        return usual_s
