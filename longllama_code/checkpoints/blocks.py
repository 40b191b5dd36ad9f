"""Load a GGUF file and leave its matrices in the file's quantized blocks.

    file, mapped ──▶ blocks ──▶ modules that read them where they lie

Norms and biases are copied; so are rows of queries and keys, which llama.cpp reorders, and
matrices in block types that the kernels do not read (Q2_K, F16, …), which are rounded to 8 bits
with a scale for every 32 weights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from gguf import GGMLQuantizationType, quantize
from torch import nn

from longllama_code.checkpoints.completeness import (
    EMBEDDING,
    HEAD,
    check_none_missing,
    check_shape,
)
from longllama_code.checkpoints.plain import fields_of
from longllama_code.checkpoints.weaving_ahead import OpenedFile, have_kernels, opened
from longllama_code.checkpoints.weight_paths import is_gguf_file, weight_files
from longllama_code.gguf.file import GgufTensor
from longllama_code.kernels.matrices.blocks import BlockRows
from longllama_code.model.plain_model import PlainModel
from longllama_code.model.rope import Rotary
from longllama_code.model.rounded.blocks import BlockEmbedding, BlockLinear
from longllama_code.model_config import plain_config

if TYPE_CHECKING:
    from longllama_code.model.modeling import LongLlamaForCausalLM

Filled = TypeVar("Filled", "LongLlamaForCausalLM", PlainModel)


def load_blocks(folder: Path, **overrides: Any) -> LongLlamaForCausalLM | None:
    """Load a model ready to run on a CPU, in float32 but for matrices in blocks.

    Args:
        folder: the checkpoint.
        overrides: configuration fields to replace.

    Returns:
        The model; None if the weights are no GGUF file with blocks that kernels read.

    Raises:
        CheckpointError: weights are missing, damaged or not those the configuration asks for.
    """
    file = _opened(folder)
    if file is None:
        return None
    from longllama_code.checkpoints.loading import load_config
    from longllama_code.model.modeling import LongLlamaForCausalLM

    return _filled(folder, file, lambda: LongLlamaForCausalLM(load_config(folder, **overrides)))


def load_for_kernels(folder: Path, **overrides: Any) -> LongLlamaForCausalLM | PlainModel | None:
    """Load a model that only kernels are to run; see ``load_blocks``.

    Returns:
        A model without transformers, if it needs none; else what ``load_blocks`` returns.

    Raises:
        CheckpointError: see ``load_blocks``.
    """
    config = plain_config(fields_of(folder), **overrides)
    if config is None:
        return load_blocks(folder, **overrides)
    file = _opened(folder)
    return None if file is None else _filled(folder, file, lambda: PlainModel(config))


def _opened(folder: Path) -> OpenedFile | None:
    """Return the GGUF file of a folder, if it has blocks that kernels read."""
    path = weight_files(folder)[0]
    file = opened(path) if is_gguf_file(path) else None
    return file if file is not None and have_kernels(file.file) else None


def _filled(folder: Path, file: OpenedFile, make: Callable[[], Filled]) -> Filled:
    """Return a model whose weights are the tensors of a file."""
    with torch.device("meta"):
        model = make()
    missing = dict(model.named_parameters())
    if model.config.tie_word_embeddings:
        missing.pop(HEAD, None)
    for tensor in file.file.tensors():
        wanted = missing.pop(tensor.name, None)
        if wanted is None:
            continue
        check_shape(folder, tensor.name, tensor.shape, wanted.shape)
        _put(model, tensor, file)
    check_none_missing(folder, missing)
    model.model.rotary = Rotary(model.config)
    if model.config.tie_word_embeddings:
        shared = cast("BlockEmbedding", cast("nn.Module", model.model.embed_tokens))
        model.set_submodule("lm_head", BlockLinear(shared.rows))
    return model.eval()


def _put(model: nn.Module, tensor: GgufTensor, file: OpenedFile) -> None:
    """Give a tensor to its module."""
    module_name, _, leaf = tensor.name.rpartition(".")
    module = model.get_submodule(module_name)
    if len(tensor.shape) == 2:
        rows = _rows(tensor, file)
        bias = cast("nn.Parameter | None", getattr(module, "bias", None))
        is_embedding = tensor.name == EMBEDDING
        filled = BlockEmbedding(rows) if is_embedding else BlockLinear(rows, bias)
        model.set_submodule(module_name, filled)
    else:
        numbers = torch.from_numpy(tensor.floats().copy())
        setattr(module, leaf, nn.Parameter(numbers, requires_grad=False))


def _rows(tensor: GgufTensor, file: OpenedFile) -> BlockRows:
    """Return a matrix in the file's blocks if the kernels can read them."""
    if BlockRows.has_kernel(tensor.kind.name):
        return file.rows(tensor)
    kind = GGMLQuantizationType.Q8_0
    return BlockRows(kind.name, quantize(tensor.floats(), kind), tensor.shape[1])
