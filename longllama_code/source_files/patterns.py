"""Lines in gitignore syntax, and which of them decides about a path.

Paths are bytes with forward slashes, relative to the folder that the lines are for: git compares
bytes, so that `?` is one byte of an `é`.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from longllama_code.source_files.wildmatch import (
    Dialect,
    Matcher,
    NothingNamedError,
    literal_bytes,
    name_glob,
    path_glob,
)

MAX_PATTERN_BYTES = 8192
"""Length above which a pattern is not read: paths are at most half as long."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Literal(NamedTuple):
    text: bytes

    def matches(self, text: bytes) -> bool:
        return text == self.text


class _Suffix(NamedTuple):
    text: bytes

    def matches(self, text: bytes) -> bool:
        return text.endswith(self.text)


class Rule(NamedTuple):
    """One line."""

    matcher: Matcher
    ignores: bool
    only_folders: bool
    by_name: bool
    """Whether the last name of a path is compared, rather than the path."""

    def names(self, path: bytes, name: bytes, is_dir: bool) -> bool:
        """Whether the line is about a path, whose last name is given too."""
        if self.only_folders and not is_dir:
            return False
        return self.matcher.matches(name if self.by_name else path)


class Patterns:
    """Rules in the order of their lines; the last that names a path decides."""

    def __init__(self, rules: Iterable[Rule], *, ignores_case: bool = False) -> None:
        # Most lines are literal names, so they are looked up. A repeated line changes nothing.
        self._literals: dict[bytes, list[tuple[int, Rule]]] = {}
        self._others: list[tuple[int, Rule]] = []
        self._ignores_case = ignores_case
        self.n_rules = 0
        for self.n_rules, rule in enumerate(rules, start=1):
            if rule.by_name and isinstance(rule.matcher, _Literal):
                known = self._literals.setdefault(rule.matcher.text, [])
                # Of the rules for one name only the last of each kind can decide.
                known[:] = [one for one in known if one[1].only_folders != rule.only_folders]
                known.append((self.n_rules, rule))
            else:
                self._others.append((self.n_rules, rule))
        self._others.reverse()

    def __bool__(self) -> bool:
        """Whether there is a rule."""
        return self.n_rules > 0

    def verdict(self, path: bytes, *, is_dir: bool) -> bool | None:
        """Whether the last rule that names the path ignores it; None if none names it."""
        if self._ignores_case:
            path = path.lower()
        name = path[path.rfind(b"/") + 1 :]
        at, ignores = 0, None
        for position, rule in self._literals.get(name, ()):
            if is_dir or not rule.only_folders:
                at, ignores = position, rule.ignores
        for position, rule in self._others:
            if position < at:
                break
            if rule.names(path, name, is_dir):
                return rule.ignores
        return ignores

    def names_file(self, path: bytes) -> bool:
        """Whether a file is named, or else the innermost folder above it that any rule names."""
        ends = [len(path), *(i for i in reversed(range(len(path))) if path[i : i + 1] == b"/")]
        verdicts = (self.verdict(path[:end], is_dir=end < len(path)) for end in ends)
        return next((verdict for verdict in verdicts if verdict is not None), False)


class FilePatterns:
    """Patterns for the paths of files, as settings have them.

    Args:
        lines: patterns; those that are not in gitignore syntax name nothing.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._patterns = Patterns(_without_errors(map(as_bytes, lines), Dialect()))

    def names(self, relative_path: str) -> bool:
        """Whether a file is named: by the last pattern that is about it, or a folder above it."""
        return self._patterns.names_file(as_bytes(relative_path))


def as_bytes(text: str) -> bytes:
    """Return a path or pattern as the bytes that it has on disk; a client may send any string."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def is_pattern(text: str) -> bool:
    """Whether a text is in gitignore syntax and names something, or is a comment or empty."""
    with suppress(ValueError):
        parse([text])
        return True
    return False


def parse(lines: Iterable[str]) -> list[Rule]:
    """Return the rules in lines of settings.

    Raises:
        ValueError: a line is not in gitignore syntax, or can name nothing.
    """
    rules: list[Rule] = []
    for line in lines:
        try:
            stripped = _stripped(as_bytes(line))
            if stripped.strip() and not stripped.startswith(b"#"):
                rules.append(rule_of(stripped, Dialect(refuses_odd=True)))
        except NothingNamedError as error:
            raise ValueError(f"{line!r} is not a gitignore pattern: {error}") from error
    return rules


def parse_file(data: bytes, *, ignores_case: bool = False) -> Patterns:
    """Return the rules in a file's bytes, without lines that name nothing for git either."""
    lines = data.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    lines = (line.removesuffix(b"\r") for line in lines)
    return Patterns(_without_errors(lines, Dialect(ignores_case)), ignores_case=ignores_case)


def rule_of(line: bytes, dialect: Dialect) -> Rule:
    """Return the rule in a line that is neither empty nor a comment.

    Raises:
        NothingNamedError: the line names nothing.
    """
    pattern = line.removeprefix(b"!")
    only_folders = pattern.endswith(b"/")
    pattern = pattern.removesuffix(b"/")
    by_name = b"/" not in pattern
    if not pattern.removeprefix(b"/"):
        raise NothingNamedError("it names nothing")
    if len(pattern) > MAX_PATTERN_BYTES:
        raise NothingNamedError(f"it is longer than {MAX_PATTERN_BYTES:,} bytes")
    matcher = _matcher(pattern.removeprefix(b"/"), by_name, dialect)
    return Rule(matcher, not line.startswith(b"!"), only_folders, by_name)


def _matcher(pattern: bytes, by_name: bool, dialect: Dialect) -> Matcher:
    if literal_bytes(pattern) == len(pattern):
        return _Literal(pattern.lower() if dialect.ignores_case else pattern)
    if by_name and pattern.startswith(b"*") and literal_bytes(pattern[1:]) == len(pattern) - 1:
        return _Suffix(pattern[1:].lower() if dialect.ignores_case else pattern[1:])
    compiled = name_glob if by_name else path_glob
    return compiled(pattern, dialect)


def _without_errors(lines: Iterable[bytes], dialect: Dialect) -> Iterable[Rule]:
    for line in lines:
        stripped = _stripped(line)
        if stripped and not stripped.startswith(b"#"):
            with suppress(NothingNamedError):
                yield rule_of(stripped, dialect)


def _stripped(line: bytes) -> bytes:
    """Return a line without spaces at its end, unless they are escaped; it ends at a zero byte."""
    line = line.partition(b"\0")[0]
    stripped = line.rstrip(b" ")
    n_escapes = len(stripped) - len(stripped.rstrip(b"\\"))
    is_escaped = n_escapes % 2 == 1 and len(stripped) < len(line)
    return line[: len(stripped) + is_escaped]
