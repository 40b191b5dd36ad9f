"""Keys and values of what prompts of files begin with, on disk.

An editor that starts again reads no definition anew. Each opening has a file, named by its token
ids, in the folder of the model's store: what another model or another version made of the same ids
is never met. A damaged file is as good as none. What was used longest ago goes.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from longllama_code.config import LongLlamaConfig

logger = logging.getLogger(__name__)

MAX_BYTES = 512 << 20
LEAST_TOKENS = 64
"""Fewer are read again as fast as a file is."""
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Opening:
    """What every layer made of a prompt's first ids."""

    keys: Tensor
    """Rotated, (layers, G, S, D)."""
    values: Tensor
    """(layers, G, S, D)."""


class KeptOpenings:
    """Owner of a folder of openings.

    Args:
        folder: where they lie; None keeps none.
        config: of the model.
        max_bytes: what they may take.
    """

    def __init__(
        self, folder: Path | None, config: LongLlamaConfig, max_bytes: int = MAX_BYTES
    ) -> None:
        # Where layers attend to memory, a prompt's keys are of the memory as it was.
        self._folder = None if config.mem_layers else folder
        self._max_bytes = max_bytes
        self._layers, self._heads = config.num_hidden_layers, config.n_kv_heads
        self._head_size = config.head_dim or config.hidden_size // config.num_attention_heads

    def has(self, ids: Sequence[int]) -> bool:
        """Whether an opening is kept."""
        return self._folder is not None and self._path(self._folder, ids).is_file()

    def get(self, ids: Sequence[int]) -> Opening | None:
        """Return an opening; None where it is not kept, or cannot be read."""
        if self._folder is None or len(ids) < LEAST_TOKENS:
            return None
        path = self._path(self._folder, ids)
        try:
            found = load_file(path)
            os.utime(path)
            opening = Opening(found["keys"], found["values"])
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError) as error:
            logger.warning("%s is damaged and is made again: %s", path.name, error)
            with suppress(OSError):
                path.unlink()
            return None
        shape = (self._layers, self._heads, len(ids), self._head_size)
        return opening if opening.keys.shape == opening.values.shape == shape else None

    def put(self, ids: Sequence[int], opening: Opening) -> None:
        """Keep an opening, whole or not at all; where the disk refuses, it is read again later."""
        if self._folder is None or len(ids) < LEAST_TOKENS:
            return
        path = self._path(self._folder, ids)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            tensors = {"keys": opening.keys.contiguous(), "values": opening.values.contiguous()}
            save_file(tensors, part)
            part.replace(path)
            self._make_room()
        except OSError as error:
            logger.warning("what a file's prompts begin with is not kept: %s", error)
            with suppress(OSError):
                part.unlink()

    def _make_room(self) -> None:
        """Remove what was used longest ago, until the rest is within the bytes."""
        assert self._folder is not None
        found = [(path, path.stat()) for path in self._folder.glob(f"*{SUFFIX}")]
        n_bytes = sum(stat.st_size for _, stat in found)
        for path, stat in sorted(found, key=lambda each: each[1].st_mtime_ns):
            if n_bytes <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            n_bytes -= stat.st_size

    @staticmethod
    def _path(folder: Path, ids: Sequence[int]) -> Path:
        digest = hashlib.blake2b(np.asarray(ids, np.int64).tobytes(), digest_size=16)
        return folder / f"{digest.hexdigest()}{SUFFIX}"
