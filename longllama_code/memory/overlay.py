"""A repository's memory as one user has it: files of their own in place of some of its files.

Many users read one memory. Its rows hold each segment once, whoever it came from; what a user sees
are the segments of the base, without those of files that they changed, and their own. Everybody
else's are masked, in attention as in the matches that copying and drafts come from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import xor

from torch import Tensor

from longllama_code.config import LongLlamaConfig
from longllama_code.memory.repository import RememberedFile, RepositoryMemory, ids_of
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.shared_segments import HeldSegments
from longllama_code.memory.storage.store import StoredSegment


class BaseMemory(RepositoryMemory):
    """A memory that users lay their own files over. It is complete before the first of them."""

    def __init__(self, config: LongLlamaConfig, held: HeldSegments) -> None:
        super().__init__(config, held)
        self.overlays: list[OverlaidMemory] = []
        """Everybody who reads it, in the order in which they came."""


class OverlaidMemory(RepositoryMemory):
    """What one user sees of a base, and of their own.

    Args:
        base: what everybody sees, as far as they do not replace it.
    """

    def __init__(self, base: BaseMemory) -> None:
        super().__init__(base.config, base.held)
        self._base = base
        self._replaced: dict[str, RememberedFile] = {}
        self._hidden: set[str] = set()
        base.overlays.append(self)

    @property
    def files(self) -> Mapping[str, RememberedFile]:
        """The files that are seen, by path."""
        return _Overlaid(self._base.files, self._replaced, self._files)

    @property
    def own_files(self) -> Mapping[str, RememberedFile]:
        """Those of them that are the user's own."""
        return self._files

    @property
    def state(self) -> int:
        """Changes with the set of segments that are seen, and with nothing else."""
        return self._base.state ^ _sum(self._hidden) ^ _sum(self._added())

    @property
    def n_segments(self) -> int:
        """Different segments that are seen."""
        return self._base.n_segments - len(self._hidden) + len(self._added())

    @property
    def n_seen_tokens(self) -> int:
        """Tokens that can be seen."""
        return self.rows.n_tokens - sum(end - start for start, end in self._unseen())

    def visible(self, hidden: list[tuple[int, int]]) -> Tensor | None:
        """Bool (M,), False in gaps, in ``hidden`` and in what is not for this user."""
        return self.rows.visible([*hidden, *self._unseen()])

    def replace(
        self,
        path: str,
        text: str,
        placed: Sequence[tuple[str, Slice]],
        fresh: Mapping[str, StoredSegment],
    ) -> None:
        """Put a file of the user's own in place of the base's, or of its former version."""
        super().replace(path, text, placed, fresh)
        self._take_away(path)

    def forget(self, path: str) -> bool:
        """See a file no longer, be it the user's own or the base's; False where it was not seen."""
        was_seen = path in self.files
        super().forget(path)
        self._take_away(path)
        return was_seen

    def restore(self, path: str) -> None:
        """See the base's version of a file again."""
        super().forget(path)
        if self._replaced.pop(path, None) is not None:
            self._hide()

    def close(self) -> None:
        """Leave the base as if this user had never been."""
        super().close()
        self._base.overlays.remove(self)

    def _take_away(self, path: str) -> None:
        """Have the base's version of a file replaced."""
        if path not in self._replaced and path in self._base.files:
            self._replaced[path] = self._base.files[path]
        self._hide()

    def _hide(self) -> None:
        """Find the segments of replaced files alone that are not the user's own as well."""
        counts = Counter(held for file in self._replaced.values() for held in ids_of(file))
        self._hidden = {
            held
            for held, n_files in counts.items()
            if n_files == self._base.n_files_with(held) and not self.n_files_with(held)
        }

    def _added(self) -> list[str]:
        """The user's own segments that the base lacks."""
        return [held for held in self.segment_ids if not self._base.n_files_with(held)]

    def _unseen(self) -> list[tuple[int, int]]:
        """Rows of the segments that are not for this user."""
        others = (other for other in self._base.overlays if other is not self)
        foreign = {held for other in others for held in other._added()}
        unseen = self._hidden | {held for held in foreign if not self.n_files_with(held)}
        return [self.rows.span(held) for held in unseen]


class _Overlaid(Mapping[str, RememberedFile]):
    """Files over others, of which some are gone."""

    def __init__(
        self,
        base: Mapping[str, RememberedFile],
        gone: Mapping[str, RememberedFile],
        own: Mapping[str, RememberedFile],
    ) -> None:
        self._base, self._gone, self._own = base, gone, own

    def __getitem__(self, path: str) -> RememberedFile:
        if path in self._own:
            return self._own[path]
        if path in self._gone:
            raise KeyError(path)
        return self._base[path]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        for path in self._base:
            if path not in self._own and path not in self._gone:
                yield path

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _sum(segment_ids: Sequence[str] | set[str]) -> int:
    return reduce(xor, (int(held, 16) for held in segment_ids), 0)
