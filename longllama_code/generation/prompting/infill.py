"""Infill marks: how a model was trained to see the text around a cursor.

    [REPOSITORY · name] [FILE · path] SUFFIX marks · text after · PREFIX marks · text before

The text after the cursor comes first, so the model continues the text before it, and typing only
appends to the prompt. Models that were trained on ``prefix · suffix · middle`` get an empty prefix,
and a middle that begins with the text before the cursor. Qwen2.5-Coder is right more often with it
than with its own order (first lines of CrossCodeEval: 0.48, 0.44); for Code Llama and StarCoder it
is one of the two published orders.

Sources: "Efficient Training of Language Models to Fill in the Middle" (arXiv 2207.14255), section 3
(SPM, its second variant); ``llama/generation.py`` of Code Llama (``infilling_prompt_tokens`` with
``suffix_first``); the prompts published with the other families.
"""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.model_config import ModelConfig
from longllama_code.tokenizers.sentencepiece import MARKS
from longllama_code.tokenizers.tokenizer import Tokenizer

MAX_SUFFIX_TOKENS = 512
"""Most tokens of the text after the cursor in a prompt."""
TUNED_SUFFIX_TOKENS = 96
"""Most tokens of that text for models tuned by us, which were trained with as few."""
MAX_CHARS_PER_TOKEN = 16
"""Longest token that is assumed, in code points, when text is cut before tokenizing."""


@dataclass(frozen=True)
class InfillFamily:
    """Names of the special tokens for infilling in a family of models.

    Attributes:
        prefix: precedes the text before the cursor.
        suffix: precedes the text after it.
        middle: precedes the text to generate.
        end: ends the generated text, if the family has a token for it.
        repository: precedes a repository's name.
        file: precedes a file's path.
    """

    prefix: str
    suffix: str
    middle: str
    end: str | None = None
    repository: str | None = None
    file: str | None = None


CODE_LLAMA = InfillFamily(*MARKS)
DEEPSEEK_CODER = InfillFamily("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>")
QWEN_CODER = InfillFamily(
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    repository="<|repo_name|>",
    file="<|file_sep|>",
)
STARCODER_2 = InfillFamily(
    "<fim_prefix>",
    "<fim_suffix>",
    "<fim_middle>",
    repository="<repo_name>",
    file="<file_sep>",
)
STARCODER = InfillFamily(
    "<fim_prefix>",
    "<fim_suffix>",
    "<fim_middle>",
    repository="<reponame>",
    file="<filename>",
)
FAMILIES = (CODE_LLAMA, DEEPSEEK_CODER, QWEN_CODER, STARCODER_2, STARCODER)
"""Families whose marks are looked up in a vocabulary; the first match is used.

StarCoder and StarCoder 2 differ in the names for repository and file alone, so a vocabulary with
neither name matches as well.
"""


@dataclass(frozen=True)
class InfillMarks:
    """Token ids that mark the text around a cursor for one model.

    Attributes:
        suffix: token ids before the text after the cursor.
        prefix: token ids before the text before it.
        ends: token ids that end the generated text.
        repository: token id before a repository's name, if the model has one.
        file: token id before a file's path; without it, a comment line names the file.
        suffix_tokens: most tokens of the text after the cursor.
        always: whether the prompt has marks even if nothing follows the cursor.
    """

    suffix: tuple[int, ...]
    prefix: tuple[int, ...]
    ends: frozenset[int] = frozenset()
    repository: int | None = None
    file: int | None = None
    suffix_tokens: int = TUNED_SUFFIX_TOKENS
    always: bool = False

    @classmethod
    def of(cls, config: ModelConfig, tokenizer: Tokenizer | None = None) -> InfillMarks | None:
        """Return the marks of a model's configuration, or else those of its vocabulary.

        Returns:
            None for a model that was not trained to fill in.
        """
        if config.infill_marks is not None:
            suffix, prefix = config.infill_marks
            return cls((suffix,), (prefix,))
        return None if tokenizer is None else cls.named(tokenizer)

    @classmethod
    def named(cls, tokenizer: Tokenizer) -> InfillMarks | None:
        """Return the marks of the first family whose names are in the vocabulary."""
        known = [family for family in FAMILIES if _knows(tokenizer, family)]
        # Of two families with the same marks, prefer the one whose name for files is known, too.
        with_files = [each for each in known if each.file and tokenizer.id_of(each.file)]
        family = next(iter([*with_files, *known]), None)
        return None if family is None else cls._of_family(tokenizer, family)

    @classmethod
    def _of_family(cls, tokenizer: Tokenizer, family: InfillFamily) -> InfillMarks:
        def token(name: str | None) -> int | None:
            return None if name is None else tokenizer.id_of(name)

        prefix, suffix, middle = map(token, (family.prefix, family.suffix, family.middle))
        assert prefix is not None
        assert suffix is not None
        assert middle is not None
        end = token(family.end)
        return cls(
            suffix=(prefix, suffix),
            prefix=(middle,),
            # After an answer, an instruct model ends its turn or begins another file.
            ends=tokenizer.special_ids if end is None else frozenset((end,)),
            repository=token(family.repository),
            file=token(family.file),
            suffix_tokens=MAX_SUFFIX_TOKENS,
            always=True,
        )

    def head(self, begin: list[int], suffix: list[int], header: list[int]) -> list[int]:
        """Return the ids that precede the text before the cursor."""
        return [*begin, *self.suffix, *suffix, *self.prefix, *header]

    @property
    def n_marks(self) -> int:
        """Number of mark ids around the text after the cursor."""
        return len(self.suffix) + len(self.prefix)

    @property
    def ids(self) -> frozenset[int]:
        """Ids of all marks."""
        of_files = (self.repository, self.file)
        return frozenset((*self.suffix, *self.prefix, *(i for i in of_files if i is not None)))


def _knows(tokenizer: Tokenizer, family: InfillFamily) -> bool:
    names = (family.prefix, family.suffix, family.middle)
    return all(tokenizer.id_of(name) is not None for name in names)


def end_ids(tokenizer: Tokenizer, marks: InfillMarks | None) -> frozenset[int]:
    """Return the ids that end a suggestion."""
    return frozenset((tokenizer.eos_id,)) | (frozenset() if marks is None else marks.ends)


def never_written(
    tokenizer: Tokenizer, marks: InfillMarks | None, vocab_size: int = 0
) -> frozenset[int]:
    """Return the ids that no suggestion contains: special ones, marks, and unknown ones.

    Args:
        tokenizer: the model's.
        marks: the model's.
        vocab_size: number of ids that the model predicts, often more than its vocabulary has.
    """
    own = frozenset[int]() if marks is None else marks.ids
    unknown = frozenset(range(tokenizer.vocab_size, vocab_size))
    return (tokenizer.special_ids | own | unknown) - end_ids(tokenizer, marks)


def first_lines(text: str, tokenizer: Tokenizer, max_tokens: int) -> tuple[list[int], int]:
    """Return the ids of a text's first lines, and the number of code points that they cover.

    If only blank lines fit, the next line is cut at a token. The result depends on this text alone,
    so it stays the same while the user types before it.

    Args:
        text: the text after a cursor.
        tokenizer: the model's.
        max_tokens: most ids; no ids if it is below 1.
    """
    max_tokens = max(0, max_tokens)
    part = text[: MAX_CHARS_PER_TOKEN * max_tokens]
    ids, spans = tokenizer.offsets(part)
    if len(ids) <= max_tokens and len(part) == len(text):
        return ids, len(text)
    end = spans[max_tokens][0] if len(ids) > max_tokens else len(part)
    whole = part.rfind("\n", 0, end) + 1
    end = whole if part[:whole].strip() else end
    # Tokenized again: a token may extend over the line's end into the next indentation.
    return tokenizer.encode(part[:end])[:max_tokens], end
