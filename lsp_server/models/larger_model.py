"""Whether the larger code model is worth offering, from the times of suggestions on this machine.

The small model is used first, and its suggestions are timed. A model reads all of its weights for
every token, so the larger one's times can be predicted without fetching it.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from longllama_code.model_sources.default_model import AUTO, USUAL, chosen_model
from lsp_server.settings.declarations import Settings

LARGER = "coder-1.5b"
SLOWDOWN = 2.6
"""Ratio of the time of a suggestion with the larger model. Per token, the larger model reads 980 MB
of weights in its blocks and the smaller one 392 MB, a ratio of 2.5. Measured: 2.5 for a token that
is generated, 2.6 for a token of the prompt."""
MAX_SUGGESTION_MS = 250
"""A slower suggestion usually comes after the next key."""
MIN_ANSWERS = 50
MAX_KEPT_ANSWERS = 200
MIN_FREE_BYTES = 3 << 30
COST = "1.1 GB to fetch, and 1.6 GB of memory where coder-0.5b takes 1.0"
BENEFIT = (
    "with the repository, it completed 39 % of 124 lines of the benchmark CrossCodeEval correctly,"
    " coder-0.5b 23 %"
)
MANUAL_STEPS = f'run `longllama pull {LARGER}` and set longllama.model.path to "{LARGER}"'


@dataclass(frozen=True)
class MeasuredTimes:
    """Times of the last suggestions while typing."""

    n_answers: int = 0
    median_ms: float = 0.0

    @property
    def larger_ms(self) -> float:
        """Predicted median with the larger model."""
        return self.median_ms * SLOWDOWN


class AnswerTimes:
    """Times of suggestions while the user typed.

    Answers without a text do not count: they are fast, and nobody sees them.
    """

    def __init__(self) -> None:
        self._ms: deque[float] = deque(maxlen=MAX_KEPT_ANSWERS)

    @property
    def measured(self) -> MeasuredTimes:
        """Number and median of the last times."""
        return MeasuredTimes(len(self._ms), median(self._ms)) if self._ms else MeasuredTimes()

    def add(self, seconds: float) -> None:
        """Add the time of a suggestion."""
        self._ms.append(1000 * seconds)

    def add_cancelled(self, seconds: float) -> None:
        """Add a request that a newer one cancelled after some time without an answer.

        It counts if it was already too slow for the larger model. Without such requests, a slow
        machine would seem fast for fast typists, as only its fast answers would come in time.
        """
        if 1000 * seconds * SLOWDOWN > MAX_SUGGESTION_MS:
            self.add(seconds)

    def clear(self) -> None:
        """Forget all times, because another engine answers from now on."""
        self._ms.clear()


@dataclass(frozen=True)
class Assessment:
    """Whether to offer the larger model, and why."""

    text: str
    is_recommended: bool = False
    """Whether it would be fast enough and fit into memory."""


def assess(settings: Settings, measured: MeasuredTimes, free_bytes: int | None) -> Assessment:
    """Assess whether to offer the larger model.

    Args:
        settings: the server's settings.
        measured: times with the model that the settings name.
        free_bytes: free memory in bytes; None if unknown.
    """
    reason = reason_against(settings)
    if reason:
        return Assessment(f"{LARGER} is not considered: {reason}")
    if not measured.n_answers:
        return Assessment("not measured yet: a running server measures while you type")
    if measured.n_answers < MIN_ANSWERS:
        n_answers = f"{measured.n_answers} of {MIN_ANSWERS} suggestions"
        return Assessment(f"not known yet: {n_answers} were timed while you typed")
    times = f"{measured.median_ms:.0f} ms for a suggestion, {LARGER} about {measured.larger_ms:.0f}"
    if measured.larger_ms > MAX_SUGGESTION_MS:
        return Assessment(f"{times}: too slow, more than {MAX_SUGGESTION_MS} ms")
    if free_bytes is not None and free_bytes < MIN_FREE_BYTES:
        free = f"{free_bytes / 2**30:.1f} GiB of memory are free"
        return Assessment(f"{times}: fast enough, but {free}, and it needs {MIN_FREE_BYTES >> 30}")
    return Assessment(f"{times}: fast enough ({COST}; {BENEFIT})", is_recommended=True)


def reason_against(settings: Settings) -> str:
    """Return why the settings rule the offer out; empty if they do not."""
    path = settings.model.path
    if settings.engine.url:
        return "a team's engine answers"
    if path not in (AUTO, USUAL):
        return f"longllama.model.path names {path}"
    chosen = chosen_model(path)
    return "" if chosen.name == USUAL else chosen.reason


def question(measured: MeasuredTimes) -> str:
    """Return the question for the user."""
    return (
        f"This machine is fast enough for the larger model {LARGER}: a suggestion would take about "
        f"{measured.larger_ms:.0f} ms, now {measured.median_ms:.0f} ms. It is right more often: "
        f"{BENEFIT}. It costs {COST}."
    )


def claim_offer(cache: Path) -> bool:
    """Record that the user is asked now; False if they were asked before or it cannot be recorded.

    The file is created before the question is shown, and by one process only. So one of several
    windows asks, and nobody is asked twice, even if the server is killed meanwhile.
    """
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        (cache / f"{LARGER}.offered").touch(exist_ok=False)
    except OSError:
        return False
    return True
