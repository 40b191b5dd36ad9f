"""What earlier requests left behind, file by file: the user goes back and forth between a few."""

from collections import OrderedDict
from collections.abc import Callable

from longllama_code.generation.decode import Decoder

MAX_BYTES = 256 << 20
"""Of keys and values of local contexts; the file used last stays in any case."""


class WarmDecoders:
    """A decoder for each of the files completed last, of all windows together.

    Args:
        make: a decoder of the model.
        max_bytes: what their keys and values may take.
    """

    def __init__(self, make: Callable[[], Decoder], max_bytes: int = MAX_BYTES) -> None:
        self._make, self._max_bytes = make, max_bytes
        self._decoders: OrderedDict[tuple[int, str], Decoder] = OrderedDict()

    def of(self, owner: object, path: str) -> Decoder:
        """That of an owner's file; the ones used longest ago go, where all take too much.

        Args:
            owner: whose paths these are; it lives until it is dropped.
            path: the file.
        """
        key = id(owner), path
        decoder = self._decoders.pop(key, None) or self._make()
        self._decoders[key] = decoder
        while len(self._decoders) > 1 and self.nbytes > self._max_bytes:
            self._decoders.popitem(last=False)
        return decoder

    def drop(self, owner: object) -> None:
        """Let go of all files of an owner."""
        for key in [key for key in self._decoders if key[0] == id(owner)]:
            del self._decoders[key]

    @property
    def nbytes(self) -> int:
        """Bytes of all local keys and values."""
        return sum(decoder.nbytes for decoder in self._decoders.values())
