"""Finds secrets in a text: keys and tokens of known forms, and passwords assigned in code.

The forms are detect-secrets'. Its detectors of any high entropy are left out, as hashes and test
data are full of it; for the same reason a value that is assigned to a name such as `password`
counts only if it looks made up by a machine. Its verification, which would send secrets to the
services that they open, is never called: only the detectors' own search in a text is.

A line marked `pragma: allowlist secret`, as detect-secrets has it, is passed over.

Some texts make a search of this kind take quadratic time; it is given up after a while, and such a
text counts as one that could not be searched.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longllama_code.source_files.timed_search import TimedPattern, time_limit

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin
    from detect_secrets.plugins.keyword import KeywordDetector

BLOCK_CHARS = 2048
PAUSE_S = 0.0001
"""Pause after each block of text, in which the event loop gets the interpreter's lock."""
LIMIT_S, LIMIT_S_PER_CHAR = 2.0, 1e-5
"""Processor time that a search may take; of ordinary code, it takes a tenth of the latter."""
LEAST_VALUE_CHARS = 8
LEAST_VALUE_ENTROPY_BITS = 3.0
MAX_LINE_CHARS = 1000
"""Length above which lines are not searched for assignments, as nobody writes them by hand."""

_NOT_FORMS = frozenset(
    {"KeywordDetector", "HexHighEntropyString", "Base64HighEntropyString", "IPPublicDetector"}
)
_ALLOWED = re.compile(r"pragma: ?(allow|white)list[ -]secret")


class UnsearchedError(Exception):
    """Raised for a text that takes too long to search, or nests too deeply."""


@dataclass(frozen=True)
class Finding:
    """Location of a secret; its value is not stored."""

    kind: str
    line: int
    """Line number, from 1."""


def find_secret(name: str, text: str) -> Finding | None:
    """Return the first secret of a text; None if none is found.

    The first call imports detect-secrets, which takes a while: call it on a thread.

    Args:
        name: the file's name, whose suffix decides how assignments are written.
        text: all of it.

    Raises:
        UnsearchedError: the search was given up.
    """
    try:
        with time_limit(LIMIT_S + LIMIT_S_PER_CHAR * len(text)):
            return next(_findings(name, text), None)
    except (TimeoutError, RecursionError) as error:
        raise UnsearchedError from error


@lru_cache(maxsize=1)
def rules_identity() -> str:
    """Return a value that changes with this search: with this file, detect-secrets and regex."""
    own = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()
    return f"{own} {version('detect-secrets')} {version('regex')}"


def _findings(name: str, text: str) -> Iterator[Finding]:
    first_line = 1
    for block in _blocks(text):
        kind = _form_in(block)
        may_assign = _assignments().search(block) is not None
        if kind or may_assign:
            yield from _in_lines(name, block, first_line)
        first_line += block.count("\n")
        time.sleep(PAUSE_S)


def _in_lines(name: str, block: str, first_line: int) -> Iterator[Finding]:
    for number, line in enumerate(block.split("\n"), start=first_line):
        if _ALLOWED.search(line):
            continue
        if kind := _form_in(line):
            yield Finding(kind, number)
        elif len(line) <= MAX_LINE_CHARS and _assigns_secret(name, line):
            yield Finding("password or key assigned in code", number)


def _blocks(text: str) -> Iterator[str]:
    """Yield the text in parts that end with a line, each not much longer than ``BLOCK_CHARS``."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + BLOCK_CHARS) + 1 or len(text)
        yield text[start:end]
        start = end


def _form_in(text: str) -> str | None:
    """Return the kind of a secret of a known form in a text."""
    for detector in _detectors():
        if any(detector.analyze_string(text)):
            return detector.secret_type
    return None


def _assigns_secret(name: str, line: str) -> bool:
    if not _assignments().search(line):
        return False
    from detect_secrets.util.filetype import determine_file_type

    forms = _timed_forms(determine_file_type(name))
    return any(map(_is_made_up, _keyword_detector().analyze_string(line, forms)))


@lru_cache(maxsize=64)
def _timed_forms(kind: object) -> Any:
    """Return how a type of files writes assignments: patterns, with the groups that have values."""
    from detect_secrets.plugins.keyword import (
        QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP,
        REGEX_BY_FILETYPE,
    )

    forms: dict[Any, dict[re.Pattern[str], int]] = {**REGEX_BY_FILETYPE}
    own = forms.get(kind, QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP)
    return {TimedPattern(pattern): group for pattern, group in own.items()}


def _is_made_up(value: str | None) -> bool:
    """Whether a value looks as if a machine had made it up, and not like a name or a template."""
    from detect_secrets.filters import heuristic
    from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString

    if not value or len(value) < LEAST_VALUE_CHARS:
        return False
    is_mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    is_placeholder = (
        heuristic.is_sequential_string(value)
        or heuristic.is_potential_uuid(value)
        or heuristic.is_templated_secret(value)
        or heuristic.is_prefixed_with_dollar_sign(value)
    )
    entropy_bits = Base64HighEntropyString().calculate_shannon_entropy(value)
    return is_mixed and not is_placeholder and entropy_bits >= LEAST_VALUE_ENTROPY_BITS


@lru_cache(maxsize=1)
def _detectors() -> "tuple[BasePlugin, ...]":
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    kinds = get_mapping_from_secret_type_to_class().values()
    detectors = tuple(kind() for kind in kinds if kind.__name__ not in _NOT_FORMS)
    for detector in detectors:
        if patterns := getattr(detector, "denylist", None):
            vars(detector)["denylist"] = [TimedPattern(pattern) for pattern in patterns]
    return detectors


@lru_cache(maxsize=1)
def _keyword_detector() -> "KeywordDetector":
    from detect_secrets.plugins.keyword import KeywordDetector

    return KeywordDetector()


@lru_cache(maxsize=1)
def _assignments() -> TimedPattern:
    """Finds the words that names of secrets have."""
    from detect_secrets.plugins.keyword import DENYLIST

    return TimedPattern(re.compile("|".join(DENYLIST), re.IGNORECASE))
