"""Options that an engine is opened with: plain values, which need no torch and no editor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EngineOptions:
    """Model, device, store and limits of an engine; equal options open equal engines."""

    model: str
    """Name of a model, GGUF file, or folder of a checkpoint."""
    cache_dir: Path | None = None
    """Folder of encoded segments; None: the user's cache folder."""
    persist: bool = True
    """Whether encoded segments are kept on disk."""
    max_store_bytes: int | None = None
    """Most bytes of encoded segments on disk; None: no limit."""
    compact_definitions: bool = False
    """Whether values of encoded definitions have 2 bits in place of 4."""
    threads: int = 0
    """Most threads of the model; 0: as many as torch takes."""
    device: str = "auto"
    """Torch device, such as ``cpu`` or ``cuda:1``; ``auto``: the CPU."""
    dtype: str = "auto"
    """Type that the model computes in, or that its weights are rounded to."""
    gpu_bytes: int | None = None
    """Most bytes of keys and values kept on the model's device; None: the engine's default."""
    context_bytes: int | None = None
    """Most bytes of cached text around cursors, over all files; None: the engine's default."""
    compile: bool = False
    """Whether torch compiles the model's layers."""
