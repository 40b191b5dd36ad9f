"""Measurement of how fast prompts are processed on this machine, taken while they are."""

from __future__ import annotations

LEAST_TOKENS = 32
"""Tokens of a pass that tells something about prompts; fewer take longer for each."""
WEIGHT = 0.25
"""Weight of a new pass in the mean, so that a few passes tell that the machine became busy."""


class ReadingSpeed:
    """Mean time for each token of a prompt; recent passes count most."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    def note(self, n_tokens: int, seconds: float) -> None:
        """Note a pass over some tokens; short passes are left out."""
        if n_tokens < LEAST_TOKENS:
            return
        found = seconds / n_tokens
        known = found if self._seconds is None else self._seconds
        self._seconds = known + WEIGHT * (found - known)

    def seconds_for(self, n_tokens: int) -> float | None:
        """Return the seconds that tokens are expected to take; None if nothing was read so far."""
        return None if self._seconds is None else n_tokens * self._seconds
