"""Ring of chunks, by which llama.vscode shows a model pieces of other files.

Chunks are picked where the person has been. They wait in a queue, and a periodic update moves one
of them into the ring, whose chunks begin every prompt. The rules are those of
``src/extra-context.ts`` of llama.vscode 0.0.63, and the constants those of its ``package.json`` and
``src/configuration.ts``. One is left out: there, a queue that overflows drops a chunk but keeps its
lines, so that later comparisons look at the wrong ones.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

MAX_CHUNKS = 16
"""Most chunks in the ring (``ring_n_chunks``)."""
CHUNK_LINES = 64
"""Length from which only a part of a text is taken (``ring_chunk_size``)."""
PART_LINES = CHUNK_LINES // 2
"""Length of that part, and number of lines around a cursor to each side."""
MIN_LINES = 3
MAX_QUEUED = 16
MAX_SIMILARITY = 0.9
"""Jaccard similarity above which a new chunk replaces an older one."""


@dataclass(frozen=True)
class Chunk:
    """Lines of a file."""

    file: str
    """Absolute path of the file."""
    lines: tuple[str, ...]
    time_ms: int = field(default_factory=lambda: int(time.time() * 1000), compare=False)
    """When it was picked, in milliseconds since 1970."""

    @property
    def text(self) -> str:
        """Text of the chunk, ended by a line feed."""
        return "\n".join(self.lines) + "\n"


class Ring:
    """Chunks of an editor's session.

    Args:
        random: chooses the part of a long text.
    """

    def __init__(self, random: Random) -> None:
        self.chunks: list[Chunk] = []
        """Chunks that prompts begin with, oldest first."""
        self.queued: list[Chunk] = []
        """Chunks that wait for updates, oldest first."""
        self._random = random

    def pick(self, file: str, lines: Sequence[str], *, evict: bool = True) -> None:
        """Queue a chunk of some lines: all of them, or a random part of many.

        Args:
            file: absolute path of their file.
            lines: the lines; fewer than three give no chunk.
            evict: whether the chunk replaces similar ones, and is refused if its text is there.
        """
        if len(lines) < MIN_LINES:
            return
        chunk = Chunk(file, tuple(self._part(lines)))
        if evict:
            if any(other.text == chunk.text for other in (*self.chunks, *self.queued)):
                return
            self.chunks = _unlike(chunk, self.chunks)
            self.queued = _unlike(chunk, self.queued)
        self.queued = [*self.queued, chunk][-MAX_QUEUED:]

    def pick_around(self, file: str, lines: Sequence[str], line: int) -> None:
        """Queue a chunk of the lines around a cursor.

        Args:
            file: absolute path of the file.
            lines: all lines of the file.
            line: index of the cursor's line.
        """
        self.pick(file, lines[max(0, line - PART_LINES) : line + PART_LINES + 1])

    def update(self) -> bool:
        """Move the oldest queued chunk into the ring; return whether there was one."""
        if not self.queued:
            return False
        self.chunks = [*self.chunks, self.queued.pop(0)][-MAX_CHUNKS:]
        return True

    def update_all(self) -> None:
        """Move all queued chunks into the ring, as updates do while nothing is asked."""
        while self.update():
            pass

    def _part(self, lines: Sequence[str]) -> Sequence[str]:
        if len(lines) + 1 < CHUNK_LINES:
            return lines
        start = self._random.randrange(len(lines) - PART_LINES + 1)
        return lines[start : start + PART_LINES]


def similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the Jaccard similarity of two texts as sets of lines, from 0 to 1."""
    union = {*one, *other}
    return len({*one} & {*other}) / len(union) if union else 1.0


def _unlike(chunk: Chunk, others: Sequence[Chunk]) -> list[Chunk]:
    return [other for other in others if similarity(other.lines, chunk.lines) <= MAX_SIMILARITY]
