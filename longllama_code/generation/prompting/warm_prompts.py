"""Cache of processed prompts: users go back and forth between a few files, and places in them."""

import itertools
from collections.abc import Callable

from longllama_code.generation.prompting.prepared_prompt import FileReading

MAX_BYTES = 256 << 20
"""Most bytes of keys and values where little memory is free; what was used last is kept anyway."""
MOST_BYTES = 1 << 30
"""Most bytes where much memory is free."""
FREE_SHARE = 1 / 16
"""Share of the free memory that is taken between these limits."""


def bytes_for(free_bytes: int | None) -> int:
    """Return the most bytes of keys and values; None: it is not known how much memory is free."""
    return min(MOST_BYTES, max(MAX_BYTES, int(FREE_SHARE * (free_bytes or 0))))


class WarmReadings:
    """Processed prompts of the places completed last, for all repositories together.

    Args:
        make: makes the entry of a file, with nothing processed.
        max_bytes: most bytes of all keys and values.
    """

    def __init__(self, make: Callable[[], FileReading], max_bytes: int = MAX_BYTES) -> None:
        self._make, self._max_bytes = make, max_bytes
        self._readings: dict[tuple[int, str], FileReading] = {}
        self._uses = itertools.count(1)

    def of(self, owner: object, path: str) -> FileReading:
        """Return the entry of a file; above the size limit, drop places left longest ago.

        Args:
            owner: owner of the paths, which must live until ``drop`` is called with it.
            path: path of the file.
        """
        key = id(owner), path
        reading = self._readings.get(key) or self._readings.setdefault(key, self._make())
        reading.used = next(self._uses)
        self._make_room(reading)
        return reading

    def drop(self, owner: object) -> None:
        """Drop all files of an owner."""
        for key in [key for key in self._readings if key[0] == id(owner)]:
            del self._readings[key]

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(reading.nbytes for reading in self._readings.values())

    def _make_room(self, kept: FileReading) -> None:
        """Drop places and files used longest ago; one file keeps its current place."""
        while self.nbytes > self._max_bytes:
            places = [
                (reading.left_first, key, True)
                for key, reading in self._readings.items()
                if reading.left_first is not None
            ]
            files = [
                (reading.used, key, False)
                for key, reading in self._readings.items()
                if reading is not kept and reading.left_first is None
            ]
            if not places and not files:
                return
            _, key, is_place = min([*places, *files], key=lambda each: each[0])
            if is_place:
                self._readings[key].forget_place()
            else:
                del self._readings[key]
