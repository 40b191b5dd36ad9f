"""What an engine's opening can begin before its modules are imported.

Nothing here imports torch.
"""

from __future__ import annotations

import os
from pathlib import Path

from longllama_code.checkpoints.weight_paths import is_gguf_file, weight_files
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import LongLlamaError
from longllama_code.generation import postponed_torch
from longllama_code.model_sources.catalog import model_dir
from longllama_code.weight_kinds import split_weights

MOST_THREADS = 4
"""Most threads that weave; more wait for the memory."""


def begin(options: EngineOptions) -> None:
    """Begin to weave the model's weights, and have torch leave out what kernels do not need.

    To be called before torch is imported. What is wrong with the model, the engine will say.
    """
    postponed_torch.postpone()
    path = _gguf_file(options)
    if path is not None:
        from longllama_code.checkpoints import weaving_ahead  # imports numba, half a second

        cores = options.threads or os.cpu_count() or 1
        weaving_ahead.begin(path, max(1, min(cores - 1, MOST_THREADS)))


def _gguf_file(options: EngineOptions) -> Path | None:
    """Return the GGUF file whose blocks an engine will multiply with, or None."""
    kept_in_blocks = options.dtype == "auto" and split_weights(options.model)[1] is None
    if not kept_in_blocks or options.device not in ("auto", "cpu") or options.model == "tiny":
        return None
    try:
        path = weight_files(model_dir(options.model))[0]
    except LongLlamaError:
        return None
    return path if is_gguf_file(path) else None
