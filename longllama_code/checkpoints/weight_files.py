"""Read the tensors of a checkpoint one at a time: ``.safetensors``, ``.bin``, GGUF.

Files are mapped, and the pages of each tensor are released after use, so one tensor is resident
however large the file is. Code in a ``.bin`` is not run.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import safetensors
import torch
from safetensors import SafetensorError
from torch import Tensor

from longllama_code.checkpoints.weight_paths import is_gguf_file
from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import GgufFile
from longllama_code.mapped_pages import advise


def tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield names and tensors of a file; each one is valid until the next.

    Raises:
        CheckpointError: the file is damaged, or holds more than tensors.
    """
    if is_gguf_file(path):
        yield from _dequantized(path)
        return
    with _readable(path):
        is_mapped = resident_bytes(path) == 0
        ahead: tuple[str, Tensor] | None = None
        for found in _read(path, is_mapped):
            if is_mapped:  # the disk reads the next tensor while this one is used
                advise(_span(found[1]), "MADV_WILLNEED")
            if ahead is not None:
                yield from _once(*ahead, is_mapped)
            ahead = found
        if ahead is not None:
            yield from _once(*ahead, is_mapped)


def _dequantized(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a GGUF file in float32, and release the pages of the file."""
    for tensor in GgufFile.open(path).tensors():
        span = tensor.rows.ctypes.data, tensor.rows.nbytes
        advise(span, "MADV_WILLNEED")
        yield tensor.name, torch.from_numpy(tensor.floats())
        advise(span, "MADV_DONTNEED")


def _once(name: str, tensor: Tensor, is_mapped: bool) -> Iterator[tuple[str, Tensor]]:
    yield name, tensor
    if is_mapped:  # released pages of anonymous memory would read as zeros
        advise(_span(tensor), "MADV_DONTNEED")


def resident_bytes(path: Path) -> int:
    """Return the bytes of a file that stay resident besides one tensor; all of an unmapped file."""
    is_mapped = path.suffix in (".safetensors", ".gguf") or zipfile.is_zipfile(path)
    return 0 if is_mapped else path.stat().st_size


@contextmanager
def _readable(path: Path) -> Generator[None]:
    try:
        yield
    except UnpicklingError as error:  # torch's message proposes to run the pickle's code after all
        raise CheckpointError(
            f"{path} is damaged or holds more than tensors, and code of a checkpoint is never run."
            " Fetch it again, or convert it to safetensors where you trust it."
        ) from error
    except (OSError, RuntimeError, ValueError, SafetensorError, EOFError) as error:
        raise CheckpointError(f"{path} could not be read: {error}") from error


def _read(path: Path, is_mapped: bool) -> Iterator[tuple[str, Tensor]]:
    if path.suffix == ".safetensors":
        with cast("Any", safetensors).safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                yield name, file.get_tensor(name)
        return
    read = cast("Callable[..., object]", torch.load)
    found = read(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    if not isinstance(found, dict):
        raise ValueError("it has no tensors by name")
    weights = cast("dict[object, object]", found)
    for name in list(weights):
        tensor = weights.pop(name)
        if isinstance(name, str) and isinstance(tensor, Tensor):
            yield name, tensor


def _span(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor.numel() * tensor.element_size()
