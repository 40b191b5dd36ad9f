"""Cache of processed prompts, file by file: users go back and forth between a few files."""

from collections import OrderedDict
from collections.abc import Callable

from longllama_code.generation.prompting.prepared_prompt import FileReading

MAX_BYTES = 256 << 20
"""Most bytes of keys and values; the file used last is kept in any case."""


class WarmReadings:
    """Processed prompts of the files completed last, for all repositories together.

    Args:
        make: makes the entry of a file, with nothing processed.
        max_bytes: most bytes of all keys and values.
    """

    def __init__(self, make: Callable[[], FileReading], max_bytes: int = MAX_BYTES) -> None:
        self._make, self._max_bytes = make, max_bytes
        self._readings: OrderedDict[tuple[int, str], FileReading] = OrderedDict()

    def of(self, owner: object, path: str) -> FileReading:
        """Return the entry of a file; above the size limit, drop entries used longest ago.

        Args:
            owner: owner of the paths, which must live until ``drop`` is called with it.
            path: path of the file.
        """
        key = id(owner), path
        reading = self._readings.pop(key, None) or self._make()
        self._readings[key] = reading
        while len(self._readings) > 1 and self.nbytes > self._max_bytes:
            self._readings.popitem(last=False)
        return reading

    def drop(self, owner: object) -> None:
        """Drop all files of an owner."""
        for key in [key for key in self._readings if key[0] == id(owner)]:
            del self._readings[key]

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(reading.nbytes for reading in self._readings.values())
