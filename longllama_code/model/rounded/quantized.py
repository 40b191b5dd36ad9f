"""Linear layers with weights in 8 or 4 bits, which compute in the dtype of their input.

    int8   one scale for each row (output); 1 byte a weight
    int4   one scale for each 32 weights of a row, or fewer if its length is no multiple of 32;
           0.5625 bytes a weight

Only weights are rounded, so a token's result does not depend on the rest of the batch. For long
inputs, a block of rows at a time is dequantized into the same small buffer and multiplied. On a
CPU, up to ``FEW_TOKENS`` tokens go through kernels that read the quantized weights; these round
inputs to 15 bits of each token's largest value, which does not depend on other tokens either.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear

from longllama_code.errors import CheckpointError
from longllama_code.kernels.codegen.weight_layouts import GROUP
from longllama_code.kernels.matrices.quantized import Matrix
from longllama_code.kernels.matrices.rows import PackedMatrix, RowMatrix
from longllama_code.kernels.rounding import largest_of_groups, pack_levels, round_codes
from longllama_code.kernels.sharing.threads import ALONE, Threads
from longllama_code.weight_kinds import WeightKind

FEW_TOKENS = 64
"""More tokens are faster by dequantizing: their products take longer than reading the weights."""
BLOCK_WEIGHTS = 1 << 18
"""Weights dequantized at once: 1 MB in float32, which fits in a core's cache."""
GPU_BLOCK_WEIGHTS = 1 << 25
"""Weights dequantized at once on a GPU: 64 MB in 16 bits, as fewer kernel launches are faster."""


class Int8Linear(nn.Module):
    """``nn.Linear`` with weights in 8 bits.

    Args:
        rows: int8 (out, in).
        scales: float32 (out,), factor of each row.
        bias: (out,), if any.
    """

    def __init__(self, rows: Tensor, scales: Tensor, bias: nn.Parameter | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = rows.shape
        self.register_buffer("rows", rows)
        self.register_buffer("scales", scales)
        self.register_parameter("bias", bias)

    @property
    def has_kernel(self) -> bool:
        """Whether kernels read rows of this length."""
        return RowMatrix.fits(self.in_features)

    def matrix(self) -> RowMatrix:
        """Return the weights for kernels, on a CPU."""
        rows, scales = cast("Tensor", self.rows), cast("Tensor", self.scales)
        return RowMatrix(rows.numpy(), scales.numpy())

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (…, in) → (…, out)."""
        if is_few(hidden) and self.has_kernel:
            return biased(multiplied(self.matrix(), hidden), self)
        rows, scales = cast("Tensor", self.rows), cast("Tensor", self.scales)
        parts = rows.split(_step(self.in_features, rows.device))
        spread = torch.empty(parts[0].shape, dtype=hidden.dtype, device=hidden.device)
        mixed = [linear(hidden, spread[: len(part)].copy_(part)) for part in parts]
        return biased(torch.cat(mixed, dim=-1) * scales.to(hidden.dtype), self)


class Int4Linear(nn.Module):
    """``nn.Linear`` with weights in 4 bits, two in a byte.

    Args:
        weight: (out, in), to be quantized.
        bias: (out,), if any.
        threads: threads that share the quantization.
    """

    def __init__(
        self, weight: Tensor, bias: nn.Parameter | None = None, threads: Threads = ALONE
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.group = group_size(self.in_features)
        packed, scales = _int4(weight, self.group, threads)
        self.register_buffer("packed", packed)
        self.register_buffer("scales", scales)
        self.register_parameter("bias", bias)

    @property
    def has_kernel(self) -> bool:
        """Whether kernels read rows of this length."""
        return self.group == GROUP

    def matrix(self) -> PackedMatrix:
        """Return the weights for kernels, on a CPU."""
        packed, scales = cast("Tensor", self.packed), cast("Tensor", self.scales)
        return PackedMatrix(packed.numpy(), scales.numpy().view(np.uint16))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (…, in) → (…, out)."""
        if is_few(hidden) and self.has_kernel:
            return biased(multiplied(self.matrix(), hidden), self)
        packed, scales = cast("Tensor", self.packed), cast("Tensor", self.scales)
        step = _step(self.in_features, packed.device)
        parts = packed.split(step)
        levels = torch.empty(*parts[0].shape, 2, dtype=torch.uint8, device=hidden.device)
        spread = torch.empty(
            len(levels), self.in_features, dtype=hidden.dtype, device=levels.device
        )
        mixed: list[Tensor] = []
        for part, own in zip(parts, scales.to(hidden.dtype).split(step), strict=True):
            torch.bitwise_and(part, 15, out=levels[: len(part), :, 0])
            torch.bitwise_right_shift(part, 4, out=levels[: len(part), :, 1])
            weights = spread[: len(part)].copy_(levels[: len(part)].flatten(1)).sub_(8)
            weights.unflatten(1, (-1, self.group)).mul_(own[..., None])
            mixed.append(linear(hidden, weights))
        return biased(torch.cat(mixed, dim=-1), self)


class Int8Embedding(nn.Module):
    """``nn.Embedding`` with rows in 8 bits.

    Args:
        weight: (V, E).
        dtype: dtype of the output.
        threads: threads that share the quantization.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype, threads: Threads = ALONE) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = weight.shape
        self.dtype = dtype
        rows, scales = _int8(weight, threads)
        self.register_buffer("rows", rows)
        self.register_buffer("scales", scales)

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids int64 (…) → (…, E)."""
        rows, scales = cast("Tensor", self.rows), cast("Tensor", self.scales)
        return rows[ids].to(self.dtype) * scales[ids].to(self.dtype)[..., None]

    def as_linear(self) -> Int8Linear:
        """Return a language model head that shares these rows."""
        return Int8Linear(cast("Tensor", self.rows), cast("Tensor", self.scales))


def quantize(
    weight: Tensor, kind: WeightKind, bias: nn.Parameter | None = None, threads: Threads = ALONE
) -> nn.Module:
    """Return a quantized ``nn.Linear`` with this weight (out, in).

    Raises:
        CheckpointError: the rows' length is odd, and the weights should have 4 bits.
    """
    if kind == "int8":
        return Int8Linear(*_int8(weight, threads), bias)
    return Int4Linear(weight, bias, threads)


def stored_bytes(shape: torch.Size, kind: WeightKind) -> int:
    """Return the bytes of a quantized weight (out, in), scales included."""
    n_out, n_in = shape
    if kind == "int8":
        return n_out * (n_in + 4)
    return n_out * (n_in // 2 + 2 * n_in // group_size(n_in))


def group_size(n_in: int) -> int:
    """Return how many weights of a row share a scale in 4 bits."""
    for size in (GROUP, 16, 8, 4, 2):
        if n_in % size == 0:
            return size
    raise CheckpointError(
        f"rows of {n_in} weights cannot be kept in 4 bits, two in a byte; set model.dtype to int8."
    )


def _int8(weight: Tensor, threads: Threads) -> tuple[Tensor, Tensor]:
    """Return rows in 8 bits, and the float32 scale of each."""
    bits, shift = _bits(weight)
    rows, scales = torch.empty(weight.shape, dtype=torch.int8), torch.empty(len(weight))

    def work(start: int, end: int) -> None:
        round_codes(bits[start:end], shift, rows[start:end].numpy(), scales[start:end].numpy())

    threads.run(work, len(weight))
    return rows.to(weight.device), scales.to(weight.device)


def _int4(weight: Tensor, group: int, threads: Threads) -> tuple[Tensor, Tensor]:
    """Return weights with two levels in a byte, and the float16 scale of each group."""
    bits, shift = _bits(weight)
    n_rows, n_in = weight.shape
    packed = torch.empty(n_rows, n_in // 2, dtype=torch.uint8)
    scales = torch.empty(n_rows, n_in // group, dtype=torch.float16)
    step = _step(n_in, packed.device)

    def work(start: int, end: int) -> None:
        for first in range(start, end, step):
            rows = slice(first, min(first + step, end))
            largest = torch.empty(scales[rows].shape)
            largest_of_groups(bits[rows], shift, largest.numpy())
            scales[rows] = largest.div_(7)
            divisors = scales[rows].float().clamp_(min=torch.finfo(torch.float16).tiny)
            pack_levels(bits[rows], shift, divisors.numpy(), packed[rows].numpy())

    threads.run(work, n_rows)
    return packed.to(weight.device), scales.to(weight.device)


def _bits(weight: Tensor) -> tuple[NDArray[Any], int]:
    """Return the bits of weights, without a copy if possible, and their shift to float32's."""
    weight = weight.detach().cpu()
    if weight.dtype == torch.bfloat16:
        return weight.contiguous().view(torch.uint16).numpy(), 16
    return weight.float().contiguous().view(torch.uint32).numpy(), 0


def is_few(hidden: Tensor) -> bool:
    """Whether these inputs are few enough for kernels, and on a CPU."""
    return (
        hidden.device.type == "cpu"
        and hidden.dtype == torch.float32
        and not hidden.requires_grad
        and 0 < hidden.numel() <= FEW_TOKENS * hidden.shape[-1]
    )


def multiplied(matrix: Matrix, hidden: Tensor) -> Tensor:
    """Multiply (…, in) → (…, out) by kernels."""
    inputs = hidden.reshape(-1, hidden.shape[-1]).contiguous().numpy()
    return torch.from_numpy(matrix.times(inputs)).view(*hidden.shape[:-1], -1)


def _step(n_in: int, device: torch.device) -> int:
    """Return how many rows of ``n_in`` weights are dequantized at once."""
    n_weights = BLOCK_WEIGHTS if device.type == "cpu" else GPU_BLOCK_WEIGHTS
    return max(1, n_weights // n_in)


def biased(hidden: Tensor, module: nn.Module) -> Tensor:
    """Add a module's bias, if it has one."""
    bias = cast("Tensor | None", module.bias)
    return hidden if bias is None else hidden + bias.to(hidden.dtype)
