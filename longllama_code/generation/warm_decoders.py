"""What earlier requests left behind, file by file: the user goes back and forth between a few."""

from collections import OrderedDict
from collections.abc import Callable

from longllama_code.generation.decode import Decoder

MAX_BYTES = 256 << 20
"""Of keys and values of local contexts; the file used last stays in any case."""


class WarmDecoders:
    """A decoder for each of the files completed last.

    Args:
        make: a decoder of the model.
        max_bytes: what their keys and values may take.
    """

    def __init__(self, make: Callable[[], Decoder], max_bytes: int = MAX_BYTES) -> None:
        self._make, self._max_bytes = make, max_bytes
        self._decoders: OrderedDict[str, Decoder] = OrderedDict()

    def of(self, path: str) -> Decoder:
        """That of a file; the ones used longest ago go, where all of them take too much."""
        decoder = self._decoders.setdefault(path, self._make())
        self._decoders.move_to_end(path)
        while len(self._decoders) > 1 and self.nbytes > self._max_bytes:
            self._decoders.popitem(last=False)
        return decoder

    @property
    def nbytes(self) -> int:
        """Bytes of all local keys and values."""
        return sum(decoder.nbytes for decoder in self._decoders.values())
