"""Load a checkpoint with its weights rounded to 8 or 4 bits, one tensor at a time.

    file, mapped ──▶ one tensor ──▶ rounded rows, on their device ──▶ the file's pages forgotten

The peak is therefore little more than the final size (``Need``), whatever the type and
the number of the files.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from longllama_code.checkpoints.completeness import (
    EMBEDDING,
    HEAD,
    check_none_missing,
    check_shape,
)
from longllama_code.checkpoints.loading import load_config
from longllama_code.checkpoints.ram import GB, require_room
from longllama_code.checkpoints.weight_files import resident_bytes, tensors
from longllama_code.checkpoints.weight_paths import weight_files
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rope import Rotary
from longllama_code.model.rounded.quantized import Int8Embedding, quantize, stored_bytes
from longllama_code.model.rounded.torchao_weights import torchao_linear, uses_torchao
from longllama_code.weight_kinds import WeightKind

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Need:
    """Memory that loading takes, in bytes."""

    weights: int
    """Final size of the model."""
    working: int
    """Size of the largest tensor as the file has it, and of its blocks that are being rounded."""

    @property
    def peak(self) -> int:
        """Maximum while loading."""
        return self.weights + self.working


def memory_need(folder: Path, kind: WeightKind, dtype: torch.dtype = torch.float32) -> Need:
    """Return the memory that ``load_quantized`` would take, without reading a weight.

    Raises:
        CheckpointError: the folder is no checkpoint.
    """
    return _need(_hollow(folder), weight_files(folder), kind, dtype)


def load_quantized(
    folder: Path,
    kind: WeightKind,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    **overrides: Any,
) -> LongLlamaForCausalLM:
    """Load a model whose matrices are kept in 8 or 4 bits.

    Embeddings and head have 8 bits in either case; norms and biases stay as they are.

    Args:
        folder: the checkpoint.
        kind: ``int8`` or ``int4``.
        dtype: the type to compute in.
        device: a torch device; each matrix goes there as soon as it is rounded.
        overrides: configuration fields to replace.

    Raises:
        CheckpointError: weights are missing, damaged or not those the configuration asks for; or
            there is not enough memory.
    """
    model, files = _hollow(folder, **overrides), weight_files(folder)
    need = _need(model, files, kind, dtype)
    what = f"{folder} in {kind}"
    message = "%s takes %.2f GB, and up to %.2f GB while it is read"
    logger.info(message, what, need.weights / GB, need.peak / GB)
    if device == "cpu":
        smaller = "take int4, or " if kind == "int8" else ""
        require_room(need.peak, what, f"close other programs, {smaller}take a smaller model.")
    _Filler(model, folder, kind, dtype, device).fill(files)
    return model.eval()


def _hollow(folder: Path, **overrides: Any) -> LongLlamaForCausalLM:
    """Return the model on the device ``meta``, without the content of its weights."""
    with torch.device("meta"):
        return LongLlamaForCausalLM(load_config(folder, **overrides))


def _need(model: nn.Module, files: list[Path], kind: WeightKind, dtype: torch.dtype) -> Need:
    weights = sum(
        _stored(name, weight.shape, kind, dtype.itemsize)
        for name, weight in dict(model.named_parameters()).items()
    )
    largest = max(weight.numel() for weight in model.parameters())
    # As in the file (float32 at most), and a few dequantized blocks of 1 MB.
    working = 4 * largest + 16 * (1 << 20) + max(map(resident_bytes, files))
    return Need(weights, working)


def _stored(name: str, shape: torch.Size, kind: WeightKind, itemsize: int) -> int:
    if len(shape) < 2:
        return shape.numel() * itemsize
    return stored_bytes(shape, _kind(name, kind))


def _kind(name: str, kind: WeightKind) -> WeightKind:
    return "int8" if name in (EMBEDDING, HEAD) else kind


class _Filler:
    """Fills a model without weights from files."""

    def __init__(
        self,
        model: LongLlamaForCausalLM,
        folder: Path,
        kind: WeightKind,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        self._model, self._folder = model, folder
        self._kind: WeightKind = kind
        self._dtype, self._device = dtype, torch.device(device)
        self._threads = Threads(torch.get_num_threads())
        self._missing = dict(model.named_parameters())
        if model.config.tie_word_embeddings:
            self._missing.pop(HEAD, None)

    def fill(self, files: list[Path]) -> None:
        """Read all files; nothing is left without content."""
        for path in files:
            for name, tensor in tensors(path):
                wanted = self._missing.pop(name, None)
                if wanted is not None:
                    self._put(name, wanted, tensor)
        check_none_missing(self._folder, self._missing)
        self._finish()

    def _put(self, name: str, wanted: Tensor, tensor: Tensor) -> None:
        check_shape(self._folder, name, tensor.shape, wanted.shape)
        module_name, _, leaf = name.rpartition(".")
        module = self._model.get_submodule(module_name)
        if name == EMBEDDING:
            rows = Int8Embedding(tensor, self._dtype, self._threads)
            self._model.set_submodule(module_name, self._placed(rows))
        elif isinstance(module, nn.Linear) and leaf == "weight":
            bias = cast("nn.Parameter | None", module.bias)
            self._model.set_submodule(module_name, self._rounded(name, tensor, bias))
        else:
            kept = tensor.to(self._device, self._dtype, copy=True)
            setattr(module, leaf, nn.Parameter(kept, requires_grad=False))

    def _rounded(self, name: str, weight: Tensor, bias: nn.Parameter | None) -> nn.Module:
        kind = _kind(name, self._kind)
        if uses_torchao(self._device):
            return torchao_linear(weight.to(self._device, self._dtype), kind, bias)
        return self._placed(quantize(weight, kind, bias, self._threads))

    def _placed(self, module: nn.Module) -> nn.Module:
        """Move a module to the device, except for a bias that has no content yet."""
        for name, buffer in list(module.named_buffers()):
            module.register_buffer(name, buffer.to(self._device))
        return module

    def _finish(self) -> None:
        """Add what no file has: rotary tables, and a head that shares the embeddings."""
        self._model.model.rotary = Rotary(self._model.config).to(self._device)
        if self._model.config.tie_word_embeddings:
            shared = cast("Int8Embedding", self._model.model.embed_tokens)
            self._model.set_submodule("lm_head", shared.as_linear())
