"""The text after the cursor in the prompt: first, behind a mark of its own (suffix first).

    begin token · SUFFIX mark · text after the cursor · PREFIX mark · path header · text before it

What is generated goes on from the text before the cursor, so typing only appends to the prompt.
Source: "Efficient Training of Language Models to Fill in the Middle" (arXiv 2207.14255), section 3
(suffix-prefix-middle), without its mark between prefix and middle, which are one text here.
"""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.config import LongLlamaConfig


@dataclass(frozen=True)
class InfillMarks:
    """Token ids that stand before the text after the cursor, and before the text before it."""

    suffix: int
    prefix: int

    @classmethod
    def of(cls, config: LongLlamaConfig) -> InfillMarks | None:
        """Those of a model; None for one that was not taught to fill in."""
        return None if config.infill_marks is None else cls(*config.infill_marks)

    def head(self, begin: list[int], suffix: list[int], header: list[int]) -> list[int]:
        """What stands before the text before the cursor."""
        return [*begin, self.suffix, *suffix, self.prefix, *header]
