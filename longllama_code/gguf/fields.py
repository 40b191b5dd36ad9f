"""Entries of a ``config.json`` from the metadata of a GGUF file.

Sources: ``gguf-py/gguf/constants.py`` (keys) and ``convert_hf_to_gguf.py`` of llama.cpp (what the
converter does to a configuration), ``modeling_rope_utils.py`` of transformers (rotary scalings).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from longllama_code.errors import CheckpointError
from longllama_code.gguf.header import plain_entry
from longllama_code.json_text import as_json

ARCHITECTURES = ("llama", "mistral", "qwen2")
"""Architectures whose layers are Llama's; GGUF calls most Mistrals llama too."""
_NUMBERS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "max_position_embeddings": "context_length",
}
_OF_OTHER_LAYERS = ("expert_count", "attention.clamp_kqv", "attention.scale", "logit_scale")
"""Entries that change what a layer computes if they are given and not 0."""
_LLAMA_3 = (1.0, 4.0, 8192)
"""Rotary scaling of Llama 3: low factor, high factor, and original context length."""
_CLOSE = 1e-3
"""Relative difference below which two factors count as equal, as rounding explains it."""
_MOST_LAYERS = 1 << 12
_MOST = 1 << 31
_STANDARD_THETA = 10000.0


def fields_of(
    source: Path,
    metadata: Mapping[str, Any],
    names: Collection[str],
    factors: NDArray[np.float32] | None,
) -> dict[str, Any]:
    """Return the configuration of a model in Hugging Face's terms.

    Args:
        source: the file, for messages.
        metadata: its metadata.
        names: its tensors, as llama.cpp calls them.
        factors: the slowdown of each pair of channels' rotation (``rope_freqs.weight``).

    Raises:
        CheckpointError: an entry is missing or absurd, or means a model that is not read.
    """
    return _Fields(source, metadata, frozenset(names)).read(factors)


class _Fields:
    def __init__(self, source: Path, metadata: Mapping[str, Any], names: frozenset[str]) -> None:
        self._source, self._metadata, self._names = source, metadata, names
        self._architecture = plain_entry(metadata, "general.architecture")
        if self._architecture not in ARCHITECTURES:
            raise CheckpointError(
                f"{source} is a GGUF of architecture {as_json(self._architecture)}; only "
                f"{', '.join(ARCHITECTURES)} are read. Name a model of one of them."
            )

    def read(self, factors: NDArray[np.float32] | None) -> dict[str, Any]:
        for key in _OF_OTHER_LAYERS:
            if self._own(key):
                self._refuse(f"has {key} {self._own(key)}", "a plain Llama")
        fields: dict[str, Any] = {name: self._whole(key) for name, key in _NUMBERS.items()}
        if fields["num_hidden_layers"] > _MOST_LAYERS:
            self._refuse(f"claims {fields['num_hidden_layers']} layers")
        fields["num_key_value_heads"] = self._kv_heads(fields["num_attention_heads"])
        fields["head_dim"] = self._head_size(fields)
        fields["rms_norm_eps"] = self._real("attention.layer_norm_rms_epsilon")
        fields["rope_theta"] = self._real("rope.freq_base", _STANDARD_THETA)
        fields["rope_scaling"] = self._scaling(fields, factors)
        fields["vocab_size"] = len(self._tokens())
        fields["tie_word_embeddings"] = "output.weight" not in self._names
        ids = {name: self._token_id(name) for name in ("bos_token_id", "eos_token_id")}
        if self._metadata.get("tokenizer.ggml.add_bos_token") is False:
            ids["bos_token_id"] = None  # no document of this model begins with a token of its own
        return {"model_type": self._architecture, **fields, **ids, **self._variant()}

    def _variant(self) -> dict[str, Any]:
        """Return the fields that differ between Llama, Mistral and Qwen2, such as biases."""
        window = self._own("attention.sliding_window") and self._whole("attention.sliding_window")
        if self._architecture == "qwen2":
            return {"sliding_window": window, "use_sliding_window": True} if window else {}
        kind = "mistral" if self._architecture == "mistral" or window else "llama"
        if kind == "mistral":
            return {"model_type": kind, "sliding_window": window or None}
        biased = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_up.bias"}
        return {name: tensor in self._names for name, tensor in biased.items()}

    def _kv_heads(self, heads: int) -> int:
        kv_heads = self._whole("attention.head_count_kv", heads)
        if heads % kv_heads:
            self._refuse(f"has {heads} query heads and {kv_heads} key heads")
        return kv_heads

    def _head_size(self, fields: Mapping[str, Any]) -> int:
        usual = fields["hidden_size"] // fields["num_attention_heads"]
        size = self._whole("attention.key_length", usual)
        for key in ("attention.value_length", "rope.dimension_count"):
            if self._whole(key, size) != size:
                self._refuse(
                    f"has {key} {self._own(key)}, heads of size {size}", "one where both are equal"
                )
        if size < 2 or size % 2:
            self._refuse(f"has heads of size {size}, no even number")
        return size

    def _scaling(
        self, fields: Mapping[str, Any], factors: NDArray[np.float32] | None
    ) -> dict[str, Any] | None:
        kind = self._own("rope.scaling.type", "none")
        if factors is not None:
            if kind != "none":
                self._refuse(
                    f"has rope.scaling.type {as_json(kind)} and rope_freqs",
                    "one with either of them",
                )
            return self._llama_3(fields, factors)
        factor = self._real("rope.scaling.factor", self._real("rope.scale_linear", 1.0))
        if kind == "yarn":
            return self._yarn(factor, fields["max_position_embeddings"])
        if kind not in ("none", "linear"):
            self._refuse(f"has rope.scaling.type {as_json(kind)}", "one with none, linear or yarn")
        is_scaled = factor != 1.0 and (kind == "linear" or self._own("rope.scale_linear"))
        return {"rope_type": "linear", "factor": factor} if is_scaled else None

    def _yarn(self, factor: float, context: int) -> dict[str, Any]:
        first = self._whole("rope.scaling.original_context_length", round(context / factor))
        scaling: dict[str, Any] = {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": first,
        }
        for key in ("beta_fast", "beta_slow"):
            if self._own(f"rope.scaling.yarn_{key}") is not None:
                scaling[key] = self._real(f"rope.scaling.yarn_{key}")
        scale = self._real("rope.scaling.attn_factor", 1.0)
        if self._own("rope.scaling.yarn_log_multiplier"):
            self._refuse("has rope.scaling.yarn_log_multiplier", "one without it")
        if scale != 1.0:  # llama.cpp multiplies by it what YaRN has anyway
            scaling["attention_factor"] = scale * (0.1 * math.log(factor) + 1.0)
        return scaling

    def _llama_3(
        self, fields: Mapping[str, Any], factors: NDArray[np.float32]
    ) -> dict[str, Any] | None:
        """Return the scaling that gives these factors: Llama 3's own, or a fitted one."""
        half = fields["head_dim"] // 2
        is_finite = bool(np.all(np.isfinite(factors)))
        if factors.shape != (half,) or not is_finite or factors.min() < 1 - _CLOSE:
            self._refuse(f"has rope_freqs that are no {half} numbers from 1 up")
        waves = 2 * math.pi * fields["rope_theta"] ** (np.arange(half) / half)
        most = float(factors.max())
        most = round(most) if abs(most - round(most)) < _CLOSE else most
        if most <= 1:
            return None
        for low, high, first in (_LLAMA_3, *_fitted(factors, waves, most)):
            if np.allclose(_factors(waves, most, low, high, first), factors, rtol=_CLOSE):
                return {
                    "rope_type": "llama3",
                    "factor": float(most),
                    "low_freq_factor": low,
                    "high_freq_factor": high,
                    "original_max_position_embeddings": first,
                }
        self._refuse("has rope_freqs unlike Llama 3's", "one with a known rotary scaling")

    def _tokens(self) -> list[str]:
        tokens = self._metadata.get("tokenizer.ggml.tokens")
        if not isinstance(tokens, list) or not tokens:
            self._refuse("has no tokenizer.ggml.tokens", "a model with its tokenizer")
        return tokens

    def _token_id(self, name: str) -> int | None:
        found = plain_entry(self._metadata, f"tokenizer.ggml.{name}")
        if found is not None and not (_is_whole(found) and 0 <= found < len(self._tokens())):
            self._refuse(f"has {name} {as_json(found)} of {len(self._tokens())} tokens")
        return found

    def _whole(self, key: str, usual: int | None = None) -> int:
        found = self._own(key, usual)
        if not _is_whole(found) or not 1 <= found < _MOST:
            self._refuse(
                f"has {self._architecture}.{key} {as_json(found)}, no whole number from 1 up"
            )
        return found

    def _real(self, key: str, usual: float | None = None) -> float:
        found = self._own(key, usual)
        if not isinstance(found, float | int) or not math.isfinite(found) or found <= 0:
            self._refuse(f"has {self._architecture}.{key} {as_json(found)}, no number above 0")
        return float(found)

    def _own(self, key: str, usual: Any = None) -> Any:
        return plain_entry(self._metadata, f"{self._architecture}.{key}", usual)

    def _refuse(self, what: str, wanted: str = "one that was published for llama.cpp") -> NoReturn:
        raise CheckpointError(f"{self._source} {what}. Take {wanted}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _factors(
    waves: NDArray[np.float64], most: float, low: float, high: float, first: int
) -> NDArray[np.float64]:
    """Return Llama 3's slowdown of each rotation: 1 for short waves, ``most`` for long ones."""
    smooth = np.clip((first / waves - low) / (high - low), 0, 1)
    return 1 / ((1 - smooth) / most + smooth)


def _fitted(
    factors: NDArray[np.float32], waves: NDArray[np.float64], most: float
) -> Iterator[tuple[float, float, int]]:
    """Fit the low factor, high factor and original context to the factors between the extremes.

    The three are determined up to a common scale; the low factor is set to 1.
    """
    between = (factors > 1 + _CLOSE) & (factors < most * (1 - _CLOSE))
    if np.count_nonzero(between) < 2:
        return
    smooth = (1 / factors[between] - 1 / most) / (1 - 1 / most)
    slope, start = (float(found) for found in np.polyfit(1 / waves[between], smooth, 1))
    if start < 0 < slope:
        yield 1.0, 1 - 1 / start, max(1, round(-slope / start))
