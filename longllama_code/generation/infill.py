"""The text after the cursor in the prompt, between marks, in the order that the model was taught.

    begin · SUFFIX mark · text after · PREFIX mark · header · text before        suffix first
    begin · PREFIX mark · header · text before · SUFFIX mark · text after · MIDDLE mark

Suffix first, what is generated goes on from the text before the cursor, so typing only appends to
the prompt; with the text after the cursor last, that text is read again at each key. Sources:
"Efficient Training of Language Models to Fill in the Middle" (arXiv 2207.14255), section 3 (suffix
first here without its mark between prefix and middle, which are one text); ``llama/generation.py``
of Code Llama (``infilling_prompt_tokens``); the published prompts of the other families.
"""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.config import LongLlamaConfig
from longllama_code.sentencepieces import MARKS
from longllama_code.tokenizer import Tokenizer

FAMILIES = (
    MARKS,
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", None),
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>"),
)
"""Names of the marks before prefix, suffix and middle, and of what ends the middle.

Code Llama; DeepSeek-Coder; Qwen2.5-Coder; StarCoder.
"""
MAX_SUFFIX_TOKENS = 96
"""Tokens of the text after the cursor that a prompt begins with; memory has the rest of it."""
MAX_CHARS_PER_TOKEN = 16
"""Of so many characters a text is cut before it is tokenized; more per token is no text."""


@dataclass(frozen=True)
class InfillMarks:
    """Token ids that stand before the text after the cursor, and before the text before it."""

    suffix: int
    prefix: int
    middle: int | None = None
    """Before what is to be written, which then stands last; None for suffix first."""
    end: int | None = None
    """Ends what was written, beside the end of a document."""

    @classmethod
    def of(cls, config: LongLlamaConfig, tokenizer: Tokenizer | None = None) -> InfillMarks | None:
        """Those of a model: of its configuration, or else of its vocabulary.

        None for one that was not taught to fill in.
        """
        if config.infill_marks is not None:
            return cls(*config.infill_marks)
        return None if tokenizer is None else cls.named(tokenizer)

    @classmethod
    def named(cls, tokenizer: Tokenizer) -> InfillMarks | None:
        """Those of the family whose marks the vocabulary has."""
        for prefix, suffix, middle, end in FAMILIES:
            ids = [tokenizer.id_of(name) for name in (suffix, prefix, middle)]
            known = [token for token in ids if token is not None]
            if len(known) == len(ids):
                return cls(*known, end=None if end is None else tokenizer.id_of(end))
        return None

    def head(self, begin: list[int], suffix: list[int], header: list[int]) -> list[int]:
        """What stands before the text before the cursor, suffix first."""
        return [*begin, self.suffix, *suffix, self.prefix, *header]

    def around(
        self, begin: list[int], suffix: list[int], header: list[int]
    ) -> tuple[list[int], list[int]]:
        """What stands before the text before the cursor, and what behind it."""
        if self.middle is None:
            return self.head(begin, suffix, header), []
        return [*begin, self.prefix, *header], [self.suffix, *suffix, self.middle]

    @property
    def ids(self) -> frozenset[int]:
        """All of them."""
        own = (self.suffix, self.prefix, self.middle, self.end)
        return frozenset(token for token in own if token is not None)


def end_ids(tokenizer: Tokenizer, marks: InfillMarks | None) -> frozenset[int]:
    """Ids that end a suggestion."""
    end = None if marks is None else marks.end
    return frozenset((tokenizer.eos_id,)) | (frozenset() if end is None else frozenset((end,)))


def never_written(
    tokenizer: Tokenizer, marks: InfillMarks | None, vocab_size: int = 0
) -> frozenset[int]:
    """Ids that no suggestion holds: special ones, the marks, and those that the vocabulary lacks.

    Args:
        tokenizer: the model's.
        marks: the model's.
        vocab_size: how many ids the model predicts; often more than its vocabulary has.
    """
    own = frozenset[int]() if marks is None else marks.ids
    unknown = frozenset(range(tokenizer.vocab_size, vocab_size))
    return (tokenizer.special_ids | own | unknown) - end_ids(tokenizer, marks)


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
