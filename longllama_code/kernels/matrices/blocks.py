"""Weight matrices in the blocks of a GGUF file, mapped into memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from longllama_code.kernels.block_products import Bytes
from longllama_code.kernels.codegen.block_levels import KINDS
from longllama_code.kernels.codegen.vectors import HAS_BYTE_DOTS
from longllama_code.kernels.matrices.quantized import Matrix
from longllama_code.kernels.matrices.room import Room
from longllama_code.kernels.matrices.weaving_together import weave_together
from longllama_code.kernels.products import Floats
from longllama_code.kernels.sharing.shared_work import (
    ADDRESS,
    FIRST,
    KIND,
    N_COLUMNS,
    OUTPUTS,
    ROW_BYTES,
    ROWS,
    Numbers,
    multiply_shared,
)
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
    woven: Future[Bytes] | None = field(default=None, repr=False)
    """What ``weave_together`` returns of them, if other threads are to weave them; they skip what
    was cancelled."""

    def __post_init__(self) -> None:
        """Make the rows contiguous."""
        object.__setattr__(self, "blocks", np.ascontiguousarray(self.blocks))

    @property
    def known(self) -> tuple[int, Bytes]:
        """The kernels' number of the kind, and the blocks."""
        return KINDS[self.kind], self.blocks

    @staticmethod
    def has_kernel(kind: str) -> bool:
        """Whether there are kernels for blocks of a kind."""
        return kind in KINDS


@dataclass(frozen=True)
class BlockMatrix(Matrix):
    """Weights in blocks of one or several kinds, with their outputs side by side."""

    parts: Sequence[BlockRows]
    room: Room = field(default_factory=Room)
    """Where weights are woven if this CPU multiplies bytes; elsewhere they are read where they
    are."""
    table: Numbers = field(init=False)
    """Description of the parts, for ``multiply_shared``."""
    _weights: Sequence[Bytes] = field(init=False)
    _n_outputs: int = field(init=False)

    def __post_init__(self) -> None:
        """Weave the weights, and fill in ``table``."""
        weights = [_placed(part, self.room) for part in self.parts]
        table = np.zeros((len(weights), N_COLUMNS), np.int64)
        for row, part, array in zip(table, self.parts, weights, strict=True):
            row[KIND], row[ADDRESS] = KINDS[part.kind], array.ctypes.data
            row[[ROWS, ROW_BYTES]], row[OUTPUTS] = array.shape, len(part.blocks)
        table[1:, FIRST] = np.cumsum(table[:-1, OUTPUTS])
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "_weights", weights)
        object.__setattr__(self, "_n_outputs", int(table[:, OUTPUTS].sum()))

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


def _placed(part: BlockRows, room: Room) -> Bytes:
    """Return the weights in the order in which this CPU's products read them."""
    if not HAS_BYTE_DOTS:
        return part.blocks
    if part.woven is None or part.woven.cancel():  # rather than wait for a thread that is busy
        return weave_together([part.known], room)[0]
    return part.woven.result()
