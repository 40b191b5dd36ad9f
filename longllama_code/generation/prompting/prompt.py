"""Prompt of a cursor: excerpts of other files, and the text around it.

    [names, excerpts] text after the cursor · text before it

The text before the cursor begins at an anchor that moves in steps of the text's length. It stays in
place while the user types, so the keys and values of one request serve the next. A model with
infill marks also gets the lines after the cursor, which precede those before it (``infill.py``),
and excerpts of other files in the repository layout that it was trained on.
"""

from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from longllama_code.generation.prompting.definition_layout import head_ids, path_ids, text_ids
from longllama_code.generation.prompting.infill import InfillMarks, first_lines
from longllama_code.memory.segments.identity import path_header
from longllama_code.tokenizers.tokenizer import Tokenizer

ANCHOR_STEP_CHARS = 1024
"""Code points of a step; the local context has one to two steps before the cursor."""
MARKED_STEP_CHARS = 2048
"""Step for models that were trained to fill in: about 512 tokens of code."""
CHARS_PER_TOKEN = 2
"""Code points of a step for each token where their number is limited: a token has some three."""


@dataclass(frozen=True)
class Prompt:
    """Token ids of the local context, and the text that token healing removed from its end."""

    ids: list[int]
    start: int
    """Offset in the prefix where the local text begins."""
    end: int
    """Offset in prefix and suffix where the local text ends, at or behind the cursor."""
    healed: str
    """Unfinished word before the cursor, with which the generated tokens must begin."""


class Shown(Protocol):
    """Definition or chunk of another file that was chosen to be shown."""

    @property
    def path(self) -> str:
        """Its file."""
        ...

    @property
    def name(self) -> str:
        """Its name: a definition's with its class's, or a chunk's lines."""
        ...

    @property
    def shown(self) -> str:
        """Its text, as the prompt shows it."""
        ...

    @property
    def line(self) -> int:
        """Its first line, from 1."""
        ...

    @property
    def last_line(self) -> int:
        """Its last line, inclusive."""
        ...

    @property
    def reason(self) -> str:
        """Why it was chosen, in plain words."""
        ...

    @property
    def key(self) -> tuple[str, str, str]:
        """Its identity, whatever its lines and the reason."""
        ...


@dataclass(frozen=True)
class Excerpt:
    """Lines of another file of the repository, as the prompt shows them."""

    path: str
    text: str
    """Whole lines, without the last one's end."""
    chosen: tuple[Shown, ...] = field(default=(), compare=False)
    """What the excerpt shows."""


@dataclass(frozen=True)
class PromptSource:
    """Cursor in a file of a repository, and excerpts of other files."""

    path: str
    prefix: str
    """The file's text before the cursor."""
    suffix: str = ""
    """The file's text after it."""
    repository: str = ""
    """The repository's name; an empty one is not shown."""
    excerpts: tuple[Excerpt, ...] = ()
    """Excerpts of other files, for models with infill marks; the last one is nearest to the
    cursor's file. Adjacent excerpts of one path are shown as one file."""
    local_tokens: int = 0
    """About the most tokens of the file itself on either side of the cursor; 0: no limit."""


def anchor(prefix: str, step: int = ANCHOR_STEP_CHARS) -> int:
    """Return the offset of the line where the local context begins.

    Example: with steps of 1024, a cursor at 2500 looks back to the first line after 1024 and goes
    on doing so until the cursor passes 3072.
    """
    start = max(0, (len(prefix) // step - 1) * step)
    if start == 0:
        return 0
    line_end = prefix.find("\n", start - 1)
    return line_end + 1 if 0 <= line_end < start + step else start


def build_prompt(
    source: PromptSource, tokenizer: Tokenizer, max_tokens: int, marks: InfillMarks | None = None
) -> Prompt:
    """Return the local context of a cursor, at most ``max_tokens`` long.

    If the cursor may be inside a word or an indentation, the last token is removed, and the caller
    makes the generation begin with its text (token healing).

    Args:
        source: the cursor, its file, and excerpts.
        tokenizer: the model's.
        max_tokens: most ids.
        marks: the model's infill marks; without marks, the suffix is not shown.
    """
    prefix = source.prefix
    is_taught = marks is not None and marks.always
    step = MARKED_STEP_CHARS if is_taught else ANCHOR_STEP_CHARS
    start = anchor(prefix, min(step, CHARS_PER_TOKEN * source.local_tokens or step))
    text = prefix[start:]
    ids, spans = tokenizer.offsets(text)
    if _may_go_on(text):
        healed_from = _last_word_token(text, spans)
        n_kept = sum(first < healed_from for first, _ in spans)
        ids, spans = ids[:n_kept], spans[:n_kept]
    else:
        healed_from = len(text)
    head, n_after = _before(source, tokenizer, max_tokens, marks)
    n_cut = max(0, len(ids) + len(head) - max_tokens)
    return Prompt(
        ids=head + ids[n_cut:],
        start=start + (spans[n_cut][0] if n_cut else 0),
        end=len(prefix) + n_after,
        healed=text[healed_from:],
    )


def opening(
    source: PromptSource, tokenizer: Tokenizer, marks: InfillMarks | None = None
) -> list[int]:
    """Return the ids of a prompt's beginning, to the end of the excerpts.

    Args:
        source: the file, and the first excerpts of its prompts.
        tokenizer: the model's.
        marks: the model's infill marks; without marks, no excerpts are shown.
    """
    if marks is None:
        return [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    begin = head_ids(source.repository, tokenizer, marks)
    for path, texts in groupby(source.excerpts, attrgetter("path")):
        begin += path_ids(path, tokenizer, marks)
        for excerpt in texts:
            begin += text_ids(excerpt.text, tokenizer)
    return begin


def _may_go_on(text: str) -> bool:
    """Whether the last token may be part of a longer one; at the start of a line, it is not."""
    return bool(text) and (not text[-1].isspace() or text[-1] in " \t")


def _before(
    source: PromptSource, tokenizer: Tokenizer, max_tokens: int, marks: InfillMarks | None
) -> tuple[list[int], int]:
    """Return the ids before the local text, and how many code points of the suffix they contain.

    At most half of the tokens are names and excerpts, and a quarter the suffix, whatever the local
    text is, so they stay the same while the user types.
    """
    begin = _names(source, tokenizer, marks)[-(max_tokens // 2) :]
    header = tokenizer.encode_first(path_header(source.path))[-(max_tokens // 2) :]
    if marks is None:
        return begin + header, 0
    room = max_tokens // 4 - marks.n_marks
    most = min(marks.suffix_tokens, room, source.local_tokens or room)
    shown, n_after = first_lines(source.suffix, tokenizer, most)
    if not shown and not (marks.always and room >= 0):
        return begin + header, 0
    behind = header if marks.file is None else []
    return marks.head(begin, shown, behind), n_after


def _names(source: PromptSource, tokenizer: Tokenizer, marks: InfillMarks | None) -> list[int]:
    """Return a prompt's beginning, and the file's own path if the model has a mark for it."""
    begin = opening(source, tokenizer, marks)
    if marks is None or marks.file is None:
        return begin
    return [*begin, marks.file, *tokenizer.encode(f"{source.path}\n")]


def _last_word_token(text: str, spans: list[tuple[int, int]]) -> int:
    """Offset of the token to take back: the last one, or the run of blanks before the cursor."""
    stripped = len(text.rstrip(" \t"))
    if stripped < len(text):
        covering = [first for first, last in spans if last > stripped]
        return max(covering[0] if covering else stripped, 0)
    return spans[-1][0]
