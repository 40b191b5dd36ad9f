"""Model folders from GGUF files: linked as they are, or converted once.

    link_gguf     model.gguf, the file itself    + config.json, tokenizer.json or tokenizer.model
    convert_gguf  model.safetensors (float16)    + config.json, tokenizer.json

A linked file stays unchanged in its place; its blocks are read when the model is loaded.
Converting is for a model whose weights an adapter then changes.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from longllama_code.checkpoints.saving import save_tensors
from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import GGUF_NAME, GgufFile
from longllama_code.json_text import as_json
from longllama_code.tokenizers.byte_bpe import byte_level_tokenizer, write_tokenizer

CONVERSION = 1
"""Version of the conversion; a new one converts models again."""
_CONVERTED = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "rms_norm_eps",
    "rope_theta",
    "max_position_embeddings",
    "bos_token_id",
    "eos_token_id",
    "vocab_size",
    "tie_word_embeddings",
)
"""Fields of a converted model's ``config.json`` in order; the others have Llama's defaults."""
_PLAIN = {"rope_scaling": None, "attention_bias": False, "mlp_bias": False}


def link_gguf(gguf_path: Path, folder: Path, overrides: Mapping[str, Any]) -> None:
    """Make a model folder around a GGUF file, which stays where it is.

    Args:
        gguf_path: the file; the first part of a split one.
        folder: an existing folder that is empty, or holds the file as ``model.gguf``. The
            configuration is written last: where it is, all is.
        overrides: entries of ``config.json`` that the GGUF does not know, or that replace its own.

    Raises:
        CheckpointError: the file is damaged, or is no model that is read.
    """
    file = GgufFile.open(gguf_path)
    fields = _in_terms_of(file.fields, overrides)
    if fields["eos_token_id"] is None:
        raise CheckpointError(
            f"{gguf_path} names no tokenizer.ggml.eos_token_id, the end of a document. Take "
            "another file of this model."
        )
    write_tokenizer(file.metadata, gguf_path, folder)
    if gguf_path != folder / GGUF_NAME:
        _link(file, folder / GGUF_NAME)
    _write_config(folder, fields)


def convert_gguf(gguf_path: Path, out_dir: Path, overrides: Mapping[str, Any]) -> None:
    """Convert a quantised Llama into ``model.safetensors``, ``tokenizer.json`` and ``config.json``.

    Args:
        gguf_path: a GGUF file of architecture ``llama`` with a byte-level BPE tokenizer.
        out_dir: an existing folder. The configuration is written last: where it is, all is.
        overrides: entries of ``config.json`` that the GGUF does not know, or that replace its own.

    Raises:
        CheckpointError: the file is damaged, or is not such a model; or the disk is full.
    """
    file = GgufFile.open(gguf_path)
    _check_plain(gguf_path, file.fields)
    # The file is mapped, and each float32 tensor dies in the cast: one float16 copy in all.
    tensors = {tensor.name: tensor.floats().astype(np.float16) for tensor in file.tensors()}
    save_tensors(out_dir / "model.safetensors", tensors, {"format": "pt"})
    byte_level_tokenizer(file.metadata, gguf_path).save(str(out_dir / "tokenizer.json"))
    converted = {name: file.fields[name] for name in _CONVERTED}
    _write_config(out_dir, {**converted, "torch_dtype": "float16", **overrides})


def _in_terms_of(fields: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with their overrides, translated if a model becomes a LongLLaMA."""
    if overrides.get("model_type") != "longllama":
        return {**fields, **overrides}
    own = {name: value for name, value in fields.items() if "sliding_window" not in name}
    own["qkv_bias"] = fields["model_type"] == "qwen2"
    most = fields.get("sliding_window") or fields["max_position_embeddings"]
    own["max_position_embeddings"] = min(most, fields["max_position_embeddings"])
    return {**own, **overrides}


def _check_plain(path: Path, fields: Mapping[str, Any]) -> None:
    """Refuse models that the fields of a converted model cannot describe."""
    usual = fields["hidden_size"] // fields["num_attention_heads"]
    for name, value in ({"model_type": "llama", "head_dim": usual} | _PLAIN).items():
        if fields.get(name) != value:
            raise CheckpointError(
                f"{path} has {name} {as_json(fields.get(name))}; only a Llama with "
                f"{as_json(value)} is converted. Give its path as the model: it is "
                "read where it lies."
            )


def _link(file: GgufFile, link: Path) -> None:
    """Link the file, or copy it if the system has no links."""
    real = file.paths[0].resolve()
    try:
        link.symlink_to(real)
    except OSError as error:  # Windows, without the right to make symbolic links
        if len(file.paths) > 1:
            raise CheckpointError(
                f"{real} has {len(file.paths)} parts, which need a symbolic link, and the system "
                f"refuses one ({error}). Join them with `llama-gguf-split --merge`."
            ) from error
        _hard_link(real, link)


def _hard_link(real: Path, link: Path) -> None:
    try:
        os.link(real, link)
    except OSError:  # another disk, or a file system without links
        shutil.copy2(real, link)


def _write_config(folder: Path, fields: Mapping[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
