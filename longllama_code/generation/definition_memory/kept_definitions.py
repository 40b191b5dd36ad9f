"""Encoded definitions by the hash of their tokens, on disk or in RAM.

They are kept in a store of segments (``memory/storage``), which brings what they need: records
enter the manifest once they are on disk, damaged ones are dropped, processes share a mapping, and
above a limit those used longest ago go. A definition is a segment whose records are slices of its
bytes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from longllama_code.errors import StoreError
from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.generation.definition_memory.rounding import CosSin, RoundedFormat, Rows
from longllama_code.generation.prompting.definition_layout import LAYOUT_VERSION
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.model_config import ModelConfig

logger = logging.getLogger(__name__)

T = TypeVar("T")

FORMAT_VERSION = 3
"""Increased whenever the same keys and values would be stored as other bytes."""
SLICE_BYTES = 1024
RAM_BYTES = 256 << 20
"""Most bytes without a disk."""
ROOM_SHARE = 3 / 4
"""Share of the limit up to which definitions are encoded that nobody asked for."""


def open_store(folder: Path | None, max_bytes: int | None) -> SegmentStore:
    """Open a store for encoded definitions; without a folder, in RAM.

    Raises:
        StoreError: the folder cannot be used.
    """
    return SegmentStore(
        folder, SLICE_BYTES, limit_in_ram(max_bytes) if folder is None else max_bytes
    )


def limit_in_ram(max_bytes: int | None) -> int:
    """Return the limit of a store in RAM, given that of one on disk."""
    return RAM_BYTES if max_bytes is None else min(RAM_BYTES, max_bytes)


class KeptDefinitions:
    """Owner of one model's encoded definitions. A disk that fails is replaced by RAM.

    Args:
        store: from ``open_store``.
        rounded: format of their keys and values.
        fingerprint: fingerprint of the model.
        max_bytes: limit of the store; None for none.
    """

    def __init__(
        self,
        store: SegmentStore,
        rounded: RoundedFormat,
        fingerprint: str,
        max_bytes: int | None = None,
    ) -> None:
        self._store, self._rounded, self._fingerprint = store, rounded, fingerprint
        self._max_bytes = max_bytes
        self.problem: str | None = None
        """What is wrong with the disk, or was; None if nothing is."""

    @classmethod
    def in_ram(cls, config: ModelConfig) -> KeptDefinitions:
        """Return an empty store for one process."""
        return cls(open_store(None, None), RoundedFormat.of(config), "", RAM_BYTES)

    @classmethod
    def on_disk(
        cls,
        folder: Path,
        config: ModelConfig,
        fingerprint: str,
        max_bytes: int | None,
        *,
        value_bits: int = 4,
    ) -> KeptDefinitions:
        """Return the store of a model in a folder, which processes may share.

        Raises:
            StoreError: the folder cannot be used.
        """
        store = open_store(folder, max_bytes)
        kept = cls(store, RoundedFormat.of(config, value_bits), fingerprint, max_bytes)
        kept.problem = store.notice
        return kept

    def identity(self, head: Sequence[int], excerpt: Sequence[int]) -> str:
        """Return the id of what is stored of an excerpt behind a head."""
        formats = f"{LAYOUT_VERSION}\0{FORMAT_VERSION}\0{self._rounded.value_bits}"
        versions = f"{self._fingerprint}\0{formats}\0{len(head)}\0"
        digest = hashlib.blake2b(versions.encode(), digest_size=16)
        digest.update(np.asarray([*head, *excerpt], np.int64).tobytes())
        return digest.hexdigest()

    def __contains__(self, identity: str) -> bool:
        return self._with_store(lambda store: identity in store)

    @property
    def has_room(self) -> bool:
        """Whether to encode definitions that nobody asked for, which may displace others."""
        n_bytes = self.totals()[1]
        return self._max_bytes is None or n_bytes < ROOM_SHARE * self._max_bytes

    def content(self, identity: str) -> Tensor | None:
        """Return the bytes of a definition, which stay readable; None if there is none."""

        def read(store: SegmentStore) -> Tensor | None:
            found = store.find(identity)
            return None if found is None else store.content(found).flatten()

        return self._with_store(read)

    def put(self, identity: str, opening: Opening, rotation: CosSin) -> None:
        """Store a definition; above the limit, those used longest ago go.

        Args:
            identity: its id.
            opening: its rotated keys and values.
            rotation: cosines and sines of its positions, each (n, D).
        """
        content = self._rounded.pack(opening, rotation)
        n_slices = -(-len(content) // SLICE_BYTES)
        padded = torch.zeros(n_slices * SLICE_BYTES, dtype=torch.uint8)
        padded[: len(content)] = content
        slices, n_tokens = padded.view(n_slices, SLICE_BYTES), opening.keys.shape[2]

        def write(store: SegmentStore) -> None:
            store.put(identity, slices, [n_tokens])
            if store.is_full:
                store.collect()

        self._with_store(write)

    def spread(self, content: Tensor, rotation: CosSin, rows: Rows, at: int) -> None:
        """Write a definition's keys and values into rows; see ``RoundedFormat.spread``."""
        self._rounded.spread(content, rotation, rows, at)

    def totals(self) -> tuple[int, int]:
        """Return the number of stored definitions, and their bytes."""
        n_definitions, _, n_bytes = self._with_store(lambda store: store.totals())
        return n_definitions, n_bytes

    def clear(self) -> int:
        """Remove all; return their bytes."""
        n_bytes = self.totals()[1]
        self._with_store(lambda store: store.collect(max_bytes=0))
        return n_bytes

    def close(self) -> None:
        """Close the files."""
        self._store.close()

    def _with_store(self, action: Callable[[SegmentStore], T]) -> T:
        """Use the store; if the disk fails, go on in RAM."""
        try:
            return action(self._store)
        except StoreError as error:
            if not self._store.persists:
                raise
            logger.warning("definitions are no longer stored: %s", error)
            self.problem = str(error)
            self._store.close()
            self._max_bytes = limit_in_ram(self._max_bytes)
            self._store = open_store(None, self._max_bytes)
            return action(self._store)
