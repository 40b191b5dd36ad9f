"""The text after the cursor in the prompt: first, behind a mark of its own (suffix first).

    begin token · SUFFIX mark · text after the cursor · PREFIX mark · path header · text before it

What is generated goes on from the text before the cursor, so typing only appends to the prompt.
Source: "Efficient Training of Language Models to Fill in the Middle" (arXiv 2207.14255), section 3
(suffix-prefix-middle), without its mark between prefix and middle, which are one text here.
"""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.config import LongLlamaConfig
from longllama_code.tokenizer import Tokenizer

MAX_SUFFIX_TOKENS = 96
"""Tokens of the text after the cursor that a prompt begins with; memory has the rest of it."""
MAX_CHARS_PER_TOKEN = 16
"""Of so many characters a text is cut before it is tokenized; more per token is no text."""


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


def never_written(tokenizer: Tokenizer, marks: InfillMarks | None) -> frozenset[int]:
    """Ids that no suggestion holds: special ones but the end of a document, and the marks."""
    own = frozenset[int]() if marks is None else frozenset((marks.suffix, marks.prefix))
    return (tokenizer.special_ids | own) - {tokenizer.eos_id}


def first_lines(text: str, tokenizer: Tokenizer, max_tokens: int) -> tuple[list[int], int]:
    """Ids of the first lines of a text, and how many of its code points they stand for.

    The last line is cut off at a token where no whole line fits but blank ones. The result depends
    on this text alone, so what is typed before it leaves it as it is.

    Args:
        text: the text after a cursor.
        tokenizer: the model's.
        max_tokens: the most ids; none where it is below 1.
    """
    max_tokens = max(0, max_tokens)
    part = text[: MAX_CHARS_PER_TOKEN * max_tokens]
    ids, spans = tokenizer.offsets(part)
    if len(ids) <= max_tokens and len(part) == len(text):
        return ids, len(text)
    end = spans[max_tokens][0] if len(ids) > max_tokens else len(part)
    whole = part.rfind("\n", 0, end) + 1
    end = whole if part[:whole].strip() else end
    # Once more: a token may reach over the line's end, into the next one's indentation.
    return tokenizer.encode(part[:end])[:max_tokens], end
