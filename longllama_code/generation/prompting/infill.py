"""The text around a cursor as a model was taught to see it: marks, their order, and how much.

    [REPOSITORY · name] [FILE · path] SUFFIX marks · text after · PREFIX marks · text before

The text after the cursor stands first, so what is generated goes on from the text before it, and
typing only appends to the prompt. Models that were taught ``prefix · suffix · middle`` are shown an
empty prefix, and a middle that begins with the text before the cursor. With Qwen2.5-Coder that is
right more often than its own order (first lines of CrossCodeEval: 0.48, 0.44); for Code Llama and
StarCoder it is one of the two published orders.

Sources: "Efficient Training of Language Models to Fill in the Middle" (arXiv 2207.14255), section 3
(SPM, its second variant); ``llama/generation.py`` of Code Llama (``infilling_prompt_tokens`` with
``suffix_first``); the prompts published with the other families.
"""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.config import LongLlamaConfig
from longllama_code.tokenizers.sentencepiece import MARKS
from longllama_code.tokenizers.tokenizer import Tokenizer

MAX_SUFFIX_TOKENS = 512
"""Most tokens of the text after the cursor in a prompt; memory has the rest of the file."""
TUNED_SUFFIX_TOKENS = 96
"""Most such tokens for marks that our own tuning taught, with as little text."""
MAX_CHARS_PER_TOKEN = 16
"""Longest token that is reckoned with, in code points, where text is cut to be tokenized."""


@dataclass(frozen=True)
class InfillFamily:
    """Names of the special tokens that a family of models was taught to fill in with.

    Attributes:
        prefix: stands before the text before the cursor.
        suffix: stands before the text after it.
        middle: stands before what is to be written.
        end: ends what is written, where the family has a token of its own for that.
        repository: stands before a repository's name.
        file: stands before a file's path.
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
"""Every family whose marks are looked for in a vocabulary; the first that is there is taken.

StarCoder's marks are StarCoder 2's with other names for repository and file, so that a vocabulary
with neither of those is still filled in with.
"""


@dataclass(frozen=True)
class InfillMarks:
    """Token ids by which one model is shown the text around a cursor.

    Attributes:
        suffix: token ids before the text after the cursor.
        prefix: token ids before the text before it.
        ends: token ids that end what is written.
        repository: token id before a repository's name, where the model knows one.
        file: token id before a file's path; absent, a comment line names the file.
        suffix_tokens: most tokens of the text after the cursor.
        always: whether the marks stand in the prompt where nothing follows the cursor, too.
    """

    suffix: tuple[int, ...]
    prefix: tuple[int, ...]
    ends: frozenset[int] = frozenset()
    repository: int | None = None
    file: int | None = None
    suffix_tokens: int = TUNED_SUFFIX_TOKENS
    always: bool = False

    @classmethod
    def of(cls, config: LongLlamaConfig, tokenizer: Tokenizer | None = None) -> InfillMarks | None:
        """Return the marks of a model's configuration, or else those of its vocabulary.

        None for a model that was not taught to fill in.
        """
        if config.infill_marks is not None:
            suffix, prefix = config.infill_marks
            return cls((suffix,), (prefix,))
        return None if tokenizer is None else cls.named(tokenizer)

    @classmethod
    def named(cls, tokenizer: Tokenizer) -> InfillMarks | None:
        """Return the marks of the family whose names the vocabulary has."""
        known = [family for family in FAMILIES if _knows(tokenizer, family)]
        # Of two families with the same marks, the one whose names for files are known as well.
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
            # An instruct model ends a turn, or begins a file, where an answer is over.
            ends=tokenizer.special_ids if end is None else frozenset((end,)),
            repository=token(family.repository),
            file=token(family.file),
            suffix_tokens=MAX_SUFFIX_TOKENS,
            always=True,
        )

    def head(self, begin: list[int], suffix: list[int], header: list[int]) -> list[int]:
        """Return what stands before the text before the cursor."""
        return [*begin, *self.suffix, *suffix, *self.prefix, *header]

    @property
    def n_marks(self) -> int:
        """Number of ids that stand around the text after the cursor."""
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
    """Return the ids that no suggestion holds: special ones, marks, those the vocabulary lacks.

    Args:
        tokenizer: the model's.
        marks: the model's.
        vocab_size: how many ids the model predicts; often more than its vocabulary has.
    """
    own = frozenset[int]() if marks is None else marks.ids
    unknown = frozenset(range(tokenizer.vocab_size, vocab_size))
    return (tokenizer.special_ids | own | unknown) - end_ids(tokenizer, marks)


def first_lines(text: str, tokenizer: Tokenizer, max_tokens: int) -> tuple[list[int], int]:
    """Return the ids of a text's first lines, and how many of its code points they stand for.

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
