"""Linear layers and embeddings whose weights are blocks of a GGUF file, mapped into memory.

On a CPU, few tokens go through kernels that read the blocks directly. For more tokens, a few rows
at a time are dequantized and multiplied, as in ``quantized.py``.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from gguf import GGMLQuantizationType, dequantize
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear

from longllama_code.kernels.matrices.blocks import BlockMatrix, BlockRows
from longllama_code.model.rounded.quantized import BLOCK_WEIGHTS, biased, is_few, multiplied

Bytes = NDArray[np.uint8]


class BlockLinear(nn.Module):
    """``nn.Linear`` with weights in blocks.

    Args:
        rows: the weights.
        bias: (out,), if any.
    """

    def __init__(self, rows: BlockRows, bias: nn.Parameter | None = None) -> None:
        super().__init__()
        self.rows = rows
        self.out_features, self.in_features = len(rows.blocks), rows.n_inputs
        self.register_parameter("bias", bias)

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks."""
        return self.rows.blocks.nbytes

    @cached_property
    def _matrix(self) -> BlockMatrix:
        return BlockMatrix([self.rows])

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (…, in) → (…, out)."""
        if is_few(hidden):
            mixed = multiplied(self._matrix, hidden)
        else:
            step = max(1, BLOCK_WEIGHTS // self.in_features)
            parts = range(0, self.out_features, step)
            rows = (floats(self.rows, slice(start, start + step)) for start in parts)
            mixed = torch.cat([linear(hidden, part.to(hidden)) for part in rows], dim=-1)
        return biased(mixed, self)


class BlockEmbedding(nn.Module):
    """``nn.Embedding`` with rows in blocks; looked-up rows are dequantized.

    Args:
        rows: (V, E).
    """

    def __init__(self, rows: BlockRows) -> None:
        super().__init__()
        self.rows = rows
        self.num_embeddings, self.embedding_dim = len(rows.blocks), rows.n_inputs

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks."""
        return self.rows.blocks.nbytes

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids int64 (…) → float32 (…, E)."""
        found = floats(self.rows, ids.reshape(-1).numpy())
        return found.view(*ids.shape, self.embedding_dim)


def floats(rows: BlockRows, chosen: slice | NDArray[np.int64]) -> Tensor:
    """Return some rows of weights in float32."""
    kind = GGMLQuantizationType[rows.kind]
    return torch.from_numpy(dequantize(rows.blocks[chosen], kind))
