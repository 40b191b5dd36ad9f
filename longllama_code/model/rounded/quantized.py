"""Weights in 8 or 4 bits, computed with in the type of what comes in.

    int8   one scale for each row (output); 1 byte a weight
    int4   one scale for each 32 weights of a row, or fewer where it has no multiple of them;
           0.5625 bytes a weight

Weights alone are rounded, so a token's result does not depend on what else is in the batch. Long
inputs take the plain form: a block of rows is spread out in the same small buffer, and multiplied.
On a CPU, up to ``FEW_TOKENS`` go through kernels that read the weights as they are kept; they round
inputs to 15 bits of each token's largest value, and give a token the same bits in any company.
"""

from __future__ import annotations

from typing import Any, Literal, cast

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

Kind = Literal["int8", "int4"]
KINDS: tuple[Kind, ...] = ("int8", "int4")
FEW_TOKENS = 64
"""More are faster in the plain form: their products take longer than reading the weights."""
BLOCK_WEIGHTS = 1 << 18
"""Weights that are spread out at once: 1 MB in float32, which a core's cache holds."""
GPU_BLOCK_WEIGHTS = 1 << 25
"""The same on a GPU, whose kernels wait to be started: 64 MB in 16 bits."""


class Int8Linear(nn.Module):
    """``nn.Linear`` with weights in 8 bits.

    Args:
        rows: int8 (out, in).
        scales: float32 (out,), what each row is multiplied by.
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
        """The weights for kernels, on a CPU."""
        rows, scales = cast("Tensor", self.rows), cast("Tensor", self.scales)
        return RowMatrix(rows.numpy(), scales.numpy())

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
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
        weight: (out, in), to be rounded.
        bias: (out,), if any.
        threads: who rounds it.
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
        """The weights for kernels, on a CPU."""
        packed, scales = cast("Tensor", self.packed), cast("Tensor", self.scales)
        return PackedMatrix(packed.numpy(), scales.numpy().view(np.uint16))

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
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
        dtype: of what it gives.
        threads: who rounds it.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype, threads: Threads = ALONE) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = weight.shape
        self.dtype = dtype
        rows, scales = _int8(weight, threads)
        self.register_buffer("rows", rows)
        self.register_buffer("scales", scales)

    def forward(self, ids: Tensor) -> Tensor:
        """int64 (…) → (…, E)."""
        rows, scales = cast("Tensor", self.rows), cast("Tensor", self.scales)
        return rows[ids].to(self.dtype) * scales[ids].to(self.dtype)[..., None]

    def as_linear(self) -> Int8Linear:
        """The head that shares these rows."""
        return Int8Linear(cast("Tensor", self.rows), cast("Tensor", self.scales))


def quantize(
    weight: Tensor, kind: Kind, bias: nn.Parameter | None = None, threads: Threads = ALONE
) -> nn.Module:
    """A module that does what ``nn.Linear`` with this weight (out, in) would, but for rounding.

    Raises:
        CheckpointError: rows of an odd length cannot be kept in 4 bits.
    """
    if kind == "int8":
        return Int8Linear(*_int8(weight, threads), bias)
    return Int4Linear(weight, bias, threads)


def stored_bytes(shape: torch.Size, kind: Kind) -> int:
    """Bytes of a weight (out, in), with its scales."""
    n_out, n_in = shape
    if kind == "int8":
        return n_out * (n_in + 4)
    return n_out * (n_in // 2 + 2 * n_in // group_size(n_in))


def group_size(n_in: int) -> int:
    """How many weights of a row share a scale in 4 bits."""
    for size in (GROUP, 16, 8, 4, 2):
        if n_in % size == 0:
            return size
    raise CheckpointError(f"rows of {n_in} weights cannot be kept in 4 bits; take int8.")


def _int8(weight: Tensor, threads: Threads) -> tuple[Tensor, Tensor]:
    """Rows in 8 bits, and the float32 scale of each."""
    bits, shift = _bits(weight)
    rows, scales = torch.empty(weight.shape, dtype=torch.int8), torch.empty(len(weight))

    def work(start: int, end: int) -> None:
        round_codes(bits[start:end], shift, rows[start:end].numpy(), scales[start:end].numpy())

    threads.run(work, len(weight))
    return rows.to(weight.device), scales.to(weight.device)


def _int4(weight: Tensor, group: int, threads: Threads) -> tuple[Tensor, Tensor]:
    """Two levels in a byte, and the float16 scale of each group."""
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
    """The bits of weights, where they are if they can be, and the shift to those of float32."""
    weight = weight.detach().cpu()
    if weight.dtype == torch.bfloat16:
        return weight.contiguous().view(torch.uint16).numpy(), 16
    return weight.float().contiguous().view(torch.uint32).numpy(), 0


def is_few(hidden: Tensor) -> bool:
    """Whether these inputs go through kernels."""
    return (
        hidden.device.type == "cpu"
        and hidden.dtype == torch.float32
        and not hidden.requires_grad
        and 0 < hidden.numel() <= FEW_TOKENS * hidden.shape[-1]
    )


def multiplied(matrix: Matrix, hidden: Tensor) -> Tensor:
    """(…, in) → (…, out), by kernels."""
    inputs = hidden.reshape(-1, hidden.shape[-1]).contiguous().numpy()
    return torch.from_numpy(matrix.times(inputs)).view(*hidden.shape[:-1], -1)


def _step(n_in: int, device: torch.device) -> int:
    """How many rows of so many weights are spread out at once."""
    n_weights = BLOCK_WEIGHTS if device.type == "cpu" else GPU_BLOCK_WEIGHTS
    return max(1, n_weights // n_in)


def biased(hidden: Tensor, module: nn.Module) -> Tensor:
    """Add a module's bias, if it has one."""
    bias = cast("Tensor | None", module.bias)
    return hidden if bias is None else hidden + bias.to(hidden.dtype)
