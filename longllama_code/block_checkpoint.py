"""Loading a GGUF file whose matrices stay in its blocks: nothing is spread out, little is copied.

    file, mapped ──▶ blocks ──▶ modules that read them where they lie

Copied are norms and biases; rows of queries and keys that llama.cpp put into another order; and
matrices in blocks that kernels do not read (Q2_K, F16, …), which are rounded to 8 bits, each 32
weights with a scale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from gguf import GGMLQuantizationType, quantize
from torch import nn

from longllama_code.checkpoint import load_config
from longllama_code.errors import CheckpointError
from longllama_code.gguf_file import GgufFile, GgufTensor
from longllama_code.kernels.block_levels import CHUNK
from longllama_code.kernels.block_matrices import BlockRows
from longllama_code.model.blocks import BlockEmbedding, BlockLinear
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rope import Rotary
from longllama_code.weight_files import is_gguf_file, weight_files

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def has_blocks(folder: Path) -> bool:
    """Whether the weights of a checkpoint are a GGUF file with blocks that kernels read."""
    path = weight_files(folder)[0]
    if not is_gguf_file(path):
        return False
    matrices = [tensor for tensor in GgufFile.open(path).tensors() if len(tensor.shape) == 2]
    return all(tensor.shape[1] % CHUNK == 0 for tensor in matrices) and any(
        BlockRows.has_kernel(tensor.kind.name) for tensor in matrices
    )


def load_blocks(folder: Path, **overrides: Any) -> LongLlamaForCausalLM:
    """A model ready to run on a CPU, in float32 but for matrices in blocks.

    Args:
        folder: the checkpoint, of which ``has_blocks`` is true.
        overrides: configuration fields to replace.

    Raises:
        CheckpointError: weights are missing, damaged or not those the configuration asks for.
    """
    with torch.device("meta"):
        model = LongLlamaForCausalLM(load_config(folder, **overrides))
    missing = dict(model.named_parameters())
    if model.config.tie_word_embeddings:
        missing.pop(HEAD, None)
    for tensor in GgufFile.open(weight_files(folder)[0]).tensors():
        wanted = missing.pop(tensor.name, None)
        if wanted is None:
            continue
        if tensor.shape != tuple(wanted.shape):
            raise CheckpointError(
                f"{folder} has {tensor.name!r} of shape {tensor.shape}, not {(*wanted.shape,)}; "
                "its config.json belongs to another model."
            )
        _put(model, tensor)
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} weights, the first of them {min(missing)!r}; the "
            "checkpoint is incomplete or its config.json belongs to another model."
        )
    _finish(model)
    return model.eval()


def _put(model: LongLlamaForCausalLM, tensor: GgufTensor) -> None:
    """Give a tensor to its module."""
    module_name, _, leaf = tensor.name.rpartition(".")
    module = model.get_submodule(module_name)
    if len(tensor.shape) == 2:
        rows = _rows(tensor)
        bias = cast("nn.Parameter | None", getattr(module, "bias", None))
        is_embedding = tensor.name == EMBEDDING
        filled = BlockEmbedding(rows) if is_embedding else BlockLinear(rows, bias)
        model.set_submodule(module_name, filled)
    else:
        numbers = torch.from_numpy(tensor.floats().copy())
        setattr(module, leaf, nn.Parameter(numbers, requires_grad=False))


def _rows(tensor: GgufTensor) -> BlockRows:
    """A matrix as the file has it, if kernels can read that."""
    if BlockRows.has_kernel(tensor.kind.name):
        return BlockRows(tensor.kind.name, tensor.blocks, tensor.shape[1])
    kind = GGMLQuantizationType.Q8_0
    return BlockRows(kind.name, quantize(tensor.floats(), kind), tensor.shape[1])


def _finish(model: LongLlamaForCausalLM) -> None:
    """What no file has: tables of rotation, and a head that shares the embeddings."""
    model.model.rotary = Rotary(model.config)
    if model.config.tie_word_embeddings:
        shared = cast("BlockEmbedding", cast("nn.Module", model.model.embed_tokens))
        model.set_submodule("lm_head", BlockLinear(shared.rows))
