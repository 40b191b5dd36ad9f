"""The prompt of a cursor: excerpts of other files, and the text around it.

    [names, excerpts] text after the cursor · text before it

The text before the cursor begins at an anchor that is a function of the text's length in steps, so
it stays put while the user types, and the keys and values of one request serve the next. A model
with infill marks is also shown the lines after the cursor, before those before it (``infill.py``),
and excerpts of other files in the layout of repositories that it was taught.
"""

from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from longllama_code.definitions.choice import Chosen
from longllama_code.generation.prompting.infill import InfillMarks, first_lines
from longllama_code.memory.segments.encoder import path_header
from longllama_code.tokenizers.tokenizer import Tokenizer

ANCHOR_STEP_CHARS = 1024
"""Least code points before the cursor, where there are as many; at most twice as many."""
MARKED_STEP_CHARS = 2048
"""Step for models that were taught to fill in: 512 tokens of code or more."""


@dataclass(frozen=True)
class Prompt:
    """Token ids of the local context, and the text that healing took back from its end."""

    ids: list[int]
    start: int
    """Offset in the prefix where the local text begins."""
    end: int
    """Offset in prefix and suffix where it ends: at the cursor, or behind the lines after it."""
    healed: str
    """What the generated tokens must begin with: the unfinished word before the cursor."""


@dataclass(frozen=True)
class Excerpt:
    """Something of another file of the repository, as a model is shown it."""

    path: str
    text: str
    """Whole lines, without the last one's end."""
    chosen: tuple[Chosen, ...] = field(default=(), compare=False)
    """The definitions that are in it."""


@dataclass(frozen=True)
class Around:
    """A cursor in a file of a repository."""

    path: str
    prefix: str
    """The file's text before the cursor."""
    suffix: str = ""
    """The file's text after it."""
    repository: str = ""
    """The repository's name; empty, it is not told."""
    excerpts: tuple[Excerpt, ...] = ()
    """What of other files is shown, for models with infill marks; the last one stands nearest to
    the file itself. Neighbours of one path are shown as one file."""


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
    around: Around, tokenizer: Tokenizer, max_tokens: int, marks: InfillMarks | None = None
) -> Prompt:
    """Return the local context of a cursor, at most ``max_tokens`` long.

    The last token is taken back where the cursor may stand inside a word or an indentation; the
    caller makes the generation begin with its text (token healing).

    Args:
        around: the cursor and its file.
        tokenizer: the model's.
        max_tokens: the most ids.
        marks: of infill; for models without, the suffix is not shown.
    """
    prefix = around.prefix
    is_taught = marks is not None and marks.always
    start = anchor(prefix, MARKED_STEP_CHARS if is_taught else ANCHOR_STEP_CHARS)
    text = prefix[start:]
    ids, spans = tokenizer.offsets(text)
    if _may_go_on(text):
        healed_from = _last_word_token(text, spans)
        n_kept = sum(first < healed_from for first, _ in spans)
        ids, spans = ids[:n_kept], spans[:n_kept]
    else:
        healed_from = len(text)
    head, n_after = _before(around, tokenizer, max_tokens, marks)
    n_cut = max(0, len(ids) + len(head) - max_tokens)
    return Prompt(
        ids=head + ids[n_cut:],
        start=start + (spans[n_cut][0] if n_cut else 0),
        end=len(prefix) + n_after,
        healed=text[healed_from:],
    )


def opening(around: Around, tokenizer: Tokenizer, marks: InfillMarks | None = None) -> list[int]:
    """Return what a prompt begins with, to the end of the excerpts.

    Args:
        around: the file, and excerpts that stand first in its prompts, perhaps before others.
        tokenizer: the model's.
        marks: of infill; models without are shown no excerpts.
    """
    begin = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    if marks is None:
        return begin
    if marks.file is None:
        return begin + _excerpts_under_comments(around, tokenizer)
    if marks.repository is not None and around.repository:
        begin += [marks.repository, *tokenizer.encode(f"{around.repository}\n")]
    for path, texts in groupby(around.excerpts, attrgetter("path")):
        begin += [marks.file, *tokenizer.encode(f"{path}\n")]
        for excerpt in texts:
            begin += tokenizer.encode(f"{excerpt.text}\n")
    return begin


def _may_go_on(text: str) -> bool:
    """Whether the last token may be a part of a longer one: not so at the start of a line."""
    return bool(text) and (not text[-1].isspace() or text[-1] in " \t")


def _before(
    around: Around, tokenizer: Tokenizer, max_tokens: int, marks: InfillMarks | None
) -> tuple[list[int], int]:
    """Return what stands before the local text, and how much of the suffix is in it.

    At most half of the tokens are names and excerpts and a quarter the suffix's, whatever the local
    text is, so that typing on leaves them as they are. The second is in code points.
    """
    begin = _names(around, tokenizer, marks)[-(max_tokens // 2) :]
    header = tokenizer.encode_first(path_header(around.path))[-(max_tokens // 2) :]
    if marks is None:
        return begin + header, 0
    room = max_tokens // 4 - marks.n_marks
    shown, n_after = first_lines(around.suffix, tokenizer, min(marks.suffix_tokens, room))
    if not shown and not (marks.always and room >= 0):
        return begin + header, 0
    behind = header if marks.file is None else []
    return marks.head(begin, shown, behind), n_after


def _names(around: Around, tokenizer: Tokenizer, marks: InfillMarks | None) -> list[int]:
    """Return a prompt's opening, and the file's own path where the model has a mark for it."""
    begin = opening(around, tokenizer, marks)
    if marks is None or marks.file is None:
        return begin
    return [*begin, marks.file, *tokenizer.encode(f"{around.path}\n")]


def _excerpts_under_comments(around: Around, tokenizer: Tokenizer) -> list[int]:
    """Return the excerpts, each file's under a comment that names it: for models without marks."""
    ids: list[int] = []
    for path, texts in groupby(around.excerpts, attrgetter("path")):
        ids += tokenizer.encode(path_header(path))
        for excerpt in texts:
            ids += tokenizer.encode(f"{excerpt.text}\n")
    return ids


def _last_word_token(text: str, spans: list[tuple[int, int]]) -> int:
    """Offset of the token to take back: the last one, or the run of blanks before the cursor."""
    stripped = len(text.rstrip(" \t"))
    if stripped < len(text):
        covering = [first for first, last in spans if last > stripped]
        return max(covering[0] if covering else stripped, 0)
    return spans[-1][0]
