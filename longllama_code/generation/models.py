"""Models by name: loaded, with their tokenizer and what the engine must know of them."""

import ctypes
import hashlib
import json
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from longllama_code.checkpoints.blocks import load_blocks
from longllama_code.checkpoints.loading import load_model
from longllama_code.checkpoints.quantized import load_quantized
from longllama_code.checkpoints.weight_files import is_gguf_file, weight_files
from longllama_code.config import LongLlamaConfig
from longllama_code.errors import CheckpointError
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.memory.segments.segmenter import Limits
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.resident import DeviceRoom
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.memory.storage.table import MemoryTable
from longllama_code.model.by_kernels.kernel_model import KernelModel, drop_weights
from longllama_code.model.compiled import compiled
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rounded.blocks import BlockEmbedding, BlockLinear
from longllama_code.model_sources.catalog import model_dir
from longllama_code.paths import cache_root
from longllama_code.tokenizers.sentencepiece import MODEL_FILE, SentencePieceTokenizer
from longllama_code.tokenizers.tokenizer import (
    ByteTokenizer,
    FastTokenizer,
    Tokenizer,
    is_byte_level,
)
from longllama_code.weight_kinds import WEIGHT_KINDS, split_weights

logger = logging.getLogger(__name__)

TINY_SEED = 20230703
MAX_SEGMENT_TOKENS = 480
MIN_SEGMENT_TOKENS = 192
CPU_CACHE_BYTES = 32 << 20
"""Weights of this size stay in the caches of a CPU from one pass to the next."""
KERNELS_VERSION = "kernels 1"
"""Raised whenever kernels encode the same text differently."""
GPU_BYTES = 2 << 30
"""Of a GPU's memory, for records: 4.8 million tokens of ``mini``."""
COMPILED_FOLDER = "compiled"
"""In the cache folder: what torch's compiler keeps for the next start."""
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
"""Of a configuration: they decide how memory is read, not what is in it."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run."""

    name: str
    model: LongLlamaForCausalLM
    tokenizer: Tokenizer
    fingerprint: str
    """Equal fingerprints encode equal segments: weights, configuration, type of computation."""
    limits: Limits
    """Sizes of its segments."""
    table: MemoryTable | None = None
    """What is known of its memory heads."""
    kernels: KernelModel | None = None
    """The same by kernels; the model has let go of its weights then."""
    compiled: LongLlamaForCausalLM | None = None
    """The same with compiled layers, for prompts and decoding; segments are encoded without."""
    not_compiled: str | None = None
    """Why there is none, where it was asked for."""
    kept: SegmentStore | None = None
    """Where evaluations keep what they encode, for the next one."""
    gpu_bytes: int = GPU_BYTES
    """Of memory's records, that may be kept where the model is, if that is no CPU."""

    @property
    def record_format(self) -> RecordFormat:
        """How repository memory keeps its tokens.

        Raises:
            ConfigError: the configuration asks for a format that needs another table.
        """
        return RecordFormat.of(self.model.config, self.table)

    def encoder(self) -> SegmentEncoder:
        """Return what turns text into segments."""
        return SegmentEncoder(
            self.model, self.tokenizer, self.fingerprint, self.limits, self.kernels
        )

    @property
    def room(self) -> DeviceRoom | None:
        """What memory may take of the model's device; None on a CPU."""
        device = self.model.device
        return None if device.type == "cpu" else DeviceRoom(device, self.gpu_bytes)

    def store(self, folder: Path | None, max_bytes: int | None = None) -> SegmentStore:
        """A store of repository memory; without a folder, one that ends with the process.

        Raises:
            StoreError: the folder cannot be written.
            ConfigError: as ``form``.
        """
        return SegmentStore(folder, self.record_format.n_bytes, max_bytes, self.room)


def load(
    name: str, device: str = "cpu", dtype: torch.dtype = torch.float32, *, blocks: bool = False
) -> LoadedModel:
    """A model by name (``tiny``, ``mini``) or by the folder of its checkpoint.

    Behind either, ``:int8`` or ``:int4`` keeps its weights in so many bits.

    Args:
        name: the model.
        device: a torch device.
        dtype: the type to compute in.
        blocks: whether the weights of a GGUF file may stay in its blocks, where kernels run them.

    Raises:
        ModelNotFound: nothing of that name or path is here; the message says how to get it.
        CheckpointError: the folder cannot be read as a model.
    """
    if name == "tiny":
        return _tiny(device, dtype)
    folder = model_dir(name)
    kind = split_weights(name)[1]
    model = _in_blocks(folder) if blocks and kind is None else None
    stored_as = kind if model is None else "blocks"
    if model is None and kind is not None:
        model = load_quantized(folder, kind, dtype, device, torch_attention=True)
    elif model is None:
        model = load_model(folder, dtype, device, torch_attention=True)
    tokenizer = load_tokenizer(folder)
    place = torch.device(device).type
    fingerprint = _fingerprint(folder, f"{dtype} {place}" + (f" {stored_as}" if stored_as else ""))
    table = MemoryTable.load(folder)
    table = None if table is None else table.to(model.device)
    return LoadedModel(name, model, tokenizer, fingerprint, _limits(model.config), table)


def _in_blocks(folder: Path) -> LongLlamaForCausalLM | None:
    """The model of a GGUF file with its matrices in the file's blocks, if kernels can run it so."""
    model = load_blocks(folder, torch_attention=True)
    return model if model is not None and KernelModel.fits(model) else None


def load_placed(name: str, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """A model as settings name its place: the device, and the type that it computes in.

    Args:
        name: as for ``load``.
        device: a torch device; ``auto`` is the CPU, which is what all of memory is tested on.
        dtype: of torch, or ``int8`` or ``int4``, as behind the name; ``auto`` is what
            ``usual_dtype`` says, and on a CPU the blocks of a GGUF file as they are.

    Raises:
        ModelNotFound: nothing of that name or path is here.
        CheckpointError: it cannot be read, or not so.
    """
    device = "cpu" if device == "auto" else device
    if dtype in WEIGHT_KINDS:
        base, kind = split_weights(name)
        if kind not in (None, dtype):
            raise CheckpointError(f"model {name} says {kind}, model.dtype {dtype}; choose one.")
        name, dtype = f"{base}:{dtype}" if base != "tiny" else base, "auto"
    try:
        chosen = usual_dtype(device) if dtype == "auto" else getattr(torch, dtype)
        of_file = dtype == "auto" and torch.device(device).type == "cpu"
        return load(name, device, chosen, blocks=of_file)
    except (RuntimeError, AssertionError) as error:  # torch's, of a device that is not there
        raise CheckpointError(f"{name} cannot be put onto {device} in {dtype}: {error}") from error


def usual_dtype(device: str) -> torch.dtype:
    """What a model computes in on a device, where nobody says."""
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.float32
    half = kind == "mps" or (kind == "cuda" and not _has_bfloat16())
    return torch.float16 if half else torch.bfloat16


def _has_bfloat16() -> bool:
    """Whether the CUDA device computes in bfloat16 itself; cards before Ampere do not."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def load_for_engine(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    gpu_bytes: int | None = None,
    *,
    compile: bool = False,
) -> LoadedModel:
    """A model as the engine runs it: by kernels, where nothing else is asked for.

    Args:
        name: as for ``load``.
        device: as for ``load_placed``.
        dtype: likewise.
        gpu_bytes: of memory, how many are kept where the model is, if that is no CPU.
        compile: whether to compile its layers.

    Raises:
        ModelNotFound: no model of that name or path is here.
        CheckpointError: it cannot be read, or not so.
    """
    loaded = load_placed(name, device, dtype)
    if gpu_bytes is not None:
        loaded = replace(loaded, gpu_bytes=gpu_bytes)
    if dtype in ("auto", *WEIGHT_KINDS):
        loaded = with_kernels(loaded)
    return with_compiled_layers(loaded) if compile else loaded


def with_kernels(loaded: LoadedModel) -> LoadedModel:
    """The model by kernels, where there are any for it and its weights are what passes wait for.

    Its own weights are dropped. What kernels encode is not what the model did, so it is kept apart.
    """
    weights = *loaded.model.parameters(), *loaded.model.buffers()
    kept = [
        each for each in loaded.model.modules() if isinstance(each, BlockLinear | BlockEmbedding)
    ]
    n_bytes = sum(each.nbytes for each in (*weights, *kept))
    if n_bytes <= CPU_CACHE_BYTES or not KernelModel.fits(loaded.model):
        return loaded
    kernels = KernelModel(loaded.model, torch.get_num_threads())
    drop_weights(loaded.model)
    _return_memory()
    salted = f"{loaded.fingerprint} {KERNELS_VERSION}".encode()
    fingerprint = hashlib.blake2b(salted, digest_size=8).hexdigest()
    return replace(loaded, kernels=kernels, fingerprint=fingerprint)


def with_compiled_layers(loaded: LoadedModel) -> LoadedModel:
    """The model with compiled layers, or with the reason why it goes without."""
    if loaded.kernels is not None:
        return replace(loaded, not_compiled="kernels run this model, which torch does not compile")
    try:
        return replace(loaded, compiled=compiled(loaded.model, cache_root() / COMPILED_FOLDER))
    except Exception as error:  # compilers that are not there, or fail, raise what they like
        reason = " ".join(f"{type(error).__name__}: {error}".split("\n\n")[0].split())
        logger.warning("the model runs without compiled layers: %s", reason)
        return replace(loaded, not_compiled=reason)


def _return_memory() -> None:
    """Give back to the system what was freed; glibc would keep 400 MB of ``mini``'s own weights."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model's folder: byte-level BPE, or else sentencepiece.

    LLaMA's folders often hold a ``tokenizer.json`` as well, which is no byte-level one.

    Raises:
        CheckpointError: neither can be read.
    """
    if is_byte_level(folder) or not (folder / MODEL_FILE).is_file():
        return FastTokenizer.from_folder(folder)
    return SentencePieceTokenizer.from_folder(folder)


def tiny_config() -> LongLlamaConfig:
    """A LongLLaMA of three layers: one without memory, one with it in both heads, one in one."""
    return LongLlamaConfig(
        vocab_size=ByteTokenizer.vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.2,
        bos_token_id=ByteTokenizer.bos_id,
        eos_token_id=ByteTokenizer.eos_id,
        tie_word_embeddings=True,
        mem_layers=[1, 2],
        mem_heads={"1": [0, 1], "2": [1]},
        mem_dtype="float32",
        torch_attention=True,
    )


def _tiny(device: str, dtype: torch.dtype) -> LoadedModel:
    """The seeded random model: never downloaded, the same everywhere, good for testing clients."""
    config = tiny_config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(TINY_SEED)
        model = LongLlamaForCausalLM(config).eval()
    cast("nn.Module", model).to(device, dtype)
    identity = f"tiny {TINY_SEED} {config.to_json_string()} {dtype} {model.device.type}"
    fingerprint = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
    return LoadedModel("tiny", model, ByteTokenizer(), fingerprint, _limits(config))


def _limits(config: LongLlamaConfig) -> Limits:
    largest = min(MAX_SEGMENT_TOKENS, config.window // 2)
    return Limits(min(MIN_SEGMENT_TOKENS, largest // 2), largest)


def _fingerprint(folder: Path, salt: str) -> str:
    """A hash over what decides a segment's encoding; weights count by name, size and time."""
    digest = hashlib.blake2b(salt.encode(), digest_size=8)
    fields = json.loads((folder / "config.json").read_text())
    decisive = {name: value for name, value in fields.items() if name not in READING_FIELDS}
    digest.update(json.dumps(decisive, sort_keys=True).encode())
    others = [path for path in weight_files(folder) if is_gguf_file(path)]
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin"), *others])
    for path in weights:
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()
