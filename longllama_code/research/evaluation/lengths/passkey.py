"""Retrieval of numbers from memory: accuracy by size of memory and depth.

    filler ──▶ encoded once ──▶ GrowingMemory ──┐
    needle ──▶ encoded for each trial ──────────┴──▶ question ──▶ greedy digits, equal or not

Each question is asked twice more without memory: alone, which counts guesses,
and after the hidden text, which counts errors that are not due to memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from longllama_code.errors import ConfigError
from longllama_code.generation.completer import Completer
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.protocol import CompletionRequest
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.lengths.answer_loss import answer_loss
from longllama_code.research.evaluation.lengths.growing import GrowingMemory, put
from longllama_code.research.evaluation.lengths.needles import (
    FILLER_LINE,
    Kind,
    Needle,
    filler_notes,
    is_right,
    leading_share,
    needle,
    place,
)
from longllama_code.research.evaluation.lengths.options import PasskeyOptions
from longllama_code.research.evaluation.memories import EncodedFile, encode_files

Answer = Callable[[CompletionRequest], str]
"""Completes a request with the memory that belongs to it."""
MakeAnswer = Callable[[LoadedModel, RepositoryMemory], Answer]


@dataclass(frozen=True)
class Trial:
    """A question and its answers with memory and without."""

    kind: Kind
    length: int
    depth: float
    memory_tokens: int
    """Tokens in memory: whole segments, about ``length`` and hardly ever more."""
    place: float
    """Actual position of the file among the sorted paths, 0 to 1."""
    answer: str
    given: str
    given_without: str
    given_shown: str
    """Answer without memory, with the hidden text in local context."""
    loss: float
    """Loss of the whole right answer with memory, in nats."""
    loss_without: float

    @property
    def right(self) -> bool:
        """Whether the digits were right with memory."""
        return is_right(self.given, self.answer)

    @property
    def right_without(self) -> bool:
        """Whether they were right without it."""
        return is_right(self.given_without, self.answer)

    @property
    def right_shown(self) -> bool:
        """Whether they were right with the hidden text in local context."""
        return is_right(self.given_shown, self.answer)

    @property
    def leading(self) -> float:
        """Share of the digits right before the first wrong one, 0 to 1."""
        return leading_share(self.given, self.answer)


@dataclass(frozen=True)
class PasskeyResult:
    """Results of all questions, and the sizes that the filler was too small for."""

    options: PasskeyOptions
    trials: list[Trial]
    unreached: dict[Kind, list[int]] = field(default_factory=dict[Kind, list[int]])

    def cell(self, kind: Kind, length: int, depth: float) -> list[Trial]:
        """Return the trials of one length and depth."""
        return [t for t in self.trials if (t.kind, t.length, t.depth) == (kind, length, depth)]

    def accuracy(self, kind: Kind, length: int, depth: float) -> float:
        """Return share answered right, 0 to 1; nan without trials."""
        cell = self.cell(kind, length, depth)
        return fmean(trial.right for trial in cell) if cell else float("nan")


def complete_greedily(loaded: LoadedModel, memory: RepositoryMemory) -> Answer:
    """Return the answer of the server's own completion."""
    completer = Completer(CompletionModel(loaded.model, loaded.tokenizer), memory)
    return lambda request: completer.complete(request, lambda: False).text


def passkey(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: PasskeyOptions,
    progress: Callable[[str], None] = lambda _: None,
    make_answer: MakeAnswer = complete_greedily,
) -> PasskeyResult:
    """Run the task for every kind, length, depth and trial.

    Raises:
        ConfigError: there is no code to hide constants in, or a length
            is too small for what is hidden.
    """
    trials: list[Trial] = []
    unreached: dict[Kind, list[int]] = {}
    for kind in options.kinds:
        texts = _filler(loaded, kind, trees, options)
        progress(f"{kind}: encoding up to {max(options.lengths):,} tokens")
        files = encode_files(loaded, texts, max(options.lengths))
        growing = GrowingMemory(loaded, files)
        answer = make_answer(loaded, growing.memory)
        for length in sorted(options.lengths):
            answered = list(_ask(loaded, kind, length, growing, files, options, answer))
            trials += answered
            if not answered:
                unreached.setdefault(kind, []).append(length)
                progress(f"{kind}: the filler has fewer than {length:,} tokens")
            else:
                right = fmean(trial.right for trial in answered)
                progress(f"{kind}: {right:.0%} right at {length:,} tokens")
    return PasskeyResult(options, trials, unreached)


def code_filler(trees: Sequence[SourceTree], seed: int) -> dict[str, str]:
    """Return the files of all trees, shuffled, so that every size has files of every tree."""
    found = [
        (f"{tree.name}/{path}" if len(trees) > 1 else path, text)
        for tree in trees
        for path, text in sorted(tree.texts.items())
    ]
    random.Random(f"filler {seed}").shuffle(found)
    return dict(found)


def _filler(
    loaded: LoadedModel, kind: Kind, trees: Sequence[SourceTree], options: PasskeyOptions
) -> Mapping[str, str]:
    if kind == "constant":
        texts = code_filler(trees, options.seed)
        if not texts:
            raise ConfigError(
                "there is no code to hide a constant in; name a source tree with --repo or "
                "--packages, or ask with --kind passkey alone."
            )
        return texts
    line_tokens = len(loaded.tokenizer.encode(FILLER_LINE))
    # One segment each: equal segments of one file would be stored once.
    n_lines = max(1, loaded.limits.max_tokens // (line_tokens + 1))
    # Half as many again: lines may need fewer tokens together.
    n_notes = 3 * max(options.lengths) // (2 * n_lines * line_tokens) + 1
    return filler_notes(n_notes, n_lines)


def _ask(
    loaded: LoadedModel,
    kind: Kind,
    length: int,
    growing: GrowingMemory,
    files: Sequence[EncodedFile],
    options: PasskeyOptions,
    answer: Answer,
) -> Iterator[Trial]:
    """Yield the trials of one length; none where the filler is too small for it."""
    texts = [file.text for file in files]
    first = _needle(kind, growing, options, (options.depths[0], 0), texts)
    (sample,) = encode_files(loaded, {first.path: first.text})
    if sample.n_tokens > length:
        raise ConfigError(
            f"--lengths has {length}, but what is hidden has {sample.n_tokens} tokens; give more."
        )
    if not growing.grow(length - sample.n_tokens):
        return
    for depth in options.depths:
        for number in range(options.trials):
            hidden = _needle(kind, growing, options, (depth, number), texts)
            yield _try(loaded, kind, length, depth, growing, hidden, answer)


def _needle(
    kind: Kind,
    growing: GrowingMemory,
    options: PasskeyOptions,
    trial: tuple[float, int],
    texts: Sequence[str],
) -> Needle:
    # Without the length: every size has the same questions, so that they compare in pairs.
    rng = random.Random(f"{options.seed} {kind} {trial}")
    return needle(kind, rng, list(growing.memory.files), trial[0], texts)


def _try(
    loaded: LoadedModel,
    kind: Kind,
    length: int,
    depth: float,
    growing: GrowingMemory,
    hidden: Needle,
    answer: Answer,
) -> Trial:
    memory = growing.memory
    (file,) = encode_files(loaded, {hidden.path: hidden.text})
    put(memory, file)
    try:
        return Trial(
            kind=kind,
            length=length,
            depth=depth,
            memory_tokens=growing.n_tokens,
            place=place(memory.files, hidden.path),
            answer=hidden.answer,
            given=answer(hidden.request(uses_memory=True)),
            given_without=answer(hidden.request(uses_memory=False)),
            given_shown=answer(hidden.request(uses_memory=False, shows_text=True)),
            loss=answer_loss(loaded, hidden, memory),
            loss_without=answer_loss(loaded, hidden, None),
        )
    finally:
        memory.forget(hidden.path)
