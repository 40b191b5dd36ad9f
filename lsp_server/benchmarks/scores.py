"""What a suggestion is worth beside the line that was written.

Its first line counts, blanks at either end aside; a suggestion that is empty is wrong. Edit
similarity is that of Python's ``difflib``, twice the characters that match by all characters.
Identifiers are words outside of strings and comments that are no keywords of Python: they match
where they are the same in the same order, and F1 is of their sets.
"""

import difflib
import keyword
import re
from dataclasses import dataclass

MEASURES = ("right", "edit_similarity", "identifier_match", "identifier_f1")
_STRING = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\\n])*\1""")
_COMMENT = re.compile(r"(?:#|//).*")
_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Scores:
    """Every measure of one suggestion, each from 0 to 1."""

    right: float
    edit_similarity: float
    identifier_match: float
    identifier_f1: float


NOTHING = Scores(0.0, 0.0, 0.0, 0.0)
"""What no answer at all is worth."""


def score(suggestion: str, answer: str) -> Scores:
    """The measures of a suggestion's first line."""
    found, wanted = first_line(suggestion), first_line(answer)
    names, wanted_names = identifiers(found), identifiers(wanted)
    return Scores(
        right=float(found == wanted),
        edit_similarity=difflib.SequenceMatcher(None, found, wanted).ratio(),
        identifier_match=float(names == wanted_names),
        identifier_f1=_f1(set(names), set(wanted_names)),
    )


def first_line(text: str) -> str:
    """The first line that is not blank, without blanks at either end."""
    return next((line for line in text.split("\n") if line.strip()), "").strip()


def identifiers(line: str) -> list[str]:
    """The names in a line of code, in order."""
    code = _COMMENT.sub("", _STRING.sub(" ", line))
    return [word for word in _WORD.findall(code) if not keyword.iskeyword(word)]


def _f1(found: set[str], wanted: set[str]) -> float:
    if not found and not wanted:
        return 1.0
    return 2 * len(found & wanted) / (len(found) + len(wanted))
