"""The search of files for the text around a cursor: for threads, within limits."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from longllama_code.source_files.source_text import SourceError, read_source
from lsp_server.http.text_match import n_found, unix_lines
from lsp_server.indexing.file_table import FileState, TrackedFile

MAX_FILES = 5_000
MAX_CHARS = 64_000_000
MAX_S = 0.5
Key = TypeVar("Key")


@dataclass(frozen=True)
class FileText:
    """Text of a file as the memory has it, which was searched for secrets."""

    mtime_ns: int
    size_bytes: int
    text: str

    def is_of(self, file: TrackedFile) -> bool:
        """Whether it is the text of a record's version of the file."""
        return (self.mtime_ns, self.size_bytes) == (file.mtime_ns, file.size_bytes)


def file_text(file: TrackedFile, known: FileText | None) -> FileText | None:
    """Return the text of a file as the memory has it; None if that is not known.

    A file that was saved a moment ago has the text that was known before: the new one was not
    searched for secrets yet.

    Args:
        file: record of the file.
        known: its text as it was read before, if it was.
    """
    if known is not None and known.is_of(file):
        return known
    try:
        text = unix_lines(read_source(file.path))
        status = file.path.stat()
    except (OSError, SourceError):
        return known
    read = FileText(status.st_mtime_ns, status.st_size, text)
    return read if file.state is FileState.IN_MEMORY and read.is_of(file) else known


def find_text(
    runs: Sequence[str], files: Iterable[TrackedFile], known: Mapping[Path, FileText]
) -> Path | None:
    """Return the file that has the most runs of lines; None if that is not sure.

    Args:
        runs: runs of lines.
        files: where to look, until a limit is reached.
        known: texts that were read before.
    """
    return best(runs, _texts(files, known))


def best(runs: Sequence[str], texts: Iterable[tuple[Key, str]]) -> Key | None:
    """Return the one text that has at least half of the runs, and more than any other."""
    counts = [(n_found(runs, text), key) for key, text in texts]
    most = max((count for count, _ in counts), default=0)
    keys = [key for count, key in counts if count == most]
    return keys[0] if 2 * most >= len(runs) and most and len(keys) == 1 else None


def _texts(
    files: Iterable[TrackedFile], known: Mapping[Path, FileText]
) -> Iterator[tuple[Path, str]]:
    """Yield texts of files until a limit is reached."""
    ends, n_chars = time.monotonic() + MAX_S, 0
    for number, file in enumerate(files):
        if number >= MAX_FILES or n_chars > MAX_CHARS or time.monotonic() > ends:
            return
        found = file_text(file, known.get(file.path))
        if found is not None:
            n_chars += len(found.text)
            yield file.path, found.text
