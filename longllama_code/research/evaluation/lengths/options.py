"""What evaluations by length ask: plain values, so that a command line needs no model for them."""

from dataclasses import dataclass

from longllama_code.research.evaluation.lengths.needles import KINDS, Kind


@dataclass(frozen=True, kw_only=True)
class ByLength:
    """What they have in common."""

    lengths: tuple[int, ...]
    """In tokens."""


@dataclass(frozen=True, kw_only=True)
class PasskeyOptions(ByLength):
    """Questions to repository memory."""

    lengths: tuple[int, ...] = (1_000, 4_000, 16_000, 64_000, 256_000)
    """Tokens of memory, the needle's file among them."""
    depths: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Places of the needle's file among the sorted paths, 0 to 1."""
    trials: int = 5
    """Questions for each length and depth."""
    kinds: tuple[Kind, ...] = KINDS
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class InOneInput(ByLength):
    """Of one long input, whose last tokens stay local."""

    last_context: int | None = None
    """How many; absent, as the model's configuration has it."""


@dataclass(frozen=True, kw_only=True)
class OriginalOptions(InOneInput):
    """Prompts with a pass key, as the original asks for it."""

    lengths: tuple[int, ...] = (4_000, 16_000, 64_000, 100_000, 256_000)
    """Tokens of the prompt."""
    trials: int = 5
    """Prompts of each length."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ContextOptions(InOneInput):
    """Perplexity after more and more context."""

    lengths: tuple[int, ...] = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536)
    """Tokens of context, the scored ones among them."""
    documents: int = 1
    """Of each tree, one after the other."""
    scored: int = 512
    """Tokens at the end of each document; no more than half of those that stay local."""
