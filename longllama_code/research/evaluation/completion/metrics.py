"""Similarity of a completed line to the original one; all figures are from 0 to 1."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from longllama_code.errors import ConfigError

METRICS = ("exact_match", "edit_similarity", "identifier_match", "identifier_f1")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


def score(found: str, wanted: str) -> dict[str, float]:
    """Return every figure for one line; blanks at either end do not count.

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
    """Return the words of a line in order, including keywords and words in strings."""
    return _IDENTIFIER.findall(line)


def identifier_f1(found: list[str], wanted: list[str]) -> float:
    """Return the F1 score over names, counted with repetitions."""
    if not found and not wanted:
        return 1.0
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))


def edit_similarity(found: str, wanted: str) -> float:
    """Return the edit similarity: 1 minus the normalised Indel distance.

    Raises:
        ConfigError: rapidfuzz is not installed.
    """
    return float(require_rapidfuzz().ratio(found, wanted)) / 100


def require_rapidfuzz() -> Any:
    """Return the module ``rapidfuzz.fuzz``; call it before long work that needs it in the end.

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
