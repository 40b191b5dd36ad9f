"""Weights in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longllama_code.kernels.layer import BLOCK, OUTPUTS, Codes, Floats, multiply

HIGHEST_CODE = 127


@dataclass(frozen=True)
class QuantizedMatrix:
    """(N, K) weights: codes times the scale of their block of a row."""

    codes: Codes
    """(N, K); the number of rows is rounded up to a multiple of four by zeros."""
    scales: Floats
    """(N, K / 64)."""
    n_outputs: int
    """N."""

    @classmethod
    def of(cls, weights: Floats) -> QuantizedMatrix:
        """The nearest codes of (N, K) weights, of a size that ``fits`` allows."""
        n_outputs = len(weights)
        weights = np.pad(weights, ((0, -n_outputs % OUTPUTS), (0, 0)))
        blocks = weights.reshape(len(weights), -1, BLOCK)
        scales = np.abs(blocks).max(axis=2) / np.float32(HIGHEST_CODE)
        codes = np.rint(blocks / np.maximum(scales, np.float32(1e-30))[..., None])
        return cls(codes.astype(np.int8).reshape(weights.shape), scales, n_outputs)

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
        blocks = self.codes.reshape(len(self.codes), -1, BLOCK) * self.scales[..., None]
        return blocks.reshape(self.codes.shape)[: self.n_outputs]

    def times(self, inputs: Floats) -> Floats:
        """(S, K) inputs times the transpose: (S, N)."""
        outputs = np.empty((len(inputs), len(self.codes)), np.float32)
        multiply(inputs, self.codes, self.scales, outputs)
        return outputs[:, : self.n_outputs]
