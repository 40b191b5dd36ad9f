"""Weight matrices for kernels, and 8-bit weights in the order in which a product reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from longllama_code.kernels.codegen.weight_layouts import BLOCK, OUTPUTS
from longllama_code.kernels.products import Codes, Floats, multiply
from longllama_code.kernels.sharing.threads import ALONE, Threads

HIGHEST_CODE = 127


class Matrix(Protocol):
    """Weights (N, K) that kernels multiply with."""

    @property
    def n_inputs(self) -> int:
        """K."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        ...

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """Multiply inputs (S, K) with the transpose: (S, N), each row independent of the others."""
        ...


def product(
    multiply: Callable[..., None],
    inputs: Floats,
    weights: tuple[Any, Any],
    n_outputs: int,
    threads: Threads,
) -> Floats:
    """Run a kernel over inputs (S, K), with the rows shared between threads; return (S, N)."""
    outputs = np.empty((len(inputs), n_outputs), np.float32)

    def multiply_rows(first: int, end: int) -> None:
        multiply(inputs[first:end], *weights, outputs[first:end])

    threads.run(multiply_rows, len(inputs))
    return outputs


@dataclass(frozen=True)
class QuantizedMatrix(Matrix):
    """Weights (N, K) as 8-bit codes, with a scale for each block of 64 in a row."""

    codes: Codes
    """(N / 4, K / 64, 4, 64), in the order in which a product reads them; N is padded with zeros to
    a multiple of four."""
    scales: Floats
    """(N / 4, K / 64, 4)."""
    n_outputs: int
    """N."""

    @classmethod
    def of(cls, weights: Floats) -> QuantizedMatrix:
        """Quantize weights (N, K), of a K for which ``fits`` is true."""
        n_outputs = len(weights)
        weights = np.pad(weights, ((0, -n_outputs % OUTPUTS), (0, 0)))
        blocks = weights.reshape(len(weights) // OUTPUTS, OUTPUTS, -1, BLOCK).swapaxes(1, 2)
        scales = np.abs(blocks).max(axis=3) / np.float32(HIGHEST_CODE)
        codes = np.rint(blocks / np.maximum(scales, np.float32(1e-30))[..., None])
        return cls(np.ascontiguousarray(codes, np.int8), np.ascontiguousarray(scales), n_outputs)

    @staticmethod
    def fits(n_inputs: int) -> bool:
        """Whether there are kernels for K inputs."""
        return n_inputs % BLOCK == 0

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return self.codes.nbytes + self.scales.nbytes

    def floats(self) -> Floats:
        """Return the dequantized weights, (N, K)."""
        blocks = (self.codes * self.scales[..., None]).swapaxes(1, 2)
        return blocks.reshape(len(self.codes) * OUTPUTS, -1)[: self.n_outputs]

    @property
    def n_inputs(self) -> int:
        """K."""
        return self.codes.shape[1] * BLOCK

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """Multiply inputs (S, K) with the transpose: (S, N)."""
        weights, n_all = (self.codes, self.scales), len(self.codes) * OUTPUTS
        return product(multiply, inputs, weights, n_all, threads)[:, : self.n_outputs]
