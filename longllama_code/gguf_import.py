"""Llama weights from a GGUF file to a Hugging Face model folder.

transformers reads GGUF too, but dequantises on every start, takes tens of seconds, and loses the
digit splitting of SmolLM's tokenizer. So we convert once:

    GGUF metadata ──▶ config.json, tokenizer.json
    GGUF tensors  ──▶ model.safetensors (float16)

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.numpy
from gguf import GGUFReader, ReaderTensor, TokenType, dequantize
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

from longllama_code.errors import CheckpointError

CONVERSION = 1
"""Raised when the same GGUF converts to something else, so that models are converted anew."""

_TOP_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONFIG_KEYS = {
    "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length",
    "num_hidden_layers": "llama.block_count",
    "num_attention_heads": "llama.attention.head_count",
    "num_key_value_heads": "llama.attention.head_count_kv",
    "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
    "rope_theta": "llama.rope.freq_base",
    "max_position_embeddings": "llama.context_length",
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
}


def convert_gguf(gguf_path: Path, out_dir: Path, overrides: Mapping[str, Any]) -> None:
    """Convert a quantised Llama into ``model.safetensors``, ``tokenizer.json`` and ``config.json``.

    Args:
        gguf_path: a GGUF file of architecture ``llama`` with a byte-level BPE tokenizer.
        out_dir: an existing folder. The configuration is written last: where it is, all is.
        overrides: entries of ``config.json`` that the GGUF does not know, or that replace its own.

    Raises:
        CheckpointError: the file is damaged, or is not such a model.
    """
    reader = _open(gguf_path)
    config = read_config(reader) | dict(overrides)
    _save_weights(reader, config, out_dir / "model.safetensors")
    read_tokenizer(reader).save(str(out_dir / "tokenizer.json"))
    (out_dir / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_config(reader: GGUFReader) -> dict[str, Any]:
    """Entries of a Llama ``config.json``, read from the GGUF metadata.

    Raises:
        CheckpointError: the architecture is not ``llama``, or an entry is missing.
    """
    architecture = _field(reader, "general.architecture")
    if architecture != "llama":
        raise CheckpointError(f"GGUF of architecture {architecture!r}; only 'llama' is read")
    config = {name: _field(reader, key) for name, key in _CONFIG_KEYS.items()}
    return config | {
        "vocab_size": len(_field(reader, "tokenizer.ggml.tokens")),
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
        "torch_dtype": "float16",
    }


def read_tokenizer(reader: GGUFReader) -> Tokenizer:
    """The byte-level BPE tokenizer that the GGUF metadata describe.

    Raises:
        CheckpointError: the tokenizer is not SmolLM's: what splits the text before BPE differs
            from model to model, and GGUF gives it only a name.
    """
    kind = f"{_field(reader, 'tokenizer.ggml.model')}/{_field(reader, 'tokenizer.ggml.pre')}"
    if kind != "gpt2/smollm":
        raise CheckpointError(f"GGUF with tokenizer {kind!r}; only 'gpt2/smollm' is read")
    tokens: list[str] = _field(reader, "tokenizer.ggml.tokens")
    merges: list[str] = _field(reader, "tokenizer.ggml.merges")
    vocab = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[_pair(merge) for merge in merges]))
    tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(False)])
    tokenizer.decoder = ByteLevelDecoder()
    types: list[int] = _field(reader, "tokenizer.ggml.token_type")
    special = [t for t, kind in zip(tokens, types, strict=True) if kind == TokenType.CONTROL]
    cast("Any", tokenizer).add_special_tokens([AddedToken(t, normalized=False) for t in special])
    return tokenizer


def hf_name(gguf_name: str) -> str:
    """``blk.3.attn_q.weight`` as Hugging Face calls it: ``model.layers.3.self_attn.q_proj.weight``.

    Raises:
        CheckpointError: a Llama has no such tensor.
    """
    module, _, kind = gguf_name.rpartition(".")
    block = re.fullmatch(r"blk\.(\d+)\.(\w+)", module)
    if block and block[2] in _LAYER_NAMES:
        return f"model.layers.{block[1]}.{_LAYER_NAMES[block[2]]}.{kind}"
    if module in _TOP_NAMES:
        return f"{_TOP_NAMES[module]}.{kind}"
    raise CheckpointError(f"GGUF tensor {gguf_name!r} is not one of a plain Llama")


def unpermute(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Undo llama.cpp's order of the query and key rows.

    Rotary embeddings turn pairs of channels: ``(0, 1), (2, 3), …`` in llama.cpp, ``(0, D/2),
    (1, D/2 + 1), …`` in transformers, for whose layout the converter of llama.cpp moved the rows.

    Args:
        rows: (heads * D, E).
        heads: ``H`` for queries, ``G`` for keys.

    Returns:
        (heads * D, E): of each head the even rows, then the odd ones.
    """
    parts = [head[first::2] for head in np.split(rows, heads) for first in (0, 1)]
    return np.concatenate(parts)


def _open(path: Path) -> GGUFReader:
    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise CheckpointError(f"{path} is not a readable GGUF file: {error}") from error


def _field(reader: GGUFReader, key: str) -> Any:
    field = reader.get_field(key)
    if field is None:
        raise CheckpointError(f"GGUF without {key!r}: not a complete Llama")
    return field.contents()


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _save_weights(reader: GGUFReader, config: Mapping[str, Any], path: Path) -> None:
    # The reader maps the file, and each float32 tensor dies in the cast: one float16 copy in all.
    tensors = {hf_name(t.name): _float16(t, config) for t in reader.tensors}
    cast("Any", safetensors.numpy).save_file(tensors, path, metadata={"format": "pt"})


def _float16(tensor: ReaderTensor, config: Mapping[str, Any]) -> NDArray[np.float16]:
    rows = dequantize(tensor.data, tensor.tensor_type).astype(np.float16)
    if ".attn_q." in tensor.name:
        return unpermute(rows, config["num_attention_heads"])
    if ".attn_k." in tensor.name:
        return unpermute(rows, config["num_key_value_heads"])
    return rows
