"""The local context of a cursor: where it begins, and its tokens.

It begins at an anchor that is a function of the text's length in steps, so it stays put while the
user types, and the keys and values of one request serve the next.
"""

from dataclasses import dataclass

from longllama_code.memory.encoder import path_header
from longllama_code.tokenizer import Tokenizer

ANCHOR_STEP_CHARS = 1024
MAX_LOCAL_CHARS = 2 * ANCHOR_STEP_CHARS


@dataclass(frozen=True)
class Prompt:
    """Token ids of the local context, and the text that healing took back from its end."""

    ids: list[int]
    start: int
    """Offset in the prefix where the local text begins."""
    healed: str
    """What the generated tokens must begin with: the unfinished word before the cursor."""


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


def build_prompt(path: str, prefix: str, tokenizer: Tokenizer, max_tokens: int) -> Prompt:
    """The local context before a cursor, at most ``max_tokens`` long.

    The last token is taken back where the cursor may stand inside a word or an indentation; the
    caller makes the generation begin with its text (token healing).
    """
    start = anchor(prefix)
    ids, spans = tokenizer.offsets(prefix[start:])
    healed = ""
    if (ids and not prefix[-1].isspace()) or prefix.endswith((" ", "\t")):
        heal_from = _last_word_token(prefix[start:], spans)
        healed = prefix[start + heal_from :]
        ids = [token for token, (first, _) in zip(ids, spans, strict=True) if first < heal_from]
    head = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    head += tokenizer.encode(path_header(path))
    room = max_tokens - len(head)
    return Prompt(head + ids[max(0, len(ids) - room) :], start, healed)


def _last_word_token(text: str, spans: list[tuple[int, int]]) -> int:
    """Offset of the token to take back: the last one, or the run of blanks before the cursor."""
    stripped = len(text.rstrip(" \t"))
    if stripped < len(text):
        covering = [first for first, last in spans if last > stripped]
        return max(covering[0] if covering else stripped, 0)
    return spans[-1][0]
