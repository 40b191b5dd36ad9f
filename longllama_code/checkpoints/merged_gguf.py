"""A GGUF file with low-rank updates merged into its matrices.

The matrices that are updated are written in 8 bits with a scale for every 32 weights (Q8_0), which
is finer than most files are; everything else is copied. The result is a model like any other: it is
loaded as quickly, runs by the same kernels, and other programs read it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
from gguf import (
    GGML_QUANT_SIZES,
    GGMLQuantizationType,
    GGUFReader,
    GGUFValueType,
    GGUFWriter,
    Keys,
    ReaderTensor,
    quantize,
)
from numpy.typing import NDArray

from longllama_code.checkpoints.low_rank import LowRankUpdates
from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import GgufFile, GgufTensor, hf_name

KIND = GGMLQuantizationType.Q8_0
VIRTUAL = "GGUF."
"""Beginning of the names of fields that the writer writes itself."""


def write_merged(path: Path, updates: LowRankUpdates, out: Path) -> None:
    """Write a file with updates to another file, at once.

    Args:
        path: the file; it stays as it is.
        updates: updates of its matrices.
        out: the new file.

    Raises:
        CheckpointError: the file is damaged, split, or not that of the updates.
    """
    file = GgufFile.open(path)  # checked: the reader below trusts what a file claims
    if len(file.paths) > 1:
        raise CheckpointError(
            f"{path} has {len(file.paths)} parts; join them with `llama-gguf-split --merge`."
        )
    tensors = {tensor.name: tensor for tensor in file.tensors() if len(tensor.shape) == 2}
    names = updates.names()
    if missing := sorted(names - tensors.keys()):
        raise CheckpointError(
            f"the updates change {missing[0]!r}, which {path} does not have; they were made for "
            "another model. Name that one."
        )
    partial = out.with_suffix(".partial")
    try:
        _write(path, {name: tensors[name] for name in names}, updates, partial)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _write(
    path: Path, tensors: Mapping[str, GgufTensor], updates: LowRankUpdates, out: Path
) -> None:
    reader = GGUFReader(path)
    writer = GGUFWriter(out, str(_value(reader, Keys.General.ARCHITECTURE)))
    _copy_fields(reader, writer)
    for tensor in reader.tensors:
        updated = tensors.get(_name(tensor))
        kind = tensor.tensor_type if updated is None else _kind(updated)
        size = tensor.n_bytes if updated is None else _n_bytes(updated)
        shape = tuple(int(n) for n in reversed(tensor.shape.tolist()))
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), size, kind)
    with closing(writer):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            updated = tensors.get(_name(tensor))
            writer.write_tensor_data(tensor.data if updated is None else _updated(updated, updates))


def _copy_fields(reader: GGUFReader, writer: GGUFWriter) -> None:
    for field in reader.fields.values():
        if field.name == Keys.General.ARCHITECTURE or field.name.startswith(VIRTUAL):
            continue
        kind = field.types[0]
        of_array = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=of_array)


def _value(reader: GGUFReader, name: str) -> object:
    field = reader.get_field(name)
    assert field is not None  # a file without it was refused
    return field.contents()


def _name(tensor: ReaderTensor) -> str:
    """Return the name of a tensor in our models; its own if they have none."""
    try:
        return hf_name(tensor.name)
    except CheckpointError:
        return tensor.name


def _kind(tensor: GgufTensor) -> GGMLQuantizationType:
    """Return how an updated matrix is written: in float32 where rows end within a block."""
    whole = tensor.shape[1] % GGML_QUANT_SIZES[KIND][0] == 0
    return KIND if whole else GGMLQuantizationType.F32


def _n_bytes(tensor: GgufTensor) -> int:
    weights, size = GGML_QUANT_SIZES[_kind(tensor)]
    return tensor.shape[0] * tensor.shape[1] // weights * size


def _updated(tensor: GgufTensor, updates: LowRankUpdates) -> NDArray[np.generic]:
    """Return an updated matrix as the file has it: in blocks, in llama.cpp's row order."""
    matrix = updates.updated(tensor.name, tensor.floats())
    if tensor.heads:
        matrix = permute(matrix, tensor.heads)
    return quantize(matrix, _kind(tensor))


def permute(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Return query or key rows in llama.cpp's order; see ``gguf.file.unpermute``."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
