"""The beginning of a suggestion that is most worth showing.

Of a suggestion that is right for three words and wrong then, a user keeps nothing, and of one that
ends after two of them, two words. So a suggestion ends where the keys that it is expected to save
are most: their number times the probability that all of it is right.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import exp
from typing import NamedTuple

LEAST_CHARACTERS = 3
"""Visible characters of a part of a line that are worth a look and a key."""
_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "\"'`"
_NO_QUOTE = re.compile(r"\\.|(?<=\w)'(?=(?:s|t|m|d|re|ll|ve)\b)")
"""What a backslash stands before, and apostrophes of English."""
_IN_WORD = re.compile(r"\w(?:\w|'(?:s|t|m|d|re|ll|ve)\b)")
_PREFIX = re.compile(r"(?<!\w)[bfruBFRU]{1,2}\Z")
"""Letters that belong to the string behind them."""
_UNFINISHED = re.compile(r"[-,=:+*/%&|^<>!?.@~]\s*\Z")
"""Punctuation behind which something has to follow, unless the line ends there."""
_LINE_END = re.compile(r"\s*\n\s*")


class Part(NamedTuple):
    """Beginning of a text."""

    text: str
    probability: float
    """Probability that all of it is right, 0 to 1."""

    @property
    def keys_saved(self) -> float:
        """Keys that it is expected to save, the one that accepts it counted."""
        return self.probability * (len(_LINE_END.sub("\n", self.text)) - 1)


def best_part(parts: Iterable[Part], least: float) -> Part:
    """Return the part that is expected to save most keys; empty if none is probable enough.

    Args:
        parts: beginnings of one text, shorter ones first.
        least: least probability, 0 to 1.
    """
    best = Part("", 0.0)
    for part in parts:
        if part.probability >= least and part.keys_saved >= best.keys_saved:
            best = part
    return best


def parts_of(text: str, ends: Sequence[int], log_probs: Iterable[float]) -> Iterator[Part]:
    """Yield the beginnings of a suggestion that may be shown, and all of it if it is that long.

    They end with a word, a bracket or a quote, or with a line, and close every bracket and quote
    that they open: a file that was whole without one is mostly whole with it.

    Args:
        text: the suggestion; if its next token is not sure, with that one.
        ends: ascending length of the text after each of its tokens, in code points.
        log_probs: log probability of each token.
    """
    covered, yielded = len(text.rstrip()), ""
    for end, log_prob in zip(ends, accumulate(log_probs), strict=True):
        if end >= covered:
            yield Part(text[:covered], exp(log_prob))
            return
        part = text[:end].rstrip()
        if part != yielded and _ends_well(text, end):
            yield Part(part, exp(log_prob))
            yielded = part


def _ends_well(text: str, end: int) -> bool:
    """Whether one can type on from the first characters of a text."""
    if _IN_WORD.match(text, end - 1) or not text[:end].strip():
        return False
    if text[end] in _QUOTES and _PREFIX.search(text[:end]):
        return False
    is_line = text.startswith("\n", end) or text.endswith("\n", 0, end)
    if _UNFINISHED.search(text, 0, end) and not is_line:
        return False
    n_visible = len("".join(text[:end].split()))
    return (is_line or n_visible >= LEAST_CHARACTERS) and _is_closed(text[:end])


def _is_closed(text: str) -> bool:
    """Whether a text closes every bracket and quote that it opens.

    A bracket that it only closes was opened before the cursor. Quotes end with their line.
    """
    n_opened, quote = 0, ""
    for character in _NO_QUOTE.sub("", text):
        if character == "\n":
            quote = ""
        elif quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character in _OPENING:
            n_opened += 1
        elif character in _CLOSING:
            n_opened = max(0, n_opened - 1)
    return not n_opened and not quote
