"""Perplexity of the same tokens after growing contexts, as in table 3 of the paper.

files of a tree, joined ──▶ documents of the longest context ──▶ their last tokens, scored after
                            the last 2k, 4k, … tokens: through memory, and where they fit in
                            the window, as local context too
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.lengths.long_input import last_losses, last_losses_locally
from longllama_code.research.evaluation.lengths.options import ContextOptions

Reading = Literal["memory", "local"]
READINGS: tuple[Reading, ...] = ("memory", "local")
JOIN = "\n\n"


@dataclass(frozen=True)
class ContextRow:
    """One document after one context."""

    document: str
    reading: Reading
    length: int
    loss: float
    """Mean loss of the scored tokens, in nats."""


@dataclass(frozen=True)
class ContextResult:
    """Results of all documents, and the trees that were too small for one."""

    options: ContextOptions
    rows: list[ContextRow]
    scored: int
    """Number of scored tokens of each document."""
    too_small: dict[str, int]
    """Number of tokens of each tree that was too small."""

    def losses(self, reading: Reading, length: int) -> dict[str, float]:
        """Return the loss of each document."""
        found = (row for row in self.rows if (row.reading, row.length) == (reading, length))
        return {row.document: row.loss for row in found}

    def perplexity(self, reading: Reading, length: int) -> float:
        """Return the perplexity over all scored tokens; nan without any."""
        losses = self.losses(reading, length)
        return math.exp(fmean(losses.values())) if losses else math.nan

    def change(self, reading: Reading, length: int) -> tuple[float, float | None]:
        """Return the loss's change against the shortest context and its standard error, in nats."""
        losses, base = self.losses(reading, length), self.losses(reading, min(self.options.lengths))
        changes = [loss - base[document] for document, loss in losses.items() if document in base]
        if not changes:
            return math.nan, None
        error = stdev(changes) / math.sqrt(len(changes)) if len(changes) > 1 else None
        return fmean(changes), error


def context_perplexity(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: ContextOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> ContextResult:
    """Score every document after every context.

    Raises:
        ConfigError: no tree has enough tokens for one document, or a length is too small for the
            scored tokens.
    """
    n_last = options.last_context or loaded.trainable.config.last_context_length
    n_scored = _scored(options, n_last)
    rows: list[ContextRow] = []
    too_small: dict[str, int] = {}
    for tree in trees:
        ids = _ids(loaded, tree)
        documents = list(_documents(ids, options))
        if not documents:
            too_small[tree.name] = len(ids)
        for number, document in enumerate(documents):
            name = f"{tree.name} {number + 1}"
            for length in sorted(options.lengths):
                read = list(_read(loaded, document[-length:], n_last, n_scored))
                rows += [ContextRow(name, reading, length, loss) for reading, loss in read]
                shown = ", ".join(f"{math.exp(loss):.2f} ({reading})" for reading, loss in read)
                progress(f"{name}, {length:,} tokens: {shown}")
    if not rows:
        raise ConfigError(
            f"no source tree has {max(options.lengths):,} tokens ({_listed(too_small)}); name "
            "larger ones with --repo, or give smaller --lengths."
        )
    return ContextResult(options, rows, n_scored, too_small)


def _scored(options: ContextOptions, n_last: int) -> int:
    """Return how many tokens to score: at most half of the local context, so that all have some."""
    n_scored = min(options.scored, n_last // 2)
    if n_scored < 1 or min(options.lengths) <= n_scored:
        raise ConfigError(
            f"--lengths has {min(options.lengths)}, --scored is {options.scored} and {n_last} "
            "tokens stay local; there must be room for context before what is scored."
        )
    return n_scored


def _read(
    loaded: LoadedModel, ids: list[int], n_last: int, n_scored: int
) -> Iterator[tuple[Reading, float]]:
    """Yield the loss after a context, for each way in which the model can read it.

    Each context begins like a document: BOS replaces its first token.
    """
    model, bos = loaded.trainable, loaded.tokenizer.bos_id
    ids = ids if bos is None else [bos, *ids[1:]]
    if model.config.mem_layers:
        yield "memory", float(last_losses(model, ids, n_last, n_scored).mean())
    if len(ids) <= model.config.window:
        yield "local", float(last_losses_locally(model, ids, n_scored).mean())


def _documents(ids: list[int], options: ContextOptions) -> Iterator[list[int]]:
    size = max(options.lengths)
    for start in range(0, min(len(ids) // size, options.documents) * size, size):
        yield ids[start : start + size]


def _ids(loaded: LoadedModel, tree: SourceTree) -> list[int]:
    texts = (tree.texts[path] for path in sorted(tree.texts))
    return loaded.tokenizer.encode(JOIN.join(texts))


def _listed(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name}: {size:,}" for name, size in sizes.items()) or "none was named"
