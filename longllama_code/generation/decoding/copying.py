"""Copying: a mixture of the model's prediction and what followed the same tokens in memory.

    p(token) = (1 - g) · model(token) + g · share of the longest match's occurrences it follows

The gate g is logistic in a few features of the match and of the model's prediction. A small model
finds a name in memory by attention, and then misspells it; the gate learns when to trust a match.
Sources: "On the Localness of Software" (Tu et al., 2014); the mixture of a pointer with a
vocabulary, "Pointer Sentinel Mixture Models" (arXiv 1609.07843).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.retrieval.ngrams import Match
from longllama_code.model_config import N_COPY_FEATURES, ModelConfig

MAX_GATE = 0.999
"""Largest gate; tokens that memory never showed stay possible."""
LEAST_PROBABILITY = 1e-4
"""Offset of a probability's logarithm in the features."""


@dataclass(frozen=True)
class Copy:
    """Mixture of a match and a prediction."""

    match: Match
    gate: float
    """Weight of the match, 0 to 1."""
    log_probs: Tensor
    """The mixture, float32 (V,)."""


class Copier:
    """Copying from visible memory in one completion, for models with a gate.

    Args:
        weights: of the features in the gate, (8,).
        memory: visible memory, which is told the rows that a token was copied from.
        credit: attention that a token counts as if it was copied as a whole.
    """

    def __init__(self, weights: Sequence[float], memory: CompletionMemory, credit: float) -> None:
        self._weights = torch.tensor(weights)
        self._memory, self._credit = memory, credit
        self._last: Copy | None = None

    @classmethod
    def of(cls, config: ModelConfig, memory: CompletionMemory | None) -> Copier | None:
        """Return the copier of a model, or None if it has no gate or sees no memory."""
        if config.copy_gate is None or memory is None:
            return None
        n_heads = sum(len(config.memory_heads(layer)) for layer in config.mem_layers)
        # For sources, a copied token counts as much as one token's attention of all memory heads.
        queries = max(n_heads, 1) * config.num_attention_heads / config.n_kv_heads
        memory.token_mass = queries
        return cls(config.copy_gate, memory, queries)

    def mix(self, logits: Tensor, context: Sequence[int]) -> Tensor:
        """Return log probabilities (V,) of the mixture, or the logits if there is no match.

        Args:
            logits: the model's, (V,).
            context: ids before the token that is predicted.
        """
        match = self._memory.match(context)
        self._last = None if match is None else copied(logits, match, self._weights)
        return logits if self._last is None else self._last.log_probs.to(logits.device)

    @property
    def candidates(self) -> list[int]:
        """Tokens of the last match."""
        return [] if self._last is None else self._last.match.tokens.tolist()

    def mix_window(self, logits: Tensor, ids: Sequence[int]) -> Tensor:
        """Return the mixtures after each of the ids' last S tokens, (S, V)."""
        first = len(ids) - len(logits) + 1
        return torch.stack(
            [self.mix(row, ids[: first + number]).float() for number, row in enumerate(logits)]
        )

    def chose(self, token: int) -> None:
        """Credit the rows that a chosen token was copied from, by the match's share in it."""
        if self._last is None:
            return
        rows = self._last.match.rows[self._last.match.followers == token]
        if len(rows):
            drawn = self._last.gate * len(rows) / len(self._last.match.rows)
            share = drawn / float(self._last.log_probs[token].exp())
            self._memory.credit(rows, self._credit * share)


def copied(logits: Tensor, match: Match, weights: Tensor) -> Copy:
    """Return the mixture of a prediction (V,) and a match."""
    log_probs = logits.float().cpu().log_softmax(dim=-1)
    gate = gate_of(features(match, log_probs), weights)
    mixed = log_probs + torch.log1p(-gate)
    shares = gate * match.counts / match.counts.sum()
    mixed[match.tokens] = torch.logaddexp(mixed[match.tokens], shares.log())
    return Copy(match, float(gate), mixed)


def gate_of(found: Tensor, weights: Tensor) -> Tensor:
    """Return the gate (…), 0 to 1, for features (…, 8)."""
    return torch.sigmoid(found @ weights).clamp(max=MAX_GATE)


def features(match: Match, log_probs: Tensor) -> Tensor:
    """Return the features that the gate weighs, float32 (8,).

    Args:
        match: the longest match.
        log_probs: the model's, (V,).
    """
    likeliest = int(match.counts.argmax())
    expected = float(log_probs[match.tokens[likeliest]].exp())
    surprise = -log_probs.clamp(
        min=torch.finfo(log_probs.dtype).min
    )  # not 0 · ∞ for forbidden tokens
    found = (
        1.0,
        math.log1p(match.length),
        math.log1p(len(match.rows)),
        math.log1p(len(match.tokens)),
        expected,
        math.log(expected + LEAST_PROBABILITY),
        float(torch.dot(log_probs.exp(), surprise)),
        float(log_probs.max().exp()),
    )
    assert len(found) == N_COPY_FEATURES
    return torch.tensor(found)
