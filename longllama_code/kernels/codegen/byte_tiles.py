"""Tiles of a product of bytes: rounded inputs times woven weights of a GGUF file.

Each lane of a vector belongs to an output (see ``kernels/weaving.py``):

    for each chunk of 32   integers: products of levels and steps, summed
                           floats: the sums times the chunk's scale and the input's unit, added to
                           the totals

A few rows of inputs are multiplied with weights as they are unpacked. For more rows, a panel is
unpacked once and stays in the cache. Both do the same float operations in the same order for an
output, so results are equal to the bit.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.codegen.block_levels import CHUNK, CHUNK_SCALES, Q6_K, WITH_OFFSETS
from longllama_code.kernels.codegen.panels import (
    FIELDS,
    LANES,
    OUTPUTS,
    QUAD,
    QUADS,
    VECTORS,
)
from longllama_code.kernels.codegen.vectors import (
    FLOAT,
    INT32,
    N_REGISTERS,
    Vectors,
    code_of,
)

ROWS, FEW_ROWS = 6 if N_REGISTERS > 16 else 3, 4 if N_REGISTERS > 16 else 2
"""Rows of a tile with an unpacked panel, and of one with woven weights."""

_FLOATS, _INTEGERS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT32, LANES)
_BYTE, _SHORT = ir.IntType(8), ir.IntType(16)
_QUADS, _SHORTS = ir.VectorType(_BYTE, QUAD * LANES), ir.VectorType(_SHORT, QUAD * LANES // 2)
_BYTES, _HALVES = ir.VectorType(_BYTE, LANES), ir.VectorType(_SHORT, LANES)


def make_woven_product(kind: int, n_rows: int) -> Callable[..., None]:
    """Return a function for kernels that multiplies rows of inputs with woven weights.

    ``multiply(steps, units, starts, moments, first, end, panel, outputs, column)`` writes
    ``OUTPUTS`` columns, from ``column`` on, of the rows from ``first`` up to ``end``, at least one.

    * steps, units: see ``round_to_bytes``.
    * starts: what each sum of products begins with, int32 (S, scales of a row).
    * moments: sum of each chunk's inputs, float32 (S, chunks); read if the kind has offsets.
    * panel: see ``kernels/weaving.py``, uint8 (bytes,).
    * outputs: float32 (S, …).

    Args:
        kind: kind of the blocks that were woven.
        n_rows: rows of a tile.
    """

    @intrinsic
    def multiply(
        _: Any,
        steps: Any,
        units: Any,
        starts: Any,
        moments: Any,
        first: Any,
        end: Any,
        panel: Any,
        outputs: Any,
        column: Any,
    ) -> Any:
        arguments = steps, units, starts, moments, first, end, panel, outputs, column
        return code_of(partial(_write_woven_product, kind=kind, n_rows=n_rows), *arguments)

    return cast("Callable[..., None]", multiply)


def make_unpacking(kind: int) -> Callable[..., None]:
    """Return a function for kernels: ``unpack(panel, levels, scales, offsets)``.

    It unpacks a panel, uint8 (bytes,), into levels, uint8 (chunks, bytes of a chunk), scales,
    float32 (scales of a row, outputs), and offsets, float32 (chunks, outputs), if there are any.
    """

    @intrinsic
    def unpack(_: Any, panel: Any, levels: Any, scales: Any, offsets: Any) -> Any:
        return code_of(partial(_write_unpacking, kind=kind), panel, levels, scales, offsets)

    return cast("Callable[..., None]", unpack)


def make_panel_product(n_scales: int, has_offsets: bool) -> Callable[..., None]:
    """Return a function for kernels that multiplies rows of inputs with an unpacked panel.

    ``multiply(steps, units, starts, moments, first, end, levels, scales, offsets, outputs,
    column)`` does what that of ``make_woven_product`` does; see ``make_unpacking``.

    Args:
        n_scales: scales of a chunk, 1 or 2.
        has_offsets: whether blocks of this kind have offsets.
    """

    @intrinsic
    def multiply(
        _: Any,
        steps: Any,
        units: Any,
        starts: Any,
        moments: Any,
        first: Any,
        end: Any,
        levels: Any,
        scales: Any,
        offsets: Any,
        outputs: Any,
        column: Any,
    ) -> Any:
        inputs = steps, units, starts, moments, first, end
        write = partial(_write_panel_product, n_scales=n_scales, has_offsets=has_offsets)
        return code_of(write, *inputs, levels, scales, offsets, outputs, column)

    return cast("Callable[..., None]", multiply)


class _Weights(Protocol):
    """Weights of a panel: LLVM values of a chunk."""

    n_scales: int
    has_offsets: bool

    def levels(self, chunk: Any, vector: int, quad: int) -> Any:
        """Return the levels of a quad of each output of a vector."""
        ...

    def scale(self, chunk: Any, vector: int, part: int) -> Any:
        """Return the scales of a chunk, or of a half of it."""
        ...

    def offset(self, chunk: Any, vector: int) -> Any:
        """Return the offsets of a chunk."""
        ...


class _Unpacked:
    """Weights as ``make_unpacking`` leaves them."""

    def __init__(self, v: Vectors, arrays: Sequence[Any], n_scales: int, has_offsets: bool) -> None:
        self.v, self.n_scales, self.has_offsets = v, n_scales, has_offsets
        self._levels, self._scales, self._offsets = (array.data for array in arrays)

    def levels(self, chunk: Any, vector: int, quad: int) -> Any:
        at = self.v.at(self._levels, chunk, self.v.number(CHUNK * OUTPUTS))
        return self.v.load(at, (quad * VECTORS + vector) * QUAD * LANES, _QUADS)

    def scale(self, chunk: Any, vector: int, part: int) -> Any:
        at = self.v.at(self._scales, chunk, self.v.number(self.n_scales * OUTPUTS))
        return self.v.load(at, part * OUTPUTS + vector * LANES, _FLOATS)

    def offset(self, chunk: Any, vector: int) -> Any:
        at = self.v.at(self._offsets, chunk, self.v.number(OUTPUTS))
        return self.v.load(at, vector * LANES, _FLOATS)


class _Woven:
    """Weights as the file has them, in a panel's blocks."""

    def __init__(self, v: Vectors, panel: Any, kind: int) -> None:
        self.v, self.kind, self.fields = v, kind, FIELDS[kind]
        self.n_scales, self.has_offsets = CHUNK_SCALES[kind], kind in WITH_OFFSETS
        self._panel, self._builder = panel.data, v.builder

    def levels(self, chunk: Any, vector: int, quad: int) -> Any:
        v, fields = self.v, self.fields
        start, n_quads, before = self._chunk(chunk), fields.low // QUAD, OUTPUTS * fields.codes
        low = before + OUTPUTS * fields.high
        place = low + (quad % n_quads * VECTORS + vector) * QUAD * LANES
        if n_quads == QUADS:
            return v.load(start, place, _QUADS)
        levels = self._moved(v.load(start, place, _SHORTS), 4 if quad >= n_quads else 0, 0, 0x0F)
        n_bits = fields.high // QUAD
        if n_bits:
            part, number = divmod(quad, QUADS // n_bits)
            place = before + (part * VECTORS + vector) * QUAD * LANES
            mask = ((1 << n_bits) - 1) << 4
            bits = self._moved(v.load(start, place, _SHORTS), number * n_bits, 4, mask)
            levels = self._builder.or_(levels, bits)
        return self._builder.bitcast(levels, _QUADS)

    def scale(self, chunk: Any, vector: int, part: int) -> Any:
        if not self.fields.codes:
            return self._unit(chunk, vector, 0)
        widen = self._builder.sext if self.kind == Q6_K else self._builder.zext
        return self._coded(chunk, vector, part, 0, widen)

    def offset(self, chunk: Any, vector: int) -> Any:
        if not self.fields.codes:
            return self._unit(chunk, vector, 1)
        return self._builder.fneg(self._coded(chunk, vector, 1, 1, self._builder.zext))

    def _block(self, chunk: Any) -> Any:
        """Return the address of a chunk's block."""
        block = self._builder.udiv(chunk, self.v.number(self.fields.n_chunks))
        return self.v.at(self._panel, block, self.v.number(self.fields.block_bytes))

    def _chunk(self, chunk: Any) -> Any:
        """Return the address of a chunk."""
        number, fields = self.v.number, self.fields
        place = self._builder.urem(chunk, number(fields.n_chunks))
        units = self._builder.gep(self._block(chunk), [number(OUTPUTS * fields.units)])
        return self.v.at(units, place, number(fields.chunk_bytes))

    def _moved(self, pairs: Any, place: int, to: int, mask: int) -> Any:
        """Move bits of each byte, all within it, from one position to another; clear the others."""
        builder, by = self._builder, abs(to - place)
        if by:
            shift = builder.shl if to > place else builder.lshr
            pairs = shift(pairs, ir.Constant(_SHORTS, [by] * (QUAD * LANES // 2)))
        return builder.and_(pairs, ir.Constant(_SHORTS, [mask * 0x0101] * (QUAD * LANES // 2)))

    def _coded(
        self, chunk: Any, vector: int, code: int, unit: int, widen: Callable[..., Any]
    ) -> Any:
        """Return codes times units."""
        builder, place = self._builder, code * OUTPUTS + vector * LANES
        codes = widen(self.v.load(self._chunk(chunk), place, _BYTES), _INTEGERS)
        return builder.fmul(builder.sitofp(codes, _FLOATS), self._unit(chunk, vector, unit))

    def _unit(self, chunk: Any, vector: int, unit: int) -> Any:
        """Return float16 numbers as float32."""
        place = 2 * (unit * OUTPUTS + vector * LANES)
        return self.v.floats_of_halves(self.v.load(self._block(chunk), place, _HALVES))


def _write_woven_product(v: Vectors, arguments: list[Any], kind: int, n_rows: int) -> None:
    steps, units, starts, moments, first, end, panel, outputs, column = arguments
    weights = _Woven(v, panel, kind)
    inputs = steps, units, starts, moments, first, end
    _write_product(v, inputs, weights, n_rows, outputs, column)


def _write_panel_product(
    v: Vectors, arguments: list[Any], n_scales: int, has_offsets: bool
) -> None:
    *inputs, levels, scales, offsets, outputs, column = arguments
    weights = _Unpacked(v, (levels, scales, offsets), n_scales, has_offsets)
    _write_product(v, inputs, weights, ROWS, outputs, column)


def _write_unpacking(v: Vectors, arguments: list[Any], kind: int) -> None:
    panel, levels, scales, offsets = arguments
    n_chunks = v.builder.extract_value(levels.shape, 0)
    woven = _Woven(v, panel, kind)

    def unpack(chunk: Any, _: list[Any]) -> list[Any]:
        to = v.at(levels.data, chunk, v.number(CHUNK * OUTPUTS))
        scales_to = v.at(scales.data, chunk, v.number(woven.n_scales * OUTPUTS))
        offsets_to = v.at(offsets.data, chunk, v.number(OUTPUTS))
        for vector in range(VECTORS):
            for quad in range(QUADS):
                place = (quad * VECTORS + vector) * QUAD * LANES
                v.store(woven.levels(chunk, vector, quad), to, place)
            for part in range(woven.n_scales):
                scale = woven.scale(chunk, vector, part)
                v.store(scale, scales_to, part * OUTPUTS + vector * LANES)
            if woven.has_offsets:
                v.store(woven.offset(chunk, vector), offsets_to, vector * LANES)
        return []

    v.loop(n_chunks, [], unpack)


def _write_product(
    v: Vectors, inputs: Sequence[Any], weights: _Weights, n_rows: int, outputs: Any, column: Any
) -> None:
    """Write the product of rows with the weights of a panel, by tiles.

    If the last tile is not full, it begins earlier, or has some rows twice.
    """
    *arrays, first, end = inputs
    builder, number = v.builder, v.number
    last = builder.sub(end, number(1))
    full = builder.sub(end, number(n_rows))  # negative if there are fewer rows
    full = builder.select(builder.icmp_signed(">", full, first), full, first)

    def multiply_rows(tile: Any, _: list[Any]) -> list[Any]:
        row = builder.add(first, builder.mul(tile, number(n_rows)))
        row = builder.select(builder.icmp_unsigned("<", row, full), row, full)
        rows = [builder.add(row, number(place)) for place in range(n_rows)]
        rows = [builder.select(builder.icmp_unsigned("<", r, last), r, last) for r in rows]
        totals = _Tile(v, arrays, weights, rows).totals()
        for place, total in enumerate(totals):
            mine, vector = divmod(place, VECTORS)
            at = builder.gep(v.row(outputs, rows[mine]), [column])
            v.store(total, at, vector * LANES)
        return []

    some = builder.add(builder.sub(end, first), number(n_rows - 1))
    v.loop(builder.udiv(some, number(n_rows)), [], multiply_rows)


class _Tile:
    """Writer of the totals of a few rows of inputs, by row and then by vector of outputs."""

    def __init__(
        self, v: Vectors, arrays: Sequence[Any], weights: _Weights, rows: Sequence[Any]
    ) -> None:
        self.v, self.weights = v, weights
        self.n_chunks = v.builder.extract_value(arrays[1].shape, 1)
        self.steps, self.units, self.starts, self.moments = (
            [v.row(array, row) for row in rows] for array in arrays
        )

    def totals(self) -> list[Any]:
        """Write the loop over all chunks."""
        zeros = [ir.Constant(_FLOATS, None)] * (len(self.steps) * VECTORS)
        return self.v.loop(self.n_chunks, zeros, self._add_chunk)

    def _add_chunk(self, chunk: Any, totals: list[Any]) -> list[Any]:
        v, builder, weights, totals = self.v, self.v.builder, self.weights, [*totals]
        units = self._numbers(self.units, chunk)
        for part in range(weights.n_scales):
            scales = [weights.scale(chunk, vector, part) for vector in range(VECTORS)]
            sums = self._sums(chunk, part)
            for place, total in enumerate(totals):
                mine, vector = divmod(place, VECTORS)
                factor = builder.fmul(scales[vector], units[mine])
                totals[place] = v.fma(builder.sitofp(sums[place], _FLOATS), factor, total)
        if weights.has_offsets:
            offsets = [weights.offset(chunk, vector) for vector in range(VECTORS)]
            moments = self._numbers(self.moments, chunk)
            for place, total in enumerate(totals):
                mine, vector = divmod(place, VECTORS)
                totals[place] = v.fma(offsets[vector], moments[mine], total)
        return totals

    def _numbers(self, rows: Sequence[Any], column: Any) -> list[Any]:
        """Load a number of each row into all lanes."""
        builder = self.v.builder
        return [self.v.spread(builder.load(builder.gep(row, [column])), LANES) for row in rows]

    def _sums(self, chunk: Any, part: int) -> list[Any]:
        """Return the sums of the products of a chunk, or of one of the halves with a scale."""
        v, builder, n_scales = self.v, self.v.builder, self.weights.n_scales
        place = builder.add(builder.mul(chunk, v.number(n_scales)), v.number(part))
        sums = [start for start in self._numbers(self.starts, place) for _ in range(VECTORS)]
        inputs = [v.at(row, chunk, v.number(CHUNK)) for row in self.steps]
        n_quads = QUADS // n_scales
        for quad in range(part * n_quads, (part + 1) * n_quads):
            levels = [self.weights.levels(chunk, vector, quad) for vector in range(VECTORS)]
            for mine, row in enumerate(inputs):
                at = builder.bitcast(builder.gep(row, [v.number(QUAD * quad)]), INT32.as_pointer())
                steps = builder.bitcast(v.spread(builder.load(at, align=1), LANES), _QUADS)
                for vector in range(VECTORS):
                    total = mine * VECTORS + vector
                    sums[total] = v.dot_bytes(levels[vector], steps, sums[total])
        return sums
