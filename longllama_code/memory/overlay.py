"""Memory of a repository for many users, each with changed files of their own.

All users share the rows, which contain each segment once. A user sees the segments of the base,
except those of files that they changed, and the segments of their own files. Segments of other
users are masked, in attention and in the matches that copying and drafts use.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import xor

from torch import Tensor

from longllama_code.memory.repository import RememberedFile, RepositoryMemory, ids_of
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.shared_segments import SharedSegments
from longllama_code.memory.storage.store import StoredSegment
from longllama_code.model_config import ModelConfig


class BaseMemory(RepositoryMemory):
    """Memory under the overlays of its users; its files no longer change once there is one."""

    def __init__(self, config: ModelConfig, segments: SharedSegments) -> None:
        super().__init__(config, segments)
        self.overlays: list[OverlaidMemory] = []
        """Overlays of its users, oldest first."""


class OverlaidMemory(RepositoryMemory):
    """Memory of one user: a base, and changed files of their own.

    Args:
        base: memory that all users see, except for files that they replace.
    """

    def __init__(self, base: BaseMemory) -> None:
        super().__init__(base.config, base.segments)
        self._base = base
        self._replaced: dict[str, RememberedFile] = {}
        self._hidden: set[str] = set()
        base.overlays.append(self)

    @property
    def files(self) -> Mapping[str, RememberedFile]:
        """Visible files, by path."""
        return _OverlaidFiles(self._base.files, self._replaced, self._files)

    @property
    def state(self) -> int:
        """Hash of the set of visible segments."""
        return self._base.state ^ _hash(self._hidden) ^ _hash(self._added())

    @property
    def n_segments(self) -> int:
        """Number of distinct visible segments."""
        return self._base.n_segments - len(self._hidden) + len(self._added())

    @property
    def n_seen_tokens(self) -> int:
        """Number of visible tokens."""
        return self.rows.n_tokens - sum(end - start for start, end in self._invisible())

    def visible(self, hidden: list[tuple[int, int]]) -> Tensor | None:
        """Return visible rows, bool (M,): all but gaps, ``hidden``, and rows of other users."""
        return self.rows.visible([*hidden, *self._invisible()])

    def replace(
        self,
        path: str,
        text: str,
        placed: Sequence[tuple[str, Slice]],
        fresh: Mapping[str, StoredSegment],
    ) -> None:
        """Replace the base's version of a file, or the user's former one, by one of the user."""
        super().replace(path, text, placed, fresh)
        self._hide_base_version(path)

    def forget(self, path: str) -> bool:
        """Hide a file, the user's or the base's; return False if it was not visible."""
        was_visible = path in self.files
        super().forget(path)
        self._hide_base_version(path)
        return was_visible

    def restore(self, path: str) -> None:
        """Show the base's version of a file again."""
        super().forget(path)
        if self._replaced.pop(path, None) is not None:
            self._update_hidden()

    def close(self) -> None:
        """Remove the user's files and the overlay from the base."""
        super().close()
        self._base.overlays.remove(self)

    def _hide_base_version(self, path: str) -> None:
        """Hide the base's version of a file."""
        if path not in self._replaced and path in self._base.files:
            self._replaced[path] = self._base.files[path]
        self._update_hidden()

    def _update_hidden(self) -> None:
        """Hide the segments that occur in replaced files alone, and in none of the user's own."""
        counts = Counter(each for file in self._replaced.values() for each in ids_of(file))
        self._hidden = {
            segment_id
            for segment_id, n_files in counts.items()
            if n_files == self._base.n_files_with(segment_id) and not self.n_files_with(segment_id)
        }

    def _added(self) -> list[str]:
        """Return the user's segments that the base lacks."""
        return [each for each in self.segment_ids if not self._base.n_files_with(each)]

    def _invisible(self) -> list[tuple[int, int]]:
        """Return the row spans of segments that this user does not see."""
        others = (other for other in self._base.overlays if other is not self)
        foreign = {segment_id for other in others for segment_id in other._added()}
        invisible = self._hidden | {each for each in foreign if not self.n_files_with(each)}
        return [self.rows.span(segment_id) for segment_id in invisible]


class _OverlaidFiles(Mapping[str, RememberedFile]):
    """Files of the user over those of the base, some of which are hidden."""

    def __init__(
        self,
        base: Mapping[str, RememberedFile],
        hidden: Mapping[str, RememberedFile],
        own: Mapping[str, RememberedFile],
    ) -> None:
        self._base, self._hidden, self._own = base, hidden, own

    def __getitem__(self, path: str) -> RememberedFile:
        if path in self._own:
            return self._own[path]
        if path in self._hidden:
            raise KeyError(path)
        return self._base[path]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        for path in self._base:
            if path not in self._own and path not in self._hidden:
                yield path

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _hash(segment_ids: Sequence[str] | set[str]) -> int:
    return reduce(xor, (int(segment_id, 16) for segment_id in segment_ids), 0)
