"""When the larger code model is worth offering: rules over how long suggestions take here.

The small model is used first, and its answers to typing are timed. A model reads all of its weights
for every token, so what the larger one would take is known before it is fetched.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from longllama_code.model_sources.default_model import AUTO, USUAL, chosen_model
from lsp_server.settings.declarations import Settings

LARGER = "coder-1.5b"
SLOWER = 2.6
"""Times as long for one suggestion. For each token that is read or written while typing, weights
are read from memory: 980 MB in the blocks of the larger file, 392 MB of the smaller, which is 2.5.
Measured in turn: 2.5 for a pass that writes, 2.6 for one that reads a token."""
LIMIT_MS = 250
"""Longer than this, a suggestion mostly comes after the next key."""
ENOUGH_ANSWERS = 50
KEPT_ANSWERS = 200
LEAST_FREE_BYTES = 3 << 30
COSTS = "1.1 GB to fetch, and 1.6 GB of memory where coder-0.5b takes 1.0"
BRINGS = (
    "it wrote the right line at 26 % of 42 places of the benchmark CrossCodeEval, from the file"
    " alone; coder-0.5b at 17 % of 124, these among them"
)
HOW_BY_HAND = f'run `longllama pull {LARGER}` and set longllama.model.path to "{LARGER}"'


@dataclass(frozen=True)
class Measured:
    """How long the last suggestions while typing took."""

    n_answers: int = 0
    median_ms: float = 0.0

    @property
    def larger_ms(self) -> float:
        """What half of them would take at most with the larger model."""
        return self.median_ms * SLOWER


class AnswerTimes:
    """Milliseconds that the engine took for suggestions while the user typed, as the user waits.

    Answers without a text do not count: they are quick, and nobody sees them.
    """

    def __init__(self) -> None:
        self._ms: deque[float] = deque(maxlen=KEPT_ANSWERS)

    @property
    def measured(self) -> Measured:
        """The last of them, in short."""
        return Measured(len(self._ms), median(self._ms)) if self._ms else Measured()

    def note(self, seconds: float) -> None:
        """A suggestion took so long."""
        self._ms.append(1000 * seconds)

    def note_given_up(self, seconds: float) -> None:
        """A newer request ended one that had no answer after so long.

        It counts once it is known to be too slow for the larger model. Without these, a slow
        machine would look fast to whoever types fast: only its quick answers would come in time.
        """
        if 1000 * seconds * SLOWER > LIMIT_MS:
            self.note(seconds)

    def clear(self) -> None:
        """Another engine answers from now on."""
        self._ms.clear()


@dataclass(frozen=True)
class Verdict:
    """What is to be said of the larger model here, and whether to offer it."""

    words: str
    is_worth_it: bool = False
    """Whether it would be fast enough, and has room."""


def judge(settings: Settings, measured: Measured, free_bytes: int | None) -> Verdict:
    """Say whether the larger model could be used, and why, or why not.

    Args:
        settings: as they hold.
        measured: with the model that these settings name.
        free_bytes: of memory; None where that is not known.
    """
    reason = not_asked_for(settings)
    if reason:
        return Verdict(f"{LARGER} is not looked at: {reason}")
    if not measured.n_answers:
        return Verdict("not measured yet: a server that runs does so while you type")
    if measured.n_answers < ENOUGH_ANSWERS:
        n_answers = f"{measured.n_answers} of {ENOUGH_ANSWERS} suggestions"
        return Verdict(f"not judged yet: {n_answers} were timed while you typed")
    times = f"{measured.median_ms:.0f} ms for a suggestion, {LARGER} about {measured.larger_ms:.0f}"
    if measured.larger_ms > LIMIT_MS:
        return Verdict(f"{times}: too slow, beyond {LIMIT_MS} ms")
    if free_bytes is not None and free_bytes < LEAST_FREE_BYTES:
        free = f"{free_bytes / 2**30:.1f} GiB of memory are free"
        return Verdict(f"{times}: fast enough, but {free}, and it needs {LEAST_FREE_BYTES >> 30}")
    return Verdict(f"{times}: fast enough ({COSTS}; {BRINGS})", is_worth_it=True)


def not_asked_for(settings: Settings) -> str:
    """Why the settings leave no question of another model; empty where they leave it open."""
    path = settings.model.path
    if settings.engine.url:
        return "a team's engine answers"
    if path not in (AUTO, USUAL):
        return f"longllama.model.path names {path}"
    chosen = chosen_model(path)
    return "" if chosen.name == USUAL else chosen.reason


def offer(measured: Measured) -> str:
    """What the user is asked."""
    return (
        f"This machine is fast enough for the larger model {LARGER}: a suggestion would take about "
        f"{measured.larger_ms:.0f} ms, now {measured.median_ms:.0f} ms. It is right more often: "
        f"{BRINGS}. It costs {COSTS}."
    )


def claim_offer(cache: Path) -> bool:
    """Note that the user is asked now; False where they were before, or it cannot be noted.

    The file is made by one process alone, and before the question: of several windows one asks,
    and nobody is asked twice, whatever ends the server.
    """
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        (cache / f"{LARGER}.offered").touch(exist_ok=False)
    except OSError:
        return False
    return True
