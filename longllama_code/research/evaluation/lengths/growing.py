"""A memory that grows by whole segments, so that each size costs only the difference."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.memories import EncodedFile, SegmentMemory


class GrowingMemory:
    """Memory that takes files in order, segment by segment; their paths must differ."""

    def __init__(self, loaded: LoadedModel, files: Iterable[EncodedFile]) -> None:
        self.memory = SegmentMemory(loaded)
        self._pending = deque(
            (file, number) for file in files for number in range(1, len(file.segments) + 1)
        )

    @property
    def n_tokens(self) -> int:
        """Tokens in memory."""
        return self.memory.rows.n_tokens

    def grow(self, max_tokens: int) -> bool:
        """Take in segments while they fit; False where none is left and there is room for more."""
        while self._pending:
            file, n_segments = self._pending[0]
            if self.n_tokens + file.segments[n_segments - 1].n_tokens > max_tokens:
                return True
            put(self.memory, file, n_segments)
            self._pending.popleft()
        return self.n_tokens >= max_tokens


def put(memory: SegmentMemory, file: EncodedFile, n_segments: int | None = None) -> None:
    """Put the first segments of a file, or all of it, in place of its former version."""
    pieces, segments = file.pieces[:n_segments], file.segments[:n_segments]
    text = file.text[: pieces[-1].end] if pieces else ""
    memory.take(file.path, text, pieces, segments)
