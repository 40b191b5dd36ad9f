"""Texts of source files, and the reasons why a file does not count as source.

Name, size and content decide. `classify` reads the first kilobytes of a file at most; `read_source`
finds what only the whole text shows, and refuses a file for the same reasons. Whether a file's
place in the workspace excludes it is decided in `workspace`.
"""

import codecs
import os
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from longllama_code.source_files.languages import language_of
from longllama_code.source_files.regular_files import read_regular
from longllama_code.source_files.secret_scan import UnsearchedError, find_secret

_HEAD_BYTES = 8192

_LOCK_FILES = """
    package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock deno.lock
    poetry.lock pdm.lock uv.lock pipfile.lock pixi.lock conda-lock.yml
    cargo.lock gemfile.lock podfile.lock composer.lock go.sum go.work.sum mix.lock pubspec.lock
    package.resolved packages.lock.json gradle.lockfile flake.lock .terraform.lock.hcl
"""
_GENERATED_NAMES = frozenset(_LOCK_FILES.split())
_GENERATED_SUFFIXES = (".min.js", ".min.mjs", ".min.css", "-min.js", ".map")


class Exclusion(str, Enum):
    """Reason why a file is not in memory; the value is for machines, `text` for people."""

    text: str

    IGNORED = "ignored", "an ignore rule or the include and exclude settings leave it out"
    SECRET = "secret", "its name says that it holds secrets"
    SECRET_INSIDE = "secret_inside", "a key, token or password stands in it"
    UNSEARCHED = "unsearched", "the search for secrets in it takes too long"
    SYMLINK_OUTSIDE = "symlink_outside", "it is a link to a file outside the workspace folder"
    UNREADABLE = "unreadable", "it cannot be read"
    UNKNOWN_TYPE = "unknown_type", "it is of no known source or text type"
    NOTEBOOK = (
        "notebook",
        "it is a notebook, whose cells are read only while you edit them",
    )
    GENERATED = "generated", "it is generated: a lock file, minified, or with very long lines"
    EMPTY = "empty", "it is empty"
    TOO_DEEP = "too_deep", "it lies in too many folders inside each other"
    TOO_LARGE = "too_large", "it is larger than the limit"
    BINARY = "binary", "it is not text"
    NOT_UTF8 = "not_utf8", "its path or its text is not encoded in UTF-8"

    def __new__(cls, value: str, text: str) -> "Exclusion":
        """Create a member that equals its value and has a text."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member


class SourceError(Exception):
    """Raised for a file that does not belong in memory; `exclusion` is the reason."""

    def __init__(self, path: Path, exclusion: Exclusion) -> None:
        super().__init__(f"{path} stays out of the memory: {exclusion.text}")
        self.exclusion = exclusion


@dataclass(frozen=True)
class Limits:
    """Limits of a source file."""

    max_file_bytes: int = 512 * 1024
    max_line_chars: int = 5_000


DEFAULT_LIMITS = Limits()


def classify(path: Path, limits: Limits = DEFAULT_LIMITS) -> Exclusion | None:
    """Return why a file is not source, by its name, size and first kilobytes; None if it is."""
    try:
        return _by_name(path.name) or _by_status(path.stat(), limits) or _by_head(path, limits)
    except OSError:
        return Exclusion.UNREADABLE


def read_source(path: Path, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return the text of a source file, as it is: line ends are kept, a byte order mark is dropped.

    Raises:
        SourceError: `classify` excludes the file, or would if it saw more than the beginning.
    """
    if exclusion := classify(path, limits):
        raise SourceError(path, exclusion)
    try:
        # It may have become another file meanwhile, or grow without end.
        data = read_regular(path, limits.max_file_bytes + 1)
    except OSError as error:
        raise SourceError(path, Exclusion.UNREADABLE) from error
    if len(data) > limits.max_file_bytes:
        raise SourceError(path, Exclusion.TOO_LARGE)
    if exclusion := _by_content(data, limits, is_whole=True):
        raise SourceError(path, exclusion)
    return data.decode("utf-8-sig")


def refuse_live_text(path: Path, text: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Hold the text of a file in an editor to the limits of files. Takes a thread's time.

    Raises:
        SourceError: saved as it is, the file would be excluded for its size or its content.
    """
    if exclusion := _by_live_text(text, limits):
        raise SourceError(path, exclusion)


def refuse_secrets(path: Path, text: str) -> None:
    """Look for secrets in a text, from the disk or from an editor. Takes a thread's time.

    Raises:
        SourceError: one is found, or the search takes too long.
    """
    try:
        found = find_secret(path.name, text)
    except UnsearchedError as error:
        raise SourceError(path, Exclusion.UNSEARCHED) from error
    if found is not None:
        raise SourceError(path, Exclusion.SECRET_INSIDE)


def _by_name(name: str) -> Exclusion | None:
    name = name.lower()
    if name in _GENERATED_NAMES or name.endswith(_GENERATED_SUFFIXES):
        return Exclusion.GENERATED
    if name.endswith(".ipynb"):
        return Exclusion.NOTEBOOK
    # Without a suffix, the first line may name the language.
    return Exclusion.UNKNOWN_TYPE if Path(name).suffix and not language_of(name) else None


def _by_status(status: os.stat_result, limits: Limits) -> Exclusion | None:
    # Opening a pipe would block until somebody writes into it.
    if not stat.S_ISREG(status.st_mode):
        return Exclusion.UNREADABLE
    if status.st_size > limits.max_file_bytes:
        return Exclusion.TOO_LARGE
    return None if status.st_size else Exclusion.EMPTY


def _by_head(path: Path, limits: Limits) -> Exclusion | None:
    head = read_regular(path, _HEAD_BYTES)
    if not language_of(path.name) and not head.startswith(b"#!"):
        return Exclusion.UNKNOWN_TYPE
    return _by_content(head, limits, is_whole=len(head) < _HEAD_BYTES)


def _by_content(data: bytes, limits: Limits, *, is_whole: bool) -> Exclusion | None:
    if b"\0" in data:
        return Exclusion.BINARY
    try:
        # Unlike `bytes.decode`, it accepts a character that is cut at the end of a part.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=is_whole)
    except UnicodeDecodeError:
        return Exclusion.NOT_UTF8
    return _by_lines(text, limits)


def _by_live_text(text: str, limits: Limits) -> Exclusion | None:
    # A character has one byte at least, so a text that is much too long is not encoded.
    if len(text) > limits.max_file_bytes:
        return Exclusion.TOO_LARGE
    # A client may send half of a surrogate pair.
    if len(text.encode("utf-8", "surrogatepass")) > limits.max_file_bytes:
        return Exclusion.TOO_LARGE
    return Exclusion.BINARY if "\0" in text else _by_lines(text, limits)


def _by_lines(text: str, limits: Limits) -> Exclusion | None:
    """Return the exclusion of a text with very long lines; a CR alone ends a line, too."""
    longest_chars = max(map(len, text.replace("\r", "\n").split("\n")))
    return Exclusion.GENERATED if longest_chars > limits.max_line_chars else None
