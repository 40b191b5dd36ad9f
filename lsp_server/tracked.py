"""What is known of every file of the workspace: waiting, in memory, or left out and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from longllama_code.protocol import RememberResult


class FileState(str, Enum):
    """Where a file stands on its way into memory."""

    WAITING = "waiting"
    IN_MEMORY = "in_memory"
    LEFT_OUT = "left_out"


@dataclass(frozen=True)
class TrackedFile:
    """One file."""

    path: Path
    name: str
    """Its path in memory: relative to its workspace folder."""
    state: FileState
    reason: str | None = None
    n_tokens: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class Totals:
    """Counts over all files, and over the work done since the start."""

    in_memory: int = 0
    waiting: int = 0
    left_out: int = 0
    tokens: int = 0
    segments_encoded: int = 0
    segments_loaded: int = 0
    segments_kept: int = 0


class TrackedFiles:
    """Owner of the records; totals are kept, not recounted."""

    def __init__(self) -> None:
        self._files: dict[Path, TrackedFile] = {}
        self._encoded = self._loaded = self._kept = 0

    def __iter__(self) -> "Iterable[TrackedFile]":
        return iter(self._files.values())

    def get(self, path: Path) -> TrackedFile | None:
        """A file's record."""
        return self._files.get(path)

    def put(self, file: TrackedFile) -> None:
        """Set a file's record."""
        self._files[file.path] = file

    def drop(self, path: Path) -> TrackedFile | None:
        """Forget a file, which is no longer there."""
        return self._files.pop(path, None)

    def below(self, folder: Path) -> list[TrackedFile]:
        """The files in a folder, however deep, or the file of that path."""
        return [f for p, f in self._files.items() if p == folder or folder in p.parents]

    def count(self, result: RememberResult) -> None:
        """Add what remembering one file took."""
        self._encoded += result.n_encoded
        self._loaded += result.n_loaded
        self._kept += result.n_kept

    def totals(self) -> Totals:
        """The counts now."""
        states = [file.state for file in self._files.values()]
        return Totals(
            in_memory=states.count(FileState.IN_MEMORY),
            waiting=states.count(FileState.WAITING),
            left_out=states.count(FileState.LEFT_OUT),
            tokens=sum(file.n_tokens for file in self._files.values()),
            segments_encoded=self._encoded,
            segments_loaded=self._loaded,
            segments_kept=self._kept,
        )
