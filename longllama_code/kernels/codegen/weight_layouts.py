"""Layouts of weights in memory: how a tile loads those of an output, block by block.

A layout is created at the beginning of a tile's code; it writes the loads of a block's levels and
scale.
"""

from __future__ import annotations

from typing import Any, Protocol

from llvmlite import ir

from longllama_code.kernels.codegen.vectors import CODES, LANES, STEP, STEPS, Vectors

BLOCK = 64
"""8-bit weights whose products are summed as integers."""
GROUP = 32
"""4-bit weights that share a scale."""
OUTPUTS = 4
"""Outputs whose weights (in tiles), or scales (of 4 bits), are adjacent."""


class Layout(Protocol):
    """Weights of adjacent outputs."""

    block: int
    """Weights that are summed as integers and share a scale."""
    fuses: bool
    """Whether the scale is applied by a fused multiply-add: one instruction less, with a longer
    latency."""

    def __init__(
        self, v: Vectors, codes: Any, scales: Any, first: Any, n_blocks: Any, n_outputs: int
    ) -> None:
        """Begin at output ``first``; a row has ``n_blocks`` blocks."""
        ...

    def levels(self, block: Any, output: int) -> list[Any]:
        """Return the levels of a block's codes, in vectors of 16-bit numbers."""
        ...

    def scale(self, block: Any, output: int) -> Any:
        """Return the scale of a block, in all lanes."""
        ...


class InTiles(Layout):
    """Codes int8 (N / 4, K / 64, 4, 64), scales float32 (N / 4, K / 64, 4)."""

    block, fuses = BLOCK, True

    def __init__(
        self, v: Vectors, codes: Any, scales: Any, first: Any, n_blocks: Any, n_outputs: int
    ) -> None:
        builder, of_group = v.builder, v.number(OUTPUTS)
        group, within = builder.udiv(first, of_group), builder.urem(first, of_group)
        start = builder.add(builder.mul(builder.mul(group, n_blocks), of_group), within)
        self._v = v
        self._codes = v.at(codes.data, start, v.number(BLOCK))
        self._scales = builder.gep(scales.data, [start])

    def levels(self, block: Any, output: int) -> list[Any]:
        """Return the levels of a block's codes."""
        start = self._v.at(self._codes, block, self._v.number(OUTPUTS * BLOCK))
        return _codes(self._v, start, output * BLOCK)

    def scale(self, block: Any, output: int) -> Any:
        """Return the scale of a block."""
        start = self._v.at(self._scales, block, self._v.number(OUTPUTS))
        return self._v.load_spread(start, output, LANES)


class ByRow(Layout):
    """Codes int8 (N, K), scales float32 (N,)."""

    block, fuses = BLOCK, True

    def __init__(
        self, v: Vectors, codes: Any, scales: Any, first: Any, n_blocks: Any, n_outputs: int
    ) -> None:
        size = v.builder.mul(n_blocks, v.number(BLOCK))
        start, own = v.at(codes.data, first, size), v.builder.gep(scales.data, [first])
        self._v = v
        self._rows = [v.at(start, v.number(output), size) for output in range(n_outputs)]
        self._scales = [v.load_spread(own, output, LANES) for output in range(n_outputs)]

    def levels(self, block: Any, output: int) -> list[Any]:
        """Return the levels of a block's codes."""
        return _codes(self._v, self._v.at(self._rows[output], block, self._v.number(BLOCK)), 0)

    def scale(self, block: Any, output: int) -> Any:
        """Return the scale of a block."""
        return self._scales[output]


class Packed(Layout):
    """Two codes of 4 bits in a byte, each a level plus 8: uint8 (N, K / 2).

    Of the 32 inputs of a group, those of the low halves come first. Scales, float32 (4, K / 32),
    are those of the four outputs to which the tile's belong.
    """

    block, fuses = GROUP, False

    def __init__(
        self, v: Vectors, codes: Any, scales: Any, first: Any, n_blocks: Any, n_outputs: int
    ) -> None:
        size = v.builder.mul(n_blocks, v.number(GROUP // 2))
        start = v.at(codes.data, first, size)
        own = v.at(scales.data, v.builder.urem(first, v.number(OUTPUTS)), n_blocks)
        self._v = v
        self._rows = [v.at(start, v.number(output), size) for output in range(n_outputs)]
        self._scales = [v.at(own, v.number(output), n_blocks) for output in range(n_outputs)]

    def levels(self, block: Any, output: int) -> list[Any]:
        """Return the levels of a block's codes."""
        v, builder = self._v, self._v.builder
        both = v.load(v.at(self._rows[output], block, v.number(GROUP // 2)), 0, CODES)
        low = builder.and_(both, ir.Constant(CODES, [15] * STEP))
        high = builder.lshr(both, ir.Constant(CODES, [4] * STEP))
        eight = ir.Constant(STEPS, [8] * STEP)
        return [builder.sub(builder.zext(half, STEPS), eight) for half in (low, high)]

    def scale(self, block: Any, output: int) -> Any:
        """Return the scale of a block."""
        start = self._v.builder.gep(self._scales[output], [block])
        return self._v.load_spread(start, 0, LANES)


def _codes(v: Vectors, start: Any, first: int) -> list[Any]:
    """Load a block of 8-bit codes, ``first`` bytes after an address."""
    loaded = [v.load(start, first + offset, CODES) for offset in range(0, BLOCK, STEP)]
    return [v.builder.sext(codes, STEPS) for codes in loaded]
