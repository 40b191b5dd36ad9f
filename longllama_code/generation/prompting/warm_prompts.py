"""What earlier requests left behind, file by file: the user goes back and forth between a few."""

from collections import OrderedDict
from collections.abc import Callable

from longllama_code.generation.prompting.prepared_prompt import FileReading

MAX_BYTES = 256 << 20
"""Of keys and values of local contexts; the file used last stays in any case."""


class WarmReadings:
    """What was read for each of the files completed last, of all windows together.

    Args:
        make: begins to read a file.
        max_bytes: what their keys and values may take.
    """

    def __init__(self, make: Callable[[], FileReading], max_bytes: int = MAX_BYTES) -> None:
        self._make, self._max_bytes = make, max_bytes
        self._readings: OrderedDict[tuple[int, str], FileReading] = OrderedDict()

    def of(self, owner: object, path: str) -> FileReading:
        """That of an owner's file; the ones used longest ago go, where all take too much.

        Args:
            owner: whose paths these are; it lives until it is dropped.
            path: the file.
        """
        key = id(owner), path
        reading = self._readings.pop(key, None) or self._make()
        self._readings[key] = reading
        while len(self._readings) > 1 and self.nbytes > self._max_bytes:
            self._readings.popitem(last=False)
        return reading

    def drop(self, owner: object) -> None:
        """Let go of all files of an owner."""
        for key in [key for key in self._readings if key[0] == id(owner)]:
            del self._readings[key]

    @property
    def nbytes(self) -> int:
        """Bytes of all local keys and values."""
        return sum(reading.nbytes for reading in self._readings.values())
