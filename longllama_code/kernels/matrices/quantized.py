"""Rounded weights, and those in 8 bits in the order in which a product reads them."""

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
    """(N, K) weights that kernels multiply with."""

    @property
    def n_inputs(self) -> int:
        """K."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """(S, K) inputs times the transpose: (S, N). A row comes out the same alone."""
        ...


def product(
    multiply: Callable[..., None],
    inputs: Floats,
    weights: tuple[Any, Any],
    n_outputs: int,
    threads: Threads,
) -> Floats:
    """What a kernel makes of (S, K) inputs and weights, (S, N), rows shared between threads."""
    outputs = np.empty((len(inputs), n_outputs), np.float32)

    def multiply_rows(first: int, end: int) -> None:
        multiply(inputs[first:end], *weights, outputs[first:end])

    threads.run(multiply_rows, len(inputs))
    return outputs


@dataclass(frozen=True)
class QuantizedMatrix(Matrix):
    """(N, K) weights: codes times the scale of their block of a row."""

    codes: Codes
    """(N / 4, K / 64, 4, 64): in the order in which a product reads them. The number of outputs is
    rounded up to a multiple of four by zeros."""
    scales: Floats
    """(N / 4, K / 64, 4)."""
    n_outputs: int
    """N."""

    @classmethod
    def of(cls, weights: Floats) -> QuantizedMatrix:
        """The nearest codes of (N, K) weights, of a size that ``fits`` allows."""
        n_outputs = len(weights)
        weights = np.pad(weights, ((0, -n_outputs % OUTPUTS), (0, 0)))
        blocks = weights.reshape(len(weights) // OUTPUTS, OUTPUTS, -1, BLOCK).swapaxes(1, 2)
        scales = np.abs(blocks).max(axis=3) / np.float32(HIGHEST_CODE)
        codes = np.rint(blocks / np.maximum(scales, np.float32(1e-30))[..., None])
        return cls(np.ascontiguousarray(codes, np.int8), np.ascontiguousarray(scales), n_outputs)

    @staticmethod
    def fits(n_inputs: int) -> bool:
        """Whether there are kernels for weights of so many inputs (K)."""
        return n_inputs % BLOCK == 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.codes.nbytes + self.scales.nbytes

    def floats(self) -> Floats:
        """The weights that the codes stand for, (N, K)."""
        blocks = (self.codes * self.scales[..., None]).swapaxes(1, 2)
        return blocks.reshape(len(self.codes) * OUTPUTS, -1)[: self.n_outputs]

    @property
    def n_inputs(self) -> int:
        """K."""
        return self.codes.shape[1] * BLOCK

    def times(self, inputs: Floats, threads: Threads = ALONE) -> Floats:
        """(S, K) inputs times the transpose: (S, N)."""
        weights, n_all = (self.codes, self.scales), len(self.codes) * OUTPUTS
        return product(multiply, inputs, weights, n_all, threads)[:, : self.n_outputs]
