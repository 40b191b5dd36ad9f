"""Functions of bulk encoding's workers: cut files, encode segments; plain values in and out.

A worker loads the model once and keeps it for its next task.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from longllama_code.errors import CheckpointError
from longllama_code.generation.models import LoadedModel, load_for_engine
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.model_sources.default_model import USUAL


@dataclass(frozen=True)
class ModelPlace:
    """A model, and how a worker runs it."""

    model: str = USUAL
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 1


@dataclass(frozen=True)
class ModelFacts:
    """Properties of the model that the writer needs."""

    name: str
    fingerprint: str
    record_bytes: int


@dataclass(frozen=True)
class CutFile:
    """A file and its segments."""

    path: str
    text: str
    id: str
    """Key under which its cut is stored."""
    pieces: tuple[Slice, ...]
    segment_ids: tuple[str, ...]

    def part(self, index: int) -> str:
        """Return the text of one of its segments."""
        piece = self.pieces[index]
        return self.text[piece.start : piece.end]


@dataclass(frozen=True)
class Wanted:
    """A segment to encode."""

    id: str
    header: str
    text: str


@dataclass(frozen=True)
class Packed:
    """An encoded segment in the store's format."""

    id: str
    records: NDArray[np.uint8]
    """Records, uint8 (n, bytes)."""
    page_offsets: tuple[int, ...]


def facts_of(place: ModelPlace) -> ModelFacts:
    """Return the properties of a model; runs on a worker."""
    loaded, _ = _worker(place)
    return ModelFacts(loaded.name, loaded.fingerprint, loaded.record_format.n_bytes)


def cut_files(place: ModelPlace, files: list[tuple[str, str]]) -> list[CutFile]:
    """Return the segments of files, given as path and text."""
    _, encoder = _worker(place)
    return [_cut(encoder, path, text) for path, text in files]


def encode_segments(place: ModelPlace, fingerprint: str, wanted: list[Wanted]) -> list[Packed]:
    """Return segments, encoded one by one as a single machine does.

    Raises:
        CheckpointError: the model here is another than the writer's.
    """
    loaded, encoder = _worker(place)
    if loaded.fingerprint != fingerprint:
        raise CheckpointError(
            f"the model {place.model} of this worker is {loaded.fingerprint}, not {fingerprint}; "
            "give all machines the same files (one image, or one shared folder: their times count)."
        )
    form = loaded.record_format
    encoded = (encoder.encode(segment.header, segment.text) for segment in wanted)
    return [
        Packed(segment.id, form.pack(segment).cpu().numpy(), tuple(segment.page_offsets.tolist()))
        for segment in encoded
    ]


def _cut(encoder: SegmentEncoder, path: str, text: str) -> CutFile:
    header, pieces = path_header(path), tuple(encoder.cut(text))
    ids = tuple(encoder.identity(header, text[piece.start : piece.end]) for piece in pieces)
    return CutFile(path, text, encoder.identity(header, text), pieces, ids)


@lru_cache(maxsize=1)
def _worker(place: ModelPlace) -> tuple[LoadedModel, SegmentEncoder]:
    torch.set_num_threads(place.threads)
    loaded = load_for_engine(place.model, place.device, place.dtype)
    return loaded, loaded.encoder()
