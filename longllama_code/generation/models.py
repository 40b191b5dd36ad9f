"""Loading of models by name, with their tokenizers and what else an engine needs.

What imports transformers is imported where it is called: engines mostly do without.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from longllama_code.checkpoints.blocks import load_for_kernels
from longllama_code.checkpoints.plain import load_plain
from longllama_code.checkpoints.weight_paths import is_gguf_file, weight_files
from longllama_code.errors import CheckpointError
from longllama_code.generation import postponed_torch
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.memory.segments.segmenter import Limits
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.resident import DeviceRoom
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.memory.storage.table import MemoryTable
from longllama_code.model.by_kernels.kernel_model import KernelModel, drop_weights
from longllama_code.model.plain_model import PlainModel, PlainNorm
from longllama_code.model.rounded.blocks import BlockEmbedding, BlockLinear
from longllama_code.model_config import ModelConfig, PlainConfig
from longllama_code.model_sources.catalog import model_dir
from longllama_code.paths import cache_root
from longllama_code.tokenizers.loading import load_tokenizer
from longllama_code.tokenizers.tokenizer import ByteTokenizer, Tokenizer
from longllama_code.weight_kinds import WEIGHT_KINDS, WeightKind, split_weights

if TYPE_CHECKING:
    from longllama_code.config import LongLlamaConfig
    from longllama_code.model.any_model import AnyModel
    from longllama_code.model.modeling import LongLlamaForCausalLM

logger = logging.getLogger(__name__)

TINY_SEED, TINY_DEVIATION = 20230703, 0.2
TINY: dict[str, Any] = {
    "vocab_size": ByteTokenizer.vocab_size,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
    "mem_layers": [1, 2],
    "mem_heads": {"1": [0, 1], "2": [1]},
    "mem_dtype": "float32",
    "torch_attention": True,
}
"""Configuration of ``tiny``: three layers, with memory in none, both and one of two heads."""
MAX_SEGMENT_TOKENS = 480
MIN_SEGMENT_TOKENS = 192
CPU_CACHE_BYTES = 32 << 20
"""Bytes of weights that stay in a CPU's caches from one pass to the next."""
KERNELS_VERSION = "kernels 1"
"""Changed whenever kernels encode the same text differently."""
GPU_BYTES = 2 << 30
"""Bytes of a GPU's memory for records: 4.8 million tokens of ``mini``."""
COMPILED_FOLDER = "compiled"
"""Folder of the results of torch's compiler, in the cache folder."""
READING_FIELDS = frozenset(
    (
        "mem_top_k",
        "mem_read_keys",
        "mem_query_position",
        "copy_gate",
        "infill_marks",
        "min_confidence",
    )
)
"""Fields of a configuration that decide how memory is read, but not what it contains."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run."""

    name: str
    model: AnyModel
    tokenizer: Tokenizer
    fingerprint: str
    """Hash of weights, configuration and dtype; models with equal ones encode equal segments."""
    limits: Limits
    """Sizes of its segments."""
    table: MemoryTable | None = None
    """Table of its memory heads, if there is one."""
    kernels: KernelModel | None = None
    """The model run by kernels; ``model`` only has its configuration then, and runs nothing."""
    compiled: AnyModel | None = None
    """The model with compiled layers, for prompts and decoding but not for encoding."""
    not_compiled: str | None = None
    """Why there are no compiled layers, if they were requested."""
    kept: SegmentStore | None = None
    """Store in which evaluations keep encoded segments for the next one."""
    gpu_bytes: int = GPU_BYTES
    """Most bytes of records that are cached on the model's device, unless it is a CPU."""

    @property
    def record_format(self) -> RecordFormat:
        """Format of the records of repository memory.

        Raises:
            ConfigError: the configuration names a format that needs another table.
        """
        return RecordFormat.of(self.model.config, self.table)

    @property
    def trainable(self) -> LongLlamaForCausalLM:
        """The model as a class of transformers, for research.

        Raises:
            TypeError: it was loaded for an engine.
        """
        from longllama_code.model.modeling import LongLlamaForCausalLM

        if not isinstance(self.model, LongLlamaForCausalLM):
            raise TypeError(f"{self.name} was loaded without transformers; call load without plain")
        return self.model

    def encoder(self) -> SegmentEncoder:
        """Return the encoder of segments."""
        return SegmentEncoder(
            self.model, self.tokenizer, self.fingerprint, self.limits, self.kernels
        )

    @property
    def room(self) -> DeviceRoom | None:
        """Budget of memory on the model's device; None on a CPU."""
        device = self.model.device
        return None if device.type == "cpu" else DeviceRoom(device, self.gpu_bytes)

    def store(self, folder: Path | None, max_bytes: int | None = None) -> SegmentStore:
        """Return a store of repository memory; without a folder, one in RAM.

        Raises:
            StoreError: the folder cannot be written.
            ConfigError: see ``record_format``.
        """
        return SegmentStore(folder, self.record_format.n_bytes, max_bytes, self.room)


def load(
    name: str,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    blocks: bool = False,
    plain: bool = False,
) -> LoadedModel:
    """Load a model by name (``tiny``, ``mini``) or by the folder of its checkpoint.

    Args:
        name: the model; a suffix ``:int8`` or ``:int4`` quantizes its weights.
        device: a torch device.
        dtype: dtype of the computation.
        blocks: whether weights of a GGUF file may stay in its blocks, if kernels can run them.
        plain: whether the model may be one without transformers, if it needs nothing of it.

    Raises:
        ModelNotFound: there is no model of that name or path; the message says how to get it.
        CheckpointError: the folder cannot be read as a model.
    """
    if name == "tiny":
        postponed_torch.complete()
        return _tiny(device, dtype, plain=plain)
    folder = model_dir(name)
    kind = split_weights(name)[1]
    model = _in_blocks(folder) if blocks and kind is None else None
    stored_as = kind if model is None else "blocks"
    if model is None:
        postponed_torch.complete()
        model = _in_numbers(folder, kind, device, dtype, plain=plain)
    tokenizer = load_tokenizer(folder)
    place = torch.device(device).type
    fingerprint = _fingerprint(folder, f"{dtype} {place}" + (f" {stored_as}" if stored_as else ""))
    table = MemoryTable.load(folder)
    table = None if table is None else table.to(model.device)
    return LoadedModel(name, model, tokenizer, fingerprint, _limits(model.config), table)


def _in_blocks(folder: Path) -> AnyModel | None:
    """Load a GGUF file with its matrices in blocks; return None if kernels cannot run it."""
    model = load_for_kernels(folder, torch_attention=True)
    return model if model is not None and KernelModel.fits(model) else None


def _in_numbers(
    folder: Path, kind: WeightKind | None, device: str, dtype: torch.dtype, *, plain: bool
) -> AnyModel:
    """Load a model whose weights torch can compute with, in a dtype or a kind of few bits."""
    if kind is not None:
        from longllama_code.checkpoints.quantized import load_quantized

        return load_quantized(folder, kind, dtype, device, torch_attention=True)
    model = load_plain(folder, dtype, device, torch_attention=True) if plain else None
    if model is not None:
        return model
    from longllama_code.checkpoints.loading import load_model

    return load_model(folder, dtype, device, torch_attention=True)


def load_placed(name: str, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """Load a model onto a device, in a dtype, as the settings name them.

    Args:
        name: see ``load``.
        device: a torch device; ``auto`` is the CPU.
        dtype: name of a dtype of torch, or ``int8`` or ``int4``; ``auto`` is ``usual_dtype``, and
            on a CPU keeps the blocks of a GGUF file.

    Raises:
        ModelNotFound: there is no model of that name or path.
        CheckpointError: the model cannot be read, or not onto this device in this dtype.
    """
    device = "cpu" if device == "auto" else device
    if dtype in WEIGHT_KINDS:
        base, kind = split_weights(name)
        if kind not in (None, dtype):
            raise CheckpointError(
                f"model {name} names {kind}, and model.dtype is {dtype}; set model.dtype to auto."
            )
        name, dtype = f"{base}:{dtype}" if base != "tiny" else base, "auto"
    try:
        chosen = usual_dtype(device) if dtype == "auto" else getattr(torch, dtype)
        of_file = dtype == "auto" and torch.device(device).type == "cpu"
        return load(name, device, chosen, blocks=of_file, plain=True)
    except (RuntimeError, AssertionError) as error:  # of torch, for a missing device
        raise CheckpointError(
            f"{name} cannot be loaded onto {device} in {dtype}: {error}; set model.device or "
            "model.dtype to auto."
        ) from error


def usual_dtype(device: str) -> torch.dtype:
    """Return the default dtype of the computation on a device."""
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.float32
    half = kind == "mps" or (kind == "cuda" and not _has_bfloat16())
    return torch.float16 if half else torch.bfloat16


def _has_bfloat16() -> bool:
    """Whether the CUDA device supports bfloat16 natively; cards before Ampere do not."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def load_for_engine(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    gpu_bytes: int | None = None,
    *,
    compile: bool = False,
) -> LoadedModel:
    """Load a model as the engine runs it: by kernels, unless something else is requested.

    Args:
        name: see ``load``.
        device: see ``load_placed``.
        dtype: see ``load_placed``.
        gpu_bytes: most bytes of records that are cached on the model's device.
        compile: whether to compile its layers.

    Raises:
        ModelNotFound: there is no model of that name or path.
        CheckpointError: the model cannot be read, or not onto this device in this dtype.
    """
    loaded = load_placed(name, device, dtype)
    if gpu_bytes is not None:
        loaded = replace(loaded, gpu_bytes=gpu_bytes)
    if dtype in ("auto", *WEIGHT_KINDS):
        loaded = with_kernels(loaded)
    return with_compiled_layers(loaded) if compile else loaded


def with_kernels(loaded: LoadedModel) -> LoadedModel:
    """Return the model run by kernels, if there are any for it and its weights exceed the caches.

    The model's own weights are freed. Kernels encode text slightly differently, so the fingerprint
    changes.
    """
    if _n_bytes(loaded.model) <= CPU_CACHE_BYTES or not KernelModel.fits(loaded.model):
        postponed_torch.complete()
        return loaded
    kernels = KernelModel(loaded.model, torch.get_num_threads())
    drop_weights(loaded.model)
    _return_memory()
    salted = f"{loaded.fingerprint} {KERNELS_VERSION}".encode()
    fingerprint = hashlib.blake2b(salted, digest_size=8).hexdigest()
    return replace(loaded, kernels=kernels, fingerprint=fingerprint)


def _n_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's weights."""
    kept = [each for each in model.modules() if isinstance(each, BlockLinear | BlockEmbedding)]
    return sum(each.nbytes for each in (*model.parameters(), *model.buffers(), *kept))


def with_compiled_layers(loaded: LoadedModel) -> LoadedModel:
    """Return the model with compiled layers, or with the reason why there are none."""
    if loaded.kernels is not None:
        return replace(loaded, not_compiled="kernels run this model, which torch does not compile")
    try:
        from longllama_code.model.compiled import compiled

        return replace(loaded, compiled=compiled(loaded.model, cache_root() / COMPILED_FOLDER))
    except Exception as error:  # a missing or failing compiler raises anything
        reason = " ".join(f"{type(error).__name__}: {error}".split("\n\n")[0].split())
        logger.warning("the model runs without compiled layers: %s", reason)
        return replace(loaded, not_compiled=reason)


def _return_memory() -> None:
    """Return freed memory to the system; glibc would keep 400 MB of ``mini``'s weights."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def tiny_config() -> LongLlamaConfig:
    """Return the configuration of ``tiny`` for transformers."""
    from longllama_code.config import LongLlamaConfig

    ends = {"bos_token_id": ByteTokenizer.bos_id, "eos_token_id": ByteTokenizer.eos_id}
    fields: dict[str, Any] = {**TINY, **ends, "initializer_range": TINY_DEVIATION}
    return LongLlamaConfig(**fields)


def _tiny(device: str, dtype: torch.dtype, *, plain: bool) -> LoadedModel:
    """Return a model with seeded random weights, for tests of clients: it needs no download."""
    model: AnyModel = _random(PlainConfig(**TINY))
    if not plain:
        from longllama_code.model.modeling import LongLlamaForCausalLM

        weights, model = model.state_dict(), LongLlamaForCausalLM(tiny_config())
        model.load_state_dict(weights)
    cast("nn.Module", model).eval().to(device, dtype)
    identity = f"tiny {TINY_SEED} {sorted(TINY.items())} {dtype} {model.device.type}"
    fingerprint = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
    return LoadedModel("tiny", model, ByteTokenizer(), fingerprint, _limits(model.config))


def _random(config: PlainConfig) -> PlainModel:
    """Return a model with seeded random weights, whose head is its embedding."""
    model, random = PlainModel(config), torch.Generator().manual_seed(TINY_SEED)
    for module in model.modules():
        if isinstance(module, PlainNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=TINY_DEVIATION, generator=random)
    model.tie_weights()
    return model


def _limits(config: ModelConfig) -> Limits:
    largest = min(MAX_SEGMENT_TOKENS, config.window // 2)
    return Limits(min(MIN_SEGMENT_TOKENS, largest // 2), largest)


def _fingerprint(folder: Path, salt: str) -> str:
    """Return a hash of what decides a segment's encoding; of weights, name, size and time."""
    digest = hashlib.blake2b(salt.encode(), digest_size=8)
    fields = json.loads((folder / "config.json").read_text("utf-8"))
    decisive = {name: value for name, value in fields.items() if name not in READING_FIELDS}
    digest.update(json.dumps(decisive, sort_keys=True).encode())
    others = [path for path in weight_files(folder) if is_gguf_file(path)]
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin"), *others])
    for path in weights:
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()
