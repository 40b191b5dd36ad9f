"""How close a completed line is to the one that was written: each figure from 0 to 1."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from longllama_code.errors import ConfigError

METRICS = ("exact_match", "edit_similarity", "identifier_match", "identifier_f1")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


def score(found: str, wanted: str) -> dict[str, float]:
    """Every figure for one line; blanks at either end do not count.

    Raises:
        ConfigError: rapidfuzz is not installed.
    """
    found, wanted = found.strip(), wanted.strip()
    names, wanted_names = identifiers(found), identifiers(wanted)
    return {
        "exact_match": float(found == wanted),
        "edit_similarity": edit_similarity(found, wanted),
        "identifier_match": float(names == wanted_names),
        "identifier_f1": identifier_f1(names, wanted_names),
    }


def identifiers(line: str) -> list[str]:
    """The words of a line that could be names, in order: keywords and words in strings too."""
    return _IDENTIFIER.findall(line)


def identifier_f1(found: list[str], wanted: list[str]) -> float:
    """Harmonic mean of precision and recall over names, each as often as it occurs."""
    if not found and not wanted:
        return 1.0
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))


def edit_similarity(found: str, wanted: str) -> float:
    """One less the share of characters to insert or delete (normalised Indel distance).

    Raises:
        ConfigError: rapidfuzz is not installed.
    """
    return float(require_rapidfuzz().ratio(found, wanted)) / 100


def require_rapidfuzz() -> Any:
    """The module ``rapidfuzz.fuzz``; ask before long work whose end needs it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from rapidfuzz import fuzz
    except ImportError as error:
        raise ConfigError(
            "comparing lines needs rapidfuzz, which is not installed; run "
            "pip install 'longllama-code-lsp[eval]'."
        ) from error
    return fuzz
