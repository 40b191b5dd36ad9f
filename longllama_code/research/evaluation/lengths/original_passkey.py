"""The original's pass-key task: one prompt of N tokens with a number at a random position.

The prompt is that of Landmark Attention (arXiv 2305.16300), which LongLLaMA took over
(``examples/passkey.py``): a task, sentences that repeat, the number twice, sentences, the question.
`passkey.py` is the same task with repository memory, which is a set of segments.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.lengths.long_input import write_after
from longllama_code.research.evaluation.lengths.needles import FILLER_LINE, INTRODUCTION, is_right
from longllama_code.research.evaluation.lengths.options import OriginalOptions

FILLER = FILLER_LINE.rstrip("\n") + " "
QUESTION = "What is the pass key? The pass key is"
HIGHEST_KEY = 50_000
SPARE_TOKENS = 4
"""Tokens written beyond the answer's, as its encoding may differ after the question."""


@dataclass(frozen=True)
class OriginalTrial:
    """One prompt."""

    length: int
    """Requested length in tokens."""
    n_tokens: int
    """Actual length of the prompt in tokens."""
    place: float
    """Position of the number in the prompt, 0 to 1."""
    answer: str
    given: str
    memory_bytes: int
    """Size of keys and values, including spare room in their buffers."""
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the digits were right."""
        return is_right(self.given, self.answer)


@dataclass(frozen=True)
class OriginalResult:
    """All prompts."""

    options: OriginalOptions
    trials: list[OriginalTrial]

    def of(self, length: int) -> list[OriginalTrial]:
        """Return the trials of one length."""
        return [trial for trial in self.trials if trial.length == length]


def original_passkey(
    loaded: LoadedModel, options: OriginalOptions, progress: Callable[[str], None] = lambda _: None
) -> OriginalResult:
    """Run the task at every length, shortest first.

    Raises:
        ConfigError: a length is too small for the question alone.
    """
    trials: list[OriginalTrial] = []
    for length in sorted(options.lengths):
        for number in range(options.trials):
            trials.append(_ask(loaded, length, number, options))
            last = trials[-1]
            found = "right" if last.right else f"{last.given!r}, not {last.answer}"
            progress(f"{last.n_tokens:,} tokens, {last.seconds:.0f} s: {found}")
        right = fmean(trial.right for trial in trials if trial.length == length)
        progress(f"{right:.0%} right at {length:,} tokens")
    return OriginalResult(options, trials)


def prompt_of(n_filler_chars: int, place: float, key: str) -> str:
    """Return a prompt with the number behind a share ``place`` (0 to 1) of the filler."""
    before = round(place * n_filler_chars)
    endless = FILLER * (n_filler_chars // len(FILLER) + 1)
    lines = [
        INTRODUCTION.rstrip("\n"),
        endless[:before],
        f"The pass key is {key}. Remember it. {key} is the pass key.",
        endless[: n_filler_chars - before],
        QUESTION,
    ]
    return "\n".join(lines)


def _ask(loaded: LoadedModel, length: int, number: int, options: OriginalOptions) -> OriginalTrial:
    # Without the length: every length has the same questions, so that they compare in pairs.
    rng = random.Random(f"original {options.seed} {number}")
    place, key = rng.random(), str(rng.randrange(1, HIGHEST_KEY))
    ids = _prompt_ids(loaded, length, place, key)
    n_last = options.last_context or loaded.model.config.last_context_length
    n_new = len(loaded.tokenizer.encode(f" {key}")) + SPARE_TOKENS
    start = time.perf_counter()
    written, memory_bytes = write_after(loaded.trainable, ids, n_last, n_new)
    seconds = time.perf_counter() - start
    given = loaded.tokenizer.decode(written)
    return OriginalTrial(length, len(ids), place, key, given, memory_bytes, seconds)


def _prompt_ids(loaded: LoadedModel, length: int, place: float, key: str) -> list[int]:
    """Return a prompt of at most ``length`` tokens, and hardly fewer."""
    sample, bare = 50, _ids(loaded, prompt_of(0, place, key))
    per_char = len(loaded.tokenizer.encode(FILLER * sample)) / len(FILLER * sample)
    n_chars = int((length - len(bare)) / per_char)
    if n_chars < len(FILLER):
        raise ConfigError(
            f"--lengths has {length}, but the question alone has {len(bare)} tokens; give more."
        )
    ids = _ids(loaded, prompt_of(n_chars, place, key))
    while len(ids) > length:  # cut sentences may take more tokens than whole ones
        n_chars -= max(1, int((len(ids) - length) / per_char))
        ids = _ids(loaded, prompt_of(n_chars, place, key))
    return ids


def _ids(loaded: LoadedModel, text: str) -> list[int]:
    tokenizer = loaded.tokenizer
    return ([] if tokenizer.bos_id is None else [tokenizer.bos_id]) + tokenizer.encode_first(text)
