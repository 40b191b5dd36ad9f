"""Scores of a suggestion against the benchmark's answer.

Only the first line of a suggestion counts, without blanks at either end; an empty one is wrong.
Edit similarity is the ratio of ``difflib``: twice the number of matching characters by the number
of all. Identifiers are the words outside of strings and comments that are not keywords of the
language. They match if they are the same in the same order; F1 is that of their sets.
"""

import difflib
import re
from dataclasses import dataclass

from lsp_server.benchmarks.infilling.keywords import keywords_of

MEASURES = ("right", "edit_similarity", "identifier_match", "identifier_f1")
_STRING = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\\n])*\1""")
_COMMENT = re.compile(r"(?:#|//).*")
_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Scores:
    """Scores of one suggestion, each from 0 to 1."""

    right: float
    edit_similarity: float
    identifier_match: float
    identifier_f1: float


def score(suggestion: str, answer: str, language: str = "python") -> Scores:
    """Score a suggestion.

    Args:
        suggestion: text of the suggestion.
        answer: text of the benchmark's answer.
        language: LSP's identifier of their language.
    """
    found, wanted = first_line(suggestion), first_line(answer)
    names, wanted_names = (identifiers(line, language) for line in (found, wanted))
    return Scores(
        right=float(found == wanted),
        edit_similarity=difflib.SequenceMatcher(None, found, wanted).ratio(),
        identifier_match=float(names == wanted_names),
        identifier_f1=_f1(set(names), set(wanted_names)),
    )


def first_line(text: str) -> str:
    """Return the first line that is not blank, without blanks at either end."""
    return next((line for line in text.split("\n") if line.strip()), "").strip()


def identifiers(line: str, language: str = "python") -> list[str]:
    """Return the identifiers in a line of code, in order."""
    code = _COMMENT.sub("", _STRING.sub(" ", line))
    keywords = keywords_of(language)
    return [word for word in _WORD.findall(code) if word not in keywords]


def _f1(found: set[str], wanted: set[str]) -> float:
    if not found and not wanted:
        return 1.0
    return 2 * len(found & wanted) / (len(found) + len(wanted))
