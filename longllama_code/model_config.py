"""Fields of a model's configuration that everything but transformers reads.

``LongLlamaConfig`` (``config.py``) adds what transformers wants. Importing that takes seconds, so
code that runs without transformers names ``ModelConfig`` instead, and a model that does without has
a ``PlainConfig``.

Source: the published ``configuration_longllama.py`` (names and defaults of the ``mem_*`` fields,
``last_context_length`` and ``torch_attention``); the others below are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError

from longllama_code.errors import ConfigError
from longllama_code.json_text import as_json

MEM_DTYPES = ("float32", "float16", "bfloat16")
MEM_FORMATS = {"int8": (8, 8), "int8-int5": (8, 5), "int8-int4": (8, 4), "int4": (4, 4)}
"""Bits of keys and of values, by name."""
N_COPY_FEATURES = 8
"""Number of features of the copy gate, see ``generation/decoding/copying.py``."""


@dataclass(kw_only=True, repr=False)
class LlamaFields:
    """Llama's fields, by the names of transformers."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int | None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool
    attention_bias: bool = False
    mlp_bias: bool = False


if TYPE_CHECKING:
    _Declared = LlamaFields
else:  # transformers' own class has them already, with other defaults
    _Declared = object


@dataclass(kw_only=True, repr=False)
class ModelConfig(_Declared):
    """Fields of memory layers, with their rules; a subclass has Llama's as well."""

    mem_layers: list[int] | tuple[int, ...] = ()
    """Indices of the layers that see memory."""
    mem_heads: dict[str, list[int]] | None = None
    """Memory layer → its key-value heads that see memory; None for all heads of ``mem_layers``."""
    mem_top_k: int | None = None
    """Number of best keys of memory that each query sees; None for all, as published."""
    mem_query_position: int | None = None
    """Position from which every query looks at memory; None for its own position, as published.

    Keys of memory have position 0, so this is a distance. With a fixed one, the result of a query
    does not depend on its position in the window.
    """
    mem_positionals: bool = True
    """Whether memory layers rotate the keys and queries of the local context."""
    mem_dtype: str = "bfloat16"
    """Dtype of keys and values in memory."""
    mem_format: str | None = None
    """Format of keys and values in repository memory (``MEM_FORMATS``); None for ``mem_dtype``."""
    mem_read_keys: int | None = None
    """Number of keys of each memory head that are read for a token, from the nearest clusters.

    None reads all. It needs a table of clusters, and has no effect without one.
    """
    mem_attention_grouping: list[int] | tuple[int, ...] | None = None
    """Most (heads, queries) that a memory layer handles at once; None sets no limit."""
    infill_marks: list[int] | tuple[int, ...] | None = None
    """Token ids (suffix, prefix) of a model that our tuning trained to fill in."""
    copy_gate: list[float] | tuple[float, ...] | None = None
    """Weights of the copy gate (``generation/decoding/copying.py``); None copies nothing."""
    min_confidence: float = 0.0
    """Least probability, 0 to 1, that all of a suggestion is right, unless a request says
    otherwise."""
    last_context_length: int = 1024
    """Number of tokens of a long input that stay local; those before them go to memory."""
    torch_attention: bool = False
    """Whether heads without memory use torch's fused attention."""
    qkv_bias: bool = False
    """Biases on the query, key and value projections alone (Qwen2)."""

    def memory_heads(self, layer_idx: int) -> tuple[int, ...]:
        """Return the key-value heads of a layer that see memory, if there are any."""
        if layer_idx not in self.mem_layers:
            return ()
        if self.mem_heads is None:
            return tuple(range(self.n_kv_heads))
        return tuple(sorted(self.mem_heads.get(str(layer_idx), ())))

    @property
    def n_kv_heads(self) -> int:
        """Number of key-value heads, ``G``."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def window(self) -> int:
        """Most tokens of local context."""
        return self.max_position_embeddings

    def check_memory(self) -> None:
        """Refuse fields of memory layers that contradict each other.

        Raises:
            ConfigError: they do.
        """
        if len(set(self.mem_layers)) < len(self.mem_layers):
            raise ConfigError(f"mem_layers is {as_json(self.mem_layers)}; name each layer once.")
        for layer in self.mem_layers:
            if not 0 <= layer < self.num_hidden_layers:
                raise ConfigError(
                    f"mem_layers names layer {layer}, but layers run from 0 to "
                    f"{self.num_hidden_layers - 1}. Name existing layers."
                )
        if self.mem_dtype not in MEM_DTYPES:
            raise ConfigError(
                f"mem_dtype is {as_json(self.mem_dtype)}; choose one of {', '.join(MEM_DTYPES)}."
            )
        self._check_search()
        if self.mem_query_position is not None and self.mem_query_position < 0:
            raise ConfigError(
                f"mem_query_position is {self.mem_query_position}; give 0 or more, or leave it out."
            )
        if self.last_context_length < 1:
            raise ConfigError(
                f"last_context_length is {self.last_context_length}; give 1 or more, as the model "
                "predicts from the last token."
            )
        self._check_grouping()
        self._check_heads()
        if self.copy_gate is not None and len(self.copy_gate) != N_COPY_FEATURES:
            raise ConfigError(
                f"copy_gate has {len(self.copy_gate)} weights; give {N_COPY_FEATURES}, which "
                "`longllama copying` fits, or leave it out."
            )
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(
                f"min_confidence is {self.min_confidence}; give a probability, from 0 to 1."
            )
        if self.infill_marks is not None and len(self.infill_marks) != 2:
            raise ConfigError(
                f"infill_marks are {as_json(self.infill_marks)}; "
                "give two token ids, [suffix, prefix]."
            )

    def _check_search(self) -> None:
        if self.mem_format is not None and self.mem_format not in MEM_FORMATS:
            raise ConfigError(
                f"mem_format is {as_json(self.mem_format)}; choose one of "
                f"{', '.join(MEM_FORMATS)}, or leave it out."
            )
        least = self.mem_top_k or 1
        if self.mem_read_keys is not None and self.mem_read_keys < least:
            raise ConfigError(
                f"mem_read_keys is {self.mem_read_keys}; give {least} or more, or leave it out."
            )
        if self.mem_top_k is not None and self.mem_top_k < 1:
            raise ConfigError(f"mem_top_k is {self.mem_top_k}; give 1 or more, or leave it out.")

    def _check_grouping(self) -> None:
        grouping = self.mem_attention_grouping
        if grouping is not None and (len(grouping) != 2 or min(grouping) < 1):
            raise ConfigError(
                f"mem_attention_grouping is {as_json(grouping)}; give two positive numbers, "
                "[heads, queries]."
            )

    def _check_heads(self) -> None:
        if self.mem_heads is None:
            return
        if self.mem_heads.keys() != set(map(str, self.mem_layers)):
            raise ConfigError(
                f"mem_heads names layers {as_json(sorted(self.mem_heads))}, mem_layers "
                f"{as_json(sorted(self.mem_layers))}; both must name the same layers."
            )
        for layer, heads in self.mem_heads.items():
            chosen = set(heads)
            if not heads or len(chosen) < len(heads) or not chosen <= {*range(self.n_kv_heads)}:
                raise ConfigError(
                    f"mem_heads of layer {layer} are {as_json(heads)}; name at least one "
                    f"key-value head from 0 to {self.n_kv_heads - 1}, and each once."
                )


@strict
@dataclass(kw_only=True)
class PlainConfig(ModelConfig, LlamaFields):
    """Configuration of a model without transformers: a plain rotation, SiLU, few biases."""

    rope_theta: float


WITHOUT_EFFECT = frozenset(
    (
        "architectures",
        "attention_dropout",
        "auto_map",
        "bos_token_id",
        "dtype",
        "eos_token_id",
        "initializer_range",
        "model_type",
        "pad_token_id",
        "pretraining_tp",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    )
)
"""Fields of a ``config.json`` that change nothing in what a model computes once it is trained."""


def plain_config(given: Mapping[str, Any], **overrides: Any) -> PlainConfig | None:
    """Return the configuration for the fields of a ``config.json``, if transformers is not needed.

    Args:
        given: the fields.
        overrides: fields to replace.

    Returns:
        None if a field is missing, unknown, or of a model that ``PlainModel`` does not compute;
        ``checkpoints.loading.load_config`` reads those, and says what is wrong.
    """
    kind = given.get("model_type")
    known = {**given, **overrides}
    if kind not in ("longllama", "llama", "qwen2") or not _has_plain_rotation(known):
        return None
    if kind != "longllama":
        known["qkv_bias"] = kind == "qwen2"
    for name in WITHOUT_EFFECT:
        known.pop(name, None)
    if not known.keys() <= {field.name for field in fields(PlainConfig)}:
        return None
    return _checked(known)


def _checked(known: Mapping[str, Any]) -> PlainConfig | None:
    try:
        config = PlainConfig(**known)
        config.check_memory()
    except (ConfigError, StrictDataclassError, TypeError):
        return None
    plain = config.hidden_act == "silu" and not (config.attention_bias or config.mlp_bias)
    return config if plain else None


def _has_plain_rotation(known: dict[str, Any]) -> bool:
    """Whether keys are rotated without scaling; the base moves to where old files have it."""
    if known.pop("rope_scaling", None) is not None:
        return False
    rotation = known.pop("rope_parameters", None)
    if rotation is None:
        return True
    if not isinstance(rotation, dict) or rotation.keys() != {"rope_type", "rope_theta"}:  # pyright: ignore[reportUnknownMemberType]
        return False
    known["rope_theta"] = rotation["rope_theta"]
    return rotation["rope_type"] == "default"
