"""What is known of every file: waiting, in memory, or left out and why. And who comes next."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Literal

from longllama_code.protocol import RememberResult
from lsp_server.indexing.proximity import Rank

Kind = Literal["Normal", "Warning", "Error", "Inactive"]
Phase = Literal["loading", "indexing", "ready", "paused", "off", "failed"]


class Urgency(IntEnum):
    """Which file comes first; lower goes first."""

    OPEN = 0
    CHANGED = 1
    REST = 2


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
    """Tokens that it has in memory now; those of a former version while it waits."""
    size_bytes: int = 0
    mtime_ns: int = 0
    has_rested: bool = False
    """Whether size and time were those of a file at rest: the same ones later, the same text."""

    def same_on_disk(self, other: "TrackedFile") -> bool:
        """Whether size and time say that nobody wrote it."""
        return (self.size_bytes, self.mtime_ns) == (other.size_bytes, other.mtime_ns)


@dataclass(frozen=True)
class Totals:
    """Counts over all files, and over the work done since the start."""

    in_memory: int = 0
    waiting: int = 0
    left_out: int = 0
    waiting_bytes: int = 0
    tokens: int = 0
    segments_encoded: int = 0
    segments_loaded: int = 0
    segments_kept: int = 0


@dataclass(frozen=True)
class Status:
    """The server at one moment, as the client sees it."""

    kind: Kind
    phase: Phase
    message: str
    busy: bool
    files: Totals
    engine_restarts: int
    last_reason: str | None
    """Why the last request had no suggestion."""
    tokens_per_second: int | None = None
    """How fast files come into memory; absent where nothing is under way, or nothing is known."""
    seconds_left: int | None = None
    """How long the files that wait will take, about."""
    languages: Mapping[str, bool] = field(default_factory=dict[str, bool])
    """Language id to whether suggestions are made; ``*`` is every other language."""


class TrackedFiles:
    """Owner of the records; totals are kept, not recounted."""

    def __init__(self) -> None:
        self._files: dict[Path, TrackedFile] = {}
        self._states: Counter[FileState] = Counter()
        self._tokens = self._encoded = self._loaded = self._kept = self._waiting_bytes = 0

    def __iter__(self) -> Iterator[TrackedFile]:
        return iter(list(self._files.values()))

    def get(self, path: Path) -> TrackedFile | None:
        """A file's record."""
        return self._files.get(path)

    def put(self, file: TrackedFile) -> None:
        """Set a file's record."""
        self.drop(file.path)
        self._files[file.path] = file
        self._states[file.state] += 1
        self._tokens += file.n_tokens
        self._waiting_bytes += _waiting_bytes(file)

    def drop(self, path: Path) -> None:
        """Forget a file, which is no longer there."""
        file = self._files.pop(path, None)
        if file is not None:
            self._states[file.state] -= 1
            self._tokens -= file.n_tokens
            self._waiting_bytes -= _waiting_bytes(file)

    def below(self, paths: Iterable[Path]) -> list[TrackedFile]:
        """The files of these paths and, where they are folders, the files in them, however deep."""
        wanted = set(paths)
        found = [self._files[path] for path in wanted if path in self._files]
        if len(found) == len(wanted):
            return found
        folders = {file.path.parent for file in self}
        inside = {
            folder
            for folder in folders
            if folder in wanted or not wanted.isdisjoint(folder.parents)
        }
        return [file for file in self if file.path in wanted or file.path.parent in inside]

    def count(self, result: RememberResult) -> None:
        """Add what remembering one file took."""
        self._encoded += result.n_encoded
        self._loaded += result.n_loaded
        self._kept += result.n_kept

    def totals(self) -> Totals:
        """The counts now."""
        return Totals(
            in_memory=self._states[FileState.IN_MEMORY],
            waiting=self._states[FileState.WAITING],
            left_out=self._states[FileState.LEFT_OUT],
            waiting_bytes=self._waiting_bytes,
            tokens=self._tokens,
            segments_encoded=self._encoded,
            segments_loaded=self._loaded,
            segments_kept=self._kept,
        )


def _waiting_bytes(file: TrackedFile) -> int:
    return file.size_bytes if file.state is FileState.WAITING else 0


class FileQueue:
    """Paths by urgency, each one once; among equals, who came first goes first."""

    def __init__(self) -> None:
        self._lines: dict[Urgency, dict[Path, None]] = {urgency: {} for urgency in Urgency}

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    @property
    def has_urgent(self) -> bool:
        """Whether anything waits that was opened or changed."""
        return any(line for urgency, line in self._lines.items() if urgency is not Urgency.REST)

    def put(self, path: Path, urgency: Urgency) -> None:
        """Add a path; one that waits already never becomes less urgent."""
        for current, line in self._lines.items():
            if path in line:
                urgency = min(urgency, current)
        if path not in self._lines[urgency]:
            self.discard(path)
            self._lines[urgency][path] = None

    def arrange(self, rank: Callable[[Path], Rank]) -> None:
        """Bring the least urgent into an order; equals stay as they are."""
        line = self._lines[Urgency.REST]
        self._lines[Urgency.REST] = dict.fromkeys(sorted(line, key=rank))

    def discard(self, path: Path) -> None:
        """Take a path out, wherever it waits."""
        for line in self._lines.values():
            line.pop(path, None)

    def pop(self) -> tuple[Path, Urgency]:
        """Take out the first of the most urgent."""
        urgency, line = next((urgency, line) for urgency, line in self._lines.items() if line)
        path = next(iter(line))
        del line[path]
        return path, urgency
