"""Writing of tensors to a file, where a full disk is an error of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from longllama_code.errors import CheckpointError


def save_tensors(
    path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write tensors to a safetensors file.

    Raises:
        CheckpointError: it cannot be written.
    """
    save = cast("Any", safetensors.numpy).save_file
    try:
        save(dict(tensors), path, metadata=dict(metadata))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be written ({error}); make room on the disk, or name another folder."
        ) from error
