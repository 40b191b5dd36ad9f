"""Keys and values of prompt beginnings ("openings") on disk.

With them, a restarted editor need not process the same definitions again. Each opening has a file,
named by a hash of its token ids, in the folder of the model's store, so openings of another model
or version are never read. A damaged file is removed. Above the size limit, openings used longest
ago are removed.
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

from longllama_code.model_config import ModelConfig

logger = logging.getLogger(__name__)

MAX_BYTES = 512 << 20
LEAST_TOKENS = 64
"""Least number of tokens of a stored opening; fewer are processed as fast as a file is read."""
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Opening:
    """Keys and values of all layers for the first ids of a prompt."""

    keys: Tensor
    """Rotated keys, (layers, G, S, D)."""
    values: Tensor
    """(layers, G, S, D)."""


class KeptOpenings:
    """Owner of a folder of openings.

    Args:
        folder: folder of the files; None stores nothing.
        config: the model's.
        max_bytes: most bytes of all files.
    """

    def __init__(
        self, folder: Path | None, config: ModelConfig, max_bytes: int = MAX_BYTES
    ) -> None:
        # If layers attend to memory, the keys of a prompt depend on the memory at the time.
        self._folder = None if config.mem_layers else folder
        self._max_bytes = max_bytes
        self._layers, self._heads = config.num_hidden_layers, config.n_kv_heads
        self._head_size = config.head_dim or config.hidden_size // config.num_attention_heads

    def has(self, ids: Sequence[int]) -> bool:
        """Whether an opening is stored."""
        return self._folder is not None and self._path(self._folder, ids).is_file()

    def get(self, ids: Sequence[int]) -> Opening | None:
        """Return an opening, or None if it is not stored or cannot be read."""
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
            logger.warning(
                "%s is damaged, is removed, and will be written again: %s", path.name, error
            )
            with suppress(OSError):
                path.unlink()
            return None
        shape = (self._layers, self._heads, len(ids), self._head_size)
        return opening if opening.keys.shape == opening.values.shape == shape else None

    def put(self, ids: Sequence[int], opening: Opening) -> None:
        """Store an opening, atomically; a disk that fails is logged, and nothing is stored."""
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
        except (OSError, SafetensorError) as error:  # the second one if the disk is full
            logger.warning(
                "the beginning of a file's prompts cannot be stored: %s; free some disk space",
                error,
            )
            with suppress(OSError):
                part.unlink()

    def clear(self) -> int:
        """Remove all openings, and what a process that was killed left; return their bytes."""
        n_bytes = 0
        for path in [] if self._folder is None else list(self._folder.glob("*")):
            with suppress(OSError):  # another process may have removed it
                size = path.stat().st_size
                path.unlink()
                n_bytes += size
        return n_bytes

    def _make_room(self) -> None:
        """Remove openings used longest ago, until the rest fits."""
        assert self._folder is not None
        found = list[tuple[Path, os.stat_result]]()
        for path in self._folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another process removed it
                found.append((path, path.stat()))
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
