"""Table of all files: waiting, in memory, or left out and why; and the queue of those that wait."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Literal

from longllama_code.protocol import RememberResult

Kind = Literal["Normal", "Warning", "Error", "Inactive"]
Phase = Literal["loading", "indexing", "ready", "paused", "off", "failed"]


class Urgency(IntEnum):
    """Order of files in the queue; lower goes first."""

    OPEN = 0
    CHANGED = 1
    REST = 2


class FileState(str, Enum):
    """State of a file on its way into memory."""

    WAITING = "waiting"
    IN_MEMORY = "in_memory"
    LEFT_OUT = "left_out"


@dataclass(frozen=True)
class TrackedFile:
    """Record of one file."""

    path: Path
    name: str
    """Path in memory: relative to the workspace folder."""
    state: FileState
    reason: str | None = None
    """Why it is left out."""
    n_tokens: int = 0
    """Tokens in memory now; those of the former version while it waits."""
    size_bytes: int = 0
    mtime_ns: int = 0
    has_rested: bool = False
    """Whether its last change was long enough ago that equal size and time mean an equal text."""

    def same_on_disk(self, other: "TrackedFile") -> bool:
        """Whether size and time are equal, which means that nobody wrote it."""
        return (self.size_bytes, self.mtime_ns) == (other.size_bytes, other.mtime_ns)


@dataclass(frozen=True)
class Totals:
    """Counts over all files, and over all work since the start."""

    in_memory: int = 0
    waiting: int = 0
    left_out: int = 0
    undefined: int = 0
    """Files that wait and whose definitions are not known yet."""
    waiting_bytes: int = 0
    indexed_bytes: int = 0
    """Bytes of the files in memory."""
    tokens: int = 0
    segments_encoded: int = 0
    segments_loaded: int = 0
    segments_kept: int = 0


@dataclass(frozen=True)
class IgnoredSetting:
    """Setting that is not used."""

    key: str
    """Its full name."""
    message: str
    """Its value, what is wrong with it, and the remedy."""


@dataclass(frozen=True)
class Status:
    """State of the server that clients show."""

    kind: Kind
    phase: Phase
    message: str
    busy: bool
    files: Totals
    engine_restarts: int
    last_reason: str | None
    """Why the last request had no suggestion."""
    tokens_per_second: int | None = None
    """Throughput of indexing; None while no files are indexed, or before it was measured."""
    seconds_left: int | None = None
    """Estimated time for the files that wait, smoothed."""
    progress: float | None = None
    """Share of the bytes to read that is in memory, 0 to 1; None while none are read, or no more
    than an edit changed."""
    languages: Mapping[str, bool] = field(default_factory=dict[str, bool])
    """Language id to whether suggestions are made; ``*`` is every other language."""
    ignored_settings: tuple[IgnoredSetting, ...] = ()
    snooze_minutes_left: int | None = None
    """Minutes for which typing requests no suggestions; None if it does."""


class FileTable:
    """Records of all files. Totals are updated with each change, not recounted."""

    def __init__(self) -> None:
        self._files: dict[Path, TrackedFile] = {}
        self._states: Counter[FileState] = Counter()
        self._tokens = self._encoded = self._loaded = self._kept = 0
        self._bytes: Counter[FileState] = Counter()

    def __iter__(self) -> Iterator[TrackedFile]:
        return iter(list(self._files.values()))

    def get(self, path: Path) -> TrackedFile | None:
        """Return a file's record."""
        return self._files.get(path)

    def remembers(self, path: Path) -> bool:
        """Whether a file is in memory as it was read last."""
        file = self.get(path)
        return file is not None and file.state is FileState.IN_MEMORY

    def put(self, file: TrackedFile) -> None:
        """Set a file's record."""
        self.drop(file.path)
        self._files[file.path] = file
        self._states[file.state] += 1
        self._tokens += file.n_tokens
        self._bytes[file.state] += file.size_bytes

    def drop(self, path: Path) -> None:
        """Remove a file's record."""
        file = self._files.pop(path, None)
        if file is not None:
            self._states[file.state] -= 1
            self._tokens -= file.n_tokens
            self._bytes[file.state] -= file.size_bytes

    def below(self, paths: Iterable[Path]) -> list[TrackedFile]:
        """Return the files at these paths and, for folders, the files in them at any depth."""
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
        """Add the work of remembering one file."""
        self._encoded += result.n_encoded
        self._loaded += result.n_loaded
        self._kept += result.n_kept

    def totals(self) -> Totals:
        """Return the current counts."""
        return Totals(
            in_memory=self._states[FileState.IN_MEMORY],
            waiting=self._states[FileState.WAITING],
            left_out=self._states[FileState.LEFT_OUT],
            waiting_bytes=self._bytes[FileState.WAITING],
            indexed_bytes=self._bytes[FileState.IN_MEMORY],
            tokens=self._tokens,
            segments_encoded=self._encoded,
            segments_loaded=self._loaded,
            segments_kept=self._kept,
        )


class FileQueue:
    """Queue of distinct paths by urgency; first in, first out among equals."""

    def __init__(self) -> None:
        self._queues: dict[Urgency, dict[Path, None]] = {urgency: {} for urgency in Urgency}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def has_urgent(self) -> bool:
        """Whether a file waits that was opened or changed."""
        return any(queue for urgency, queue in self._queues.items() if urgency is not Urgency.REST)

    def put(self, path: Path, urgency: Urgency) -> None:
        """Add a path; one that already waits keeps the higher urgency."""
        for current, queue in self._queues.items():
            if path in queue:
                urgency = min(urgency, current)
        if path not in self._queues[urgency]:
            self.discard(path)
            self._queues[urgency][path] = None

    def sort_rest(self, rank: Callable[[Path], tuple[int, ...]]) -> None:
        """Sort the least urgent paths; equals keep their order."""
        queue = self._queues[Urgency.REST]
        self._queues[Urgency.REST] = dict.fromkeys(sorted(queue, key=rank))

    def discard(self, path: Path) -> None:
        """Remove a path, if it waits."""
        for queue in self._queues.values():
            queue.pop(path, None)

    def pop(self) -> tuple[Path, Urgency]:
        """Remove and return the first of the most urgent paths."""
        urgency, queue = next((urgency, queue) for urgency, queue in self._queues.items() if queue)
        path = next(iter(queue))
        del queue[path]
        return path, urgency
