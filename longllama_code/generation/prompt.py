"""The local context of a cursor: where it begins and ends, and its tokens.

It begins at an anchor that is a function of the text's length in steps, so it stays put while the
user types, and the keys and values of one request serve the next. A model with infill marks is
also shown the lines after the cursor, in the order that it was taught (``infill.py``).
"""

from dataclasses import dataclass

from longllama_code.generation.infill import MAX_SUFFIX_TOKENS, InfillMarks, first_lines
from longllama_code.memory.encoder import path_header
from longllama_code.tokenizer import Tokenizer

ANCHOR_STEP_CHARS = 1024


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
    n_tail: int = 0
    """Of the ids, the last ones that stand for the text after the cursor, and marks."""

    @property
    def context(self) -> list[int]:
        """The ids that what is generated goes on from, as text."""
        return self.ids[: len(self.ids) - self.n_tail]


def anchor(prefix: str) -> int:
    """Offset of the line where the local context begins.

    Example: with steps of 1024, a cursor at 2500 looks back to the first line after 1024 and goes
    on doing so until the cursor passes 3072.
    """
    start = max(0, (len(prefix) // ANCHOR_STEP_CHARS - 1) * ANCHOR_STEP_CHARS)
    if start == 0:
        return 0
    line_end = prefix.find("\n", start - 1)
    return line_end + 1 if 0 <= line_end < start + ANCHOR_STEP_CHARS else start


def build_prompt(
    path: str,
    prefix: str,
    tokenizer: Tokenizer,
    max_tokens: int,
    suffix: str = "",
    marks: InfillMarks | None = None,
) -> Prompt:
    """The local context of a cursor, at most ``max_tokens`` long.

    The last token is taken back where the cursor may stand inside a word or an indentation; the
    caller makes the generation begin with its text (token healing).

    Args:
        path: the file.
        prefix: its text before the cursor.
        tokenizer: the model's.
        max_tokens: the most ids.
        suffix: the text after the cursor; its first lines are shown where there are marks.
        marks: of infill, for models that have them.
    """
    start = anchor(prefix)
    text = prefix[start:]
    ids, spans = tokenizer.offsets(text)
    if _may_go_on(text):
        healed_from = _last_word_token(text, spans)
        n_kept = sum(first < healed_from for first, _ in spans)
        ids, spans = ids[:n_kept], spans[:n_kept]
    else:
        healed_from = len(text)
    head, tail, n_after = _around(path, suffix, tokenizer, max_tokens, marks)
    n_cut = max(0, len(ids) + len(head) + len(tail) - max_tokens)
    return Prompt(
        ids=head + ids[n_cut:] + tail,
        start=start + (spans[n_cut][0] if n_cut else 0),
        end=len(prefix) + n_after,
        healed=text[healed_from:],
        n_tail=len(tail),
    )


def _may_go_on(text: str) -> bool:
    """Whether the last token may be a part of a longer one: not so at the start of a line."""
    return bool(text) and (not text[-1].isspace() or text[-1] in " \t")


def _around(
    path: str, suffix: str, tokenizer: Tokenizer, max_tokens: int, marks: InfillMarks | None
) -> tuple[list[int], list[int], int]:
    """What stands before and behind the local text, and how much of the suffix is in it.

    At most half of the tokens are the path's and a quarter the suffix's, whatever the local text
    is, so that typing on leaves them as they are. The third is in code points.
    """
    begin = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    header = tokenizer.encode_first(path_header(path))[-(max_tokens // 2) :]
    if marks is None:
        return begin + header, [], 0
    room = max_tokens // 4 - len(marks.ids)
    shown, n_after = first_lines(suffix, tokenizer, min(MAX_SUFFIX_TOKENS, room))
    if not shown:
        return begin + header, [], 0
    return *marks.around(begin, shown, header), n_after


def _last_word_token(text: str, spans: list[tuple[int, int]]) -> int:
    """Offset of the token to take back: the last one, or the run of blanks before the cursor."""
    stripped = len(text.rstrip(" \t"))
    if stripped < len(text):
        covering = [first for first, last in spans if last > stripped]
        return max(covering[0] if covering else stripped, 0)
    return spans[-1][0]
