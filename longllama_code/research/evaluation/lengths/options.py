"""Options of evaluations by length, which the command line can read without torch."""

from dataclasses import dataclass

from longllama_code.research.evaluation.lengths.needles import KINDS, Kind


@dataclass(frozen=True, kw_only=True)
class ByLength:
    """Options that all of them share."""

    lengths: tuple[int, ...]
    """Lengths in tokens."""


@dataclass(frozen=True, kw_only=True)
class PasskeyOptions(ByLength):
    """Options of questions to repository memory."""

    lengths: tuple[int, ...] = (1_000, 4_000, 16_000, 64_000, 256_000)
    """Sizes of memory in tokens, including the needle's file."""
    depths: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Positions of the needle's file among the sorted paths, 0 to 1."""
    trials: int = 5
    """Questions for each length and depth."""
    kinds: tuple[Kind, ...] = KINDS
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class InOneInput(ByLength):
    """Options of one long input, whose last tokens stay local."""

    last_context: int | None = None
    """Number of tokens that stay local; None uses the model's configuration."""


@dataclass(frozen=True, kw_only=True)
class OriginalOptions(InOneInput):
    """Options of the original's pass-key prompts."""

    lengths: tuple[int, ...] = (4_000, 16_000, 64_000, 100_000, 256_000)
    """Lengths of the prompt, in tokens."""
    trials: int = 5
    """Prompts of each length."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ContextOptions(InOneInput):
    """Options of perplexity by length of context."""

    lengths: tuple[int, ...] = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536)
    """Lengths of the context in tokens, including the scored ones."""
    documents: int = 1
    """Documents of each tree, one after the other."""
    scored: int = 512
    """Scored tokens at the end of each document; at most half of the local ones."""
