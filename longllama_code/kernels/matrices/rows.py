"""Weight matrices in rows, as they were quantized while a file was loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longllama_code.kernels.codegen.weight_layouts import BLOCK, GROUP
from longllama_code.kernels.matrices.quantized import Matrix, product
from longllama_code.kernels.products import Codes, Floats
from longllama_code.kernels.row_products import Bytes, Halves, multiply_packed, multiply_rows
from longllama_code.kernels.sharing.threads import ALONE, Threads


@dataclass(frozen=True)
class RowMatrix(Matrix):
    """Weights (N, K) in 8 bits."""

    codes: Codes
    """(N, K)."""
    scales: Floats
    """(N,)."""

    @staticmethod
    def fits(n_inputs: int) -> bool:
        """Whether there are kernels for K inputs."""
        return n_inputs % BLOCK == 0

    @property
    def n_inputs(self) -> int:
        """K."""
        return self.codes.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return self.codes.nbytes + self.scales.nbytes

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """Multiply inputs (S, K) with the transpose: (S, N)."""
        weights = self.codes, self.scales
        return product(multiply_rows, inputs, weights, len(self.codes), threads)


@dataclass(frozen=True)
class PackedMatrix(Matrix):
    """Weights (N, K) in 4 bits."""

    packed: Bytes
    """(N, K / 2), codes that are levels plus 8, the first of two in the low half."""
    scales: Halves
    """(N, K / 32)."""

    @staticmethod
    def fits(n_inputs: int) -> bool:
        """Whether there are kernels for K inputs."""
        return n_inputs % GROUP == 0

    @property
    def n_inputs(self) -> int:
        """K."""
        return 2 * self.packed.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return self.packed.nbytes + self.scales.nbytes

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """Multiply inputs (S, K) with the transpose: (S, N)."""
        weights = self.packed, self.scales
        return product(multiply_packed, inputs, weights, len(self.packed), threads)


@dataclass(frozen=True)
class JoinedMatrix(Matrix):
    """Matrices of the same inputs, with their outputs side by side."""

    parts: Sequence[Matrix]

    @property
    def n_inputs(self) -> int:
        """K."""
        return self.parts[0].n_inputs

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return sum(part.nbytes for part in self.parts)

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """Multiply inputs (S, K) with the transpose: (S, N)."""
        return np.concatenate([part.times(inputs, threads) for part in self.parts], axis=1)
