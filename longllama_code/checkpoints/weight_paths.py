"""The files of a checkpoint's weights: which of a folder's files they are, without torch."""

from pathlib import Path

from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import GGUF_NAME
from longllama_code.paths import TABLE_FILE

PATTERNS = ("model*.safetensors", "pytorch_model*.bin", "*.safetensors", "*.bin", GGUF_NAME)
"""Patterns of weight files in order of preference; the first that matches is used."""


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint's weights.

    Raises:
        CheckpointError: there are none.
    """
    for pattern in PATTERNS:
        found = sorted(path for path in folder.glob(pattern) if path.name != TABLE_FILE)
        if found:
            return found
    raise CheckpointError(f"{folder} has no weights (*.safetensors, *.bin or {GGUF_NAME}).")


def is_gguf_file(path: Path) -> bool:
    """Whether a file of weights is a GGUF, which transformers does not read in our folders."""
    return path.suffix == ".gguf"
