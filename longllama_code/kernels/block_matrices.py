"""Weights in the blocks of a GGUF file, where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from longllama_code.kernels.block_levels import CHUNK, KINDS
from longllama_code.kernels.block_products import Bytes, multiply_row, multiply_rows, round_in_order
from longllama_code.kernels.block_tiles import PAIR
from longllama_code.kernels.products import Floats, Steps
from longllama_code.kernels.quantized import Matrix
from longllama_code.kernels.threads import ALONE, Threads
from longllama_code.kernels.vectors import LANES

LEAST_PRODUCTS = 1 << 21
"""Of numbers; fewer are done before another thread has begun."""


@dataclass(frozen=True)
class BlockRows:
    """(N, K) weights in blocks of one kind."""

    kind: str
    """As GGUF calls it: one that ``has_kernel`` knows."""
    blocks: Bytes
    """(N, bytes of a row); only read, so it may be a mapped file's own memory."""
    n_inputs: int
    """K."""

    def __post_init__(self) -> None:
        """See that no other form of the array has kernels compiled for it, too."""
        blocks = np.ascontiguousarray(self.blocks).view()
        blocks.flags.writeable = False
        object.__setattr__(self, "blocks", blocks)

    @staticmethod
    def has_kernel(kind: str) -> bool:
        """Whether there are kernels for blocks of a kind."""
        return kind in KINDS


@dataclass(frozen=True)
class BlockMatrix(Matrix):
    """Weights in blocks of one kind or several, their outputs behind each other."""

    parts: Sequence[BlockRows]
    _ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Count outputs."""
        object.__setattr__(self, "_ends", [*accumulate(len(part.blocks) for part in self.parts)])

    @property
    def n_inputs(self) -> int:
        """K."""
        return self.parts[0].n_inputs

    @property
    def nbytes(self) -> int:
        """Bytes held, or mapped."""
        return sum(part.blocks.nbytes for part in self.parts)

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """(S, K) inputs times the transpose: (S, N)."""
        n_rows, n_outputs = len(inputs), self._ends[-1]
        steps, units = np.empty(inputs.shape, np.int16), np.empty(n_rows, np.float32)
        n_chunks = -(-self.n_inputs // (CHUNK * LANES)) * LANES
        sums = np.empty((n_rows, n_chunks), np.float32)
        round_in_order(inputs, steps, units, sums)
        outputs = np.empty((n_rows, n_outputs), np.float32)
        rounded = _Rounded(steps, units, sums)

        def multiply(start: int, stop: int) -> None:
            for part, end in zip(self.parts, self._ends, strict=True):
                begin = end - len(part.blocks)
                low, high = max(start, begin), min(stop, end)
                if low < high:
                    rounded.multiply(part, low - begin, high - begin, outputs, low)

        if n_rows * self.n_inputs * n_outputs < LEAST_PRODUCTS:
            multiply(0, n_outputs)
        else:
            threads.run(multiply, n_outputs)
        return outputs


class _Rounded(NamedTuple):
    """Inputs, as ``round_in_order`` gives them."""

    steps: Steps
    units: Floats
    sums: Floats

    def multiply(self, part: BlockRows, first: int, end: int, outputs: Floats, column: int) -> None:
        """Write some columns of outputs."""
        kind = KINDS[part.kind]
        if len(self.steps) > 1 and end - first >= PAIR:
            multiply_rows(kind, *self, part.blocks, first, end, outputs, column)
            return
        for row in range(len(self.steps)):
            only = slice(row, row + 1)
            known = self.steps[only], self.units[only], self.sums[only]
            multiply_row(kind, *known, part.blocks, first, end, outputs[only], column)
