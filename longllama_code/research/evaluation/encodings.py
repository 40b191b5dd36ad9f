"""Variants of encoding a repository, to compare with the server's.

    header off   segments follow blank lines instead of their file's path
    store head   the header before a segment is stored with it, as an attention sink
    load order   a segment sees the segments encoded before it, as LongLLaMA's windows do

The choice of files in memory is the same for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.segments.segment import EncodedSegment
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.research.evaluation.memories import (
    EncodedFile,
    Encoder,
    SegmentMemory,
    encode_files,
)

NO_HEADER = "\n"
"""Replaces the path; the encoder repeats it, so that the first tokens are still not stored."""


@dataclass(frozen=True)
class Encoding:
    """Variant of encoding; the default is the server's."""

    header: bool = True
    """Whether segments are encoded behind the path of their file."""
    store_head: bool = False
    """Whether begin token and header are stored too."""
    load_order: bool = False
    """Whether a segment sees all earlier ones of its repository, not itself alone."""


def encode_repository(
    loaded: LoadedModel,
    texts: Mapping[str, str],
    encoding: Encoding,
    max_tokens: int | None = None,
    before: Sequence[EncodedFile] = (),
) -> list[EncodedFile]:
    """Encode files in order until their text has ``max_tokens``.

    Args:
        loaded: the model.
        texts: the files.
        encoding: the variant.
        max_tokens: when to stop.
        before: files of the repository that were encoded before with the same variant.
    """
    if encoding == Encoding():
        return encode_files(loaded, texts, max_tokens)
    return encode_files(loaded, texts, max_tokens, _VariantEncoder(loaded, encoding, before))


class _VariantEncoder(Encoder):
    """Encoder of one repository; ids depend on the variant and on segments that were seen."""

    def __init__(
        self, loaded: LoadedModel, encoding: Encoding, before: Sequence[EncodedFile]
    ) -> None:
        self._encoder, self._encoding = loaded.encoder(), encoding
        self._earlier = SegmentMemory(loaded)
        for segment in (segment for file in before for segment in file.segments):
            self._load(segment)

    def cut(self, text: str) -> list[Slice]:
        return self._encoder.cut(text)

    def encode(self, header: str, text: str) -> EncodedSegment:
        header = header if self._encoding.header else NO_HEADER
        # The first segment sees no memory.
        memory = CompletionMemory(self._earlier, None) if self._encoding.load_order else None
        stores_sink = self._encoding.store_head
        segment = self._encoder.encode(header, text, memory, stores_sink=stores_sink)
        segment = replace(segment, id=self._identity(segment.id))
        self._load(segment)
        return segment

    def _identity(self, alone: str) -> str:
        """Return an id that changes with the keys: in load order, with all earlier segments."""
        if not (self._encoding.store_head or self._encoding.load_order):
            return alone
        place = f"{alone} {self._encoding} {self._earlier.state} {self._earlier.n_segments}"
        return hashlib.blake2b(place.encode(), digest_size=16).hexdigest()

    def _load(self, segment: EncodedSegment) -> None:
        """Let later segments see one; its position in the file does not matter."""
        if self._encoding.load_order:
            nowhere = Slice(0, 0, 0, 0)
            self._earlier.take(segment.id, "", [nowhere], [segment])
