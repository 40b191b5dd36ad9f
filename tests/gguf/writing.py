"""GGUF files as llama.cpp's converter writes them: of any small model, in any type."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, TokenType
from tokenizers import pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tests.gguf.small_gguf import permute

TOKENS = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "in", "int"]
SIZES: dict[str, Any] = {
    "vocab_size": len(TOKENS),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e5},
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
LARGE: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 512, "num_key_value_heads": 1}
"""Sizes whose rows are whole blocks of every type."""
MODELS = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
}
Choose = Callable[[str], Kind]
"""The type of a tensor, by its name in the model."""


def small_model(kind: str = "llama", **fields: Any) -> PreTrainedModel:
    """A random model; always the same of the same fields."""
    configuration, model = MODELS[kind]
    torch.manual_seed(0)
    made = model(configuration(**{**SIZES, **fields})).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)
    return made


def write_model(
    model: PreTrainedModel,
    path: Path,
    architecture: str = "",
    kind_of: Choose = lambda _: Kind.F32,
    extra: Callable[[GGUFWriter], None] = lambda _: None,
    **entries: Any,
) -> Path:
    """Write a model.

    Args:
        model: of ``MODELS``.
        path: the file.
        architecture: what GGUF calls it, if that is not the model's type.
        kind_of: matrices are written so; all else in float32.
        extra: adds what else the file is to have.
        entries: of the metadata, by the ends of their keys with ``__`` for dots; None leaves one
            out.
    """
    architecture = architecture or model.config.model_type
    writer = GGUFWriter(path, architecture)
    for key, value in {**_entries(model.config, architecture), **_by_key(entries)}.items():
        _add(writer, key, value)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        rows = _rows(name, tensor, model.config, architecture)
        kind = kind_of(name) if rows.ndim == 2 else Kind.F32
        writer.add_tensor(written, blocks(rows, kind), raw_dtype=kind)
    extra(writer)
    return finish(writer)


def finish(writer: GGUFWriter) -> Path:
    """Put a file onto the disk."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert writer.path is not None
    return writer.path


def blocks(rows: np.ndarray, kind: Kind) -> np.ndarray:
    """Rows in blocks of a type; of types that gguf-py does not make, blocks that are just valid."""
    try:
        return gguf.quantize(rows, kind)
    except NotImplementedError:
        return random_blocks(rows.shape, kind)


def random_blocks(shape: tuple[int, ...], kind: Kind) -> np.ndarray:
    """Blocks of any bytes but those of scales, so that all numbers are finite."""
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    some = np.random.default_rng(int(kind)).integers(0, 0x3C, (shape[0], shape[1] // weights, size))
    return some.astype(np.uint8).reshape(shape[0], -1)


def _rows(name: str, tensor: torch.Tensor, config: Any, architecture: str) -> np.ndarray:
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    of_tensor = heads.get(name.split(".")[-2]) if architecture != "qwen2" else None
    rows = tensor.numpy()
    return rows if of_tensor is None else permute(rows, of_tensor)


def _by_key(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in entries.items()}


def _entries(config: Any, architecture: str) -> dict[str, Any]:
    own = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "block_count": config.num_hidden_layers,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
    }
    return {f"{architecture}.{key}": value for key, value in own.items()} | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": [TokenType.CONTROL] + [TokenType.NORMAL] * (len(TOKENS) - 1),
        "tokenizer.ggml.merges": ["i n", "in t"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
    }


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, list):
        writer.add_array(key, [int(v) if isinstance(v, TokenType) else v for v in value])
        return
    kinds = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}
    kinds.get(type(value), writer.add_string)(key, value)
