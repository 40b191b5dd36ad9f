"""A GGUF file under Hugging Face's names and shapes: configuration and mapped weights.

    GgufFile.open(path) ──▶ .fields      entries of a ``config.json``
                        ──▶ .tensors()   name, shape, type, blocks where they lie in the file
                        ──▶ .metadata    the tokenizer's (``gguf_tokenizer.py``)

An open file is complete: every tensor that the configuration asks for is there, in its shape, in a
type that can be read. Sources: ``gguf-py/gguf/constants.py`` and ``convert_hf_to_gguf.py`` of
llama.cpp (keys, names, the order of query and key rows).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize
from numpy.typing import NDArray

from longllama_code.errors import CheckpointError
from longllama_code.gguf.fields import ARCHITECTURES, fields_of
from longllama_code.gguf.header import (
    MAGIC,
    Header,
    TensorPlace,
    plain_entry,
    read_header,
)

GGUF_NAME = "model.gguf"
"""Name of the file, or of a link to it, in a model's folder."""
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
_ROTATION = "rope_freqs.weight"
"""Read into the configuration; transformers has no such tensor."""
_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")
_MOST_PARTS = 1000
_FLOATS_AT_A_TIME = 1 << 17
"""Weights dequantized at once; with gguf-py's temporaries they fit the CPU cache."""


@dataclass(frozen=True)
class GgufTensor:
    """A tensor with Hugging Face's name, shape and row order.

    Attributes:
        name: ``model.layers.3.self_attn.q_proj.weight``.
        shape: (rows, columns), or (columns,) of a norm or bias.
        kind: how its numbers are written.
        rows: bytes as the file has them, (rows, bytes a row), one row where ``shape`` has one
            dimension; mapped, not to be written.
        heads: the heads whose rows the file has in llama.cpp's order; 0 where both orders agree.
    """

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    rows: NDArray[np.uint8]
    heads: int = 0

    @property
    def is_mapped(self) -> bool:
        """Whether ``blocks`` is the file's own memory, and no copy."""
        return not self.heads

    @property
    def blocks(self) -> NDArray[np.uint8]:
        """Return its bytes, (rows, bytes per row), in Hugging Face's row order.

        They are a view of the file; a copy for queries and keys in llama.cpp's order.
        """
        if not self.heads:
            return self.rows
        if len(self.shape) == 2:
            return unpermute(self.rows, self.heads)
        numbers = self.rows.reshape(self.shape[0], -1)
        return unpermute(numbers, self.heads).reshape(1, -1)

    def floats(self) -> NDArray[np.float32]:
        """Return its numbers, dequantized a few blocks at a time to bound temporary memory."""
        weights, size = GGML_QUANT_SIZES[self.kind]
        blocks, found = self.blocks.reshape(1, -1), np.empty(self.shape, np.float32)
        step = _FLOATS_AT_A_TIME // weights
        for first in range(0, blocks.shape[1] // size, step):
            some = dequantize(blocks[:, first * size : (first + step) * size], self.kind)
            found.reshape(-1)[first * weights : (first + step) * weights] = some[0]
        return found


@dataclass(frozen=True)
class GgufFile:
    """A model in a GGUF file, or in the parts of a split one.

    Attributes:
        fields: entries of a ``config.json``: ``model_type``, sizes, rotation, special ids.
        metadata: metadata of the (first) file.
        paths: the file, or its parts.
    """

    fields: Mapping[str, Any]
    metadata: Mapping[str, Any]
    paths: tuple[Path, ...]
    _headers: tuple[Header, ...]

    @classmethod
    def open(cls, path: Path) -> GgufFile:
        """Map a file, and the other parts of a split one, and check all but the numbers.

        Raises:
            CheckpointError: a file is missing or damaged, or holds no model that is read.
        """
        paths = part_paths(path)
        headers = tuple(map(read_header, paths))
        metadata = headers[0].metadata
        _check_parts(path, headers)
        tensors = {place.name: header for header in headers for place in header.tensors}
        fields = fields_of(path, metadata, tensors, _rotation_factors(tensors))
        _check_tensors(path, fields, tensors)
        return cls(fields, metadata, paths, headers)

    def tensors(self) -> Iterator[GgufTensor]:
        """Yield every tensor in the file's order."""
        for header in self._headers:
            for place in header.tensors:
                if place.name != _ROTATION:
                    yield self._tensor(header, place)

    def _tensor(self, header: Header, place: TensorPlace) -> GgufTensor:
        name, rows = hf_name(place.name), header.rows(place)
        kind = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
        of_heads = kind.get(name.split(".")[-2])
        is_turned = of_heads is not None and self.fields["model_type"] != "qwen2"
        heads = self.fields[of_heads] if of_heads is not None and is_turned else 0
        return GgufTensor(name, place.shape, place.kind, rows, heads)


def is_gguf(path: Path) -> bool:
    """Whether a path names a GGUF file, by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def part_paths(path: Path) -> tuple[Path, ...]:
    """Return the files of a model: the file itself, or all parts of a split one.

    Raises:
        CheckpointError: its name claims more parts than any model has.
    """
    real = path.resolve()
    named = _PART.fullmatch(real.name)
    if named is None:
        return (path,)
    count = int(named[3])
    if not 1 <= count <= _MOST_PARTS:
        raise CheckpointError(f"{path} is one of {count} parts; up to {_MOST_PARTS} are read.")
    return tuple(
        real.with_name(f"{named[1]}-{part:05d}-of-{count:05d}.gguf") for part in range(1, count + 1)
    )


def hf_name(gguf_name: str) -> str:
    """Return Hugging Face's name of a tensor: ``model.layers.3.self_attn.q_proj.weight``.

    Raises:
        CheckpointError: a Llama has no such tensor.
    """
    module, _, kind = gguf_name.rpartition(".")
    block = re.fullmatch(r"blk\.(\d+)\.(\w+)", module)
    if block and block[2] in _LAYER_NAMES:
        return f"model.layers.{block[1]}.{_LAYER_NAMES[block[2]]}.{kind}"
    if module in _TOP_NAMES:
        return f"{_TOP_NAMES[module]}.{kind}"
    raise CheckpointError(
        f"GGUF tensor {gguf_name!r} is not one of a plain Llama. Take a model of architecture "
        f"{', '.join(ARCHITECTURES)} without additions."
    )


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
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _check_parts(path: Path, headers: Sequence[Header]) -> None:
    """Check that each part is there, says which one it is, and holds tensors of its own."""
    for part, header in enumerate(headers):
        claims = (plain_entry(header.metadata, f"split.{key}") for key in ("no", "count"))
        number, count = claims
        if (number or 0, count or 1) != (part, len(headers)):
            raise CheckpointError(
                f"{header.path} says it is part {number} (from 0) of {count}, but is read as part "
                f"{part} of {len(headers)}. Keep the names that the parts were published by "
                "(…-00001-of-00003.gguf), side by side, or join them with llama-gguf-split."
            )
    names = [place.name for header in headers for place in header.tensors]
    if len(set(names)) < len(names):
        raise CheckpointError(f"{path} has tensors in two of its parts. Fetch it again.")


def _rotation_factors(tensors: Mapping[str, Header]) -> NDArray[np.float32] | None:
    header = tensors.get(_ROTATION)
    if header is None:
        return None
    place = header.by_name[_ROTATION]
    _check_kind(header.path, place)
    return dequantize(header.rows(place), place.kind).reshape(place.shape)


def _check_tensors(path: Path, fields: Mapping[str, Any], tensors: Mapping[str, Header]) -> None:
    """Check that the tensors are those that the configuration asks for, in their shapes."""
    wanted = _shapes(fields)
    for name, header in tensors.items():
        place = header.by_name[name]
        _check_kind(header.path, place)
        if name != _ROTATION and wanted.pop(hf_name(name), None) != place.shape:
            raise CheckpointError(
                f"{header.path} has tensor {name!r} of shape {place.shape}, which contradicts its "
                "configuration. It is damaged or of another kind of model: take another."
            )
    if wanted:
        raise CheckpointError(
            f"{path} lacks {len(wanted)} tensors, the first of them {min(wanted)!r}. It was not "
            "written whole: fetch it again, or take another."
        )


def _shapes(fields: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = fields["hidden_size"], fields["intermediate_size"]
    queries, keys = (
        fields[f"num_{kind}_heads"] * fields["head_dim"] for kind in ("attention", "key_value")
    )
    of_layer: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
    }
    biased = _biased(fields)
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (fields["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    if not fields["tie_word_embeddings"]:
        found["lm_head.weight"] = (fields["vocab_size"], hidden)
    for layer in range(fields["num_hidden_layers"]):
        for name, shape in of_layer.items():
            found[f"model.layers.{layer}.{name}.weight"] = shape
            if name in biased:
                found[f"model.layers.{layer}.{name}.bias"] = shape[:1]
    return found


def _biased(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules of a layer that have a bias."""
    queries_keys_values = tuple(f"self_attn.{kind}_proj" for kind in "qkv")
    if fields["model_type"] == "qwen2":
        return queries_keys_values
    attention = (*queries_keys_values, "self_attn.o_proj") if fields.get("attention_bias") else ()
    mlp = tuple(f"mlp.{kind}_proj" for kind in ("gate", "up", "down"))
    return (*attention, *mlp) if fields.get("mlp_bias") else attention


def _check_kind(path: Path, place: TensorPlace) -> None:
    if not can_dequantize(place.kind):
        raise CheckpointError(
            f"{path} has tensor {place.name!r} of type {place.kind.name}, which the gguf package "
            "here cannot read. Take the model in another type (Q4_K_M, Q8_0), or a newer gguf."
        )


@lru_cache
def can_dequantize(kind: GGMLQuantizationType) -> bool:
    """Whether gguf-py can make numbers of a type's blocks."""
    block = np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8)
    try:
        return len(dequantize(block, kind)) == 1
    except NotImplementedError:
        return False
