"""Snapshot of a repository's revision: files, their cuts and segments."""

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from longllama_code.errors import ConfigError
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.team_protocol import digest_of

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
REVISION = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True)
class SnapshotFile:
    """A file of a snapshot."""

    path: str
    text: str
    pieces: tuple[Slice, ...]
    segment_ids: tuple[str, ...]
    """Segment of each piece."""
    n_tokens: int
    """Tokens of its segments; repeated ones count once."""

    @property
    def digest(self) -> str:
        """Digest of the text."""
        return digest_of(self.text)


@dataclass(frozen=True)
class Snapshot:
    """Everything that a repository's memory is built from, except the segments' records."""

    repository: str
    revision: str
    files: tuple[SnapshotFile, ...]

    @property
    def segment_ids(self) -> list[str]:
        """Ids of its segments, each once, in order."""
        return list(dict.fromkeys(held for file in self.files for held in file.segment_ids))


def check_name(repository: str) -> str:
    """Return a repository's name, which is a part of paths and of headers.

    Raises:
        ConfigError: it is no such name.
    """
    if not NAME.fullmatch(repository):
        raise ConfigError(
            f"{repository!r} is no name of a repository; use letters, digits, '.', '_', '-' and "
            "'/' between parts, as in team/app."
        )
    return repository


def pack_snapshot(snapshot: Snapshot) -> bytes:
    """Return a snapshot as bytes: the same ones for the same snapshot."""
    lines = (json.dumps(line, separators=(",", ":")) for line in _lines(snapshot))
    return gzip.compress("\n".join(lines).encode("utf-8", "surrogatepass"), 6, mtime=0)


def unpack_snapshot(content: bytes) -> Snapshot:
    """Return a snapshot from its bytes.

    Raises:
        ValueError: they are none.
    """
    lines = iter(gzip.decompress(content).decode("utf-8", "surrogatepass").split("\n"))
    head = json.loads(next(lines))
    files = tuple(_file(json.loads(line)) for line in lines)
    return Snapshot(head["repository"], head["revision"], files)


def _lines(snapshot: Snapshot) -> Iterator[Any]:
    yield {"repository": snapshot.repository, "revision": snapshot.revision}
    for file in snapshot.files:
        yield [file.path, file.text, _numbers(file.pieces), file.segment_ids, file.n_tokens]


def _numbers(pieces: Iterable[Slice]) -> list[tuple[int, int, int, int]]:
    return [(piece.start, piece.end, piece.first_line, piece.last_line) for piece in pieces]


def _file(line: Any) -> SnapshotFile:
    path, text, numbers, segment_ids, n_tokens = line
    pieces = tuple(Slice(*row) for row in numbers)
    return SnapshotFile(path, text, pieces, tuple(segment_ids), n_tokens)
