"""Weight matrices in the blocks of a GGUF file, mapped into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from longllama_code.kernels.block_products import Bytes
from longllama_code.kernels.codegen.block_levels import KINDS
from longllama_code.kernels.matrices.quantized import Matrix
from longllama_code.kernels.products import Floats
from longllama_code.kernels.sharing.shared_work import Numbers, multiply_shared
from longllama_code.kernels.sharing.threads import ALONE, Threads


@dataclass(frozen=True)
class BlockRows:
    """Weights (N, K) in blocks of one kind."""

    kind: str
    """GGUF's name of the kind; ``has_kernel`` must be true for it."""
    blocks: Bytes
    """(N, bytes of a row); never written, so it may be a mapped file."""
    n_inputs: int
    """K."""

    def __post_init__(self) -> None:
        """Make the rows contiguous."""
        object.__setattr__(self, "blocks", np.ascontiguousarray(self.blocks))

    @staticmethod
    def has_kernel(kind: str) -> bool:
        """Whether there are kernels for blocks of a kind."""
        return kind in KINDS


@dataclass(frozen=True)
class BlockMatrix(Matrix):
    """Weights in blocks of one or several kinds, with their outputs side by side."""

    parts: Sequence[BlockRows]
    table: Numbers = field(init=False)
    """Kind, address and shape of each part, for ``multiply_shared``."""
    _n_outputs: int = field(init=False)

    def __post_init__(self) -> None:
        """Fill in ``table``."""
        rows = [
            (KINDS[part.kind], part.blocks.ctypes.data, *part.blocks.shape) for part in self.parts
        ]
        object.__setattr__(self, "table", np.array(rows, np.int64))
        object.__setattr__(self, "_n_outputs", sum(len(part.blocks) for part in self.parts))

    @property
    def n_inputs(self) -> int:
        """K."""
        return self.parts[0].n_inputs

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks."""
        return sum(part.blocks.nbytes for part in self.parts)

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """Multiply inputs (S, K) with the transpose: (S, N)."""
        outputs = np.empty((len(inputs), self._n_outputs), np.float32)
        with threads.helpers.board() as board:
            multiply_shared(board, self.table, inputs, outputs)
        return outputs
