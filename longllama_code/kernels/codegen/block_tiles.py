"""Tiles of a product with weights in blocks of a GGUF file.

A single row of inputs is multiplied with blocks as they are read from the file. For several rows,
the levels of two outputs are unpacked into a panel that stays in the cache. Both do the same steps
in the same order for an output, so results are equal to the bit:

    for each chunk of 32   integers: products of levels and steps, summed in eight lanes
                           floats: the sums times the chunk's scale, added to eight totals
    for the row            the totals added up, with the chunks' offsets, times the row's unit
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.codegen.block_levels import (
    BLOCK_BYTES,
    BLOCK_CHUNKS,
    CHUNK,
    CHUNK_SCALES,
    FACTORS,
    READINGS,
    WITH_OFFSETS,
    Block,
    Chunk,
)
from longllama_code.kernels.codegen.product_tiles import FLOATS
from longllama_code.kernels.codegen.vectors import INT32, LANES, STEP, STEPS, Vectors, code_of

PAIR = 2
"""Outputs of a tile."""
AHEAD, LINE = 4096, 64
"""Bytes ahead that weights are prefetched; bytes of a cache line."""


def make_row_product(kind: int) -> Callable[..., None]:
    """Return a function for kernels that multiplies one row of inputs with blocks.

    ``multiply(steps, units, sums, blocks, first, end, offsets, outputs, column)`` writes the
    outputs of the rows of weights from ``first`` up to ``end``, at least one.

    * steps: rounded inputs, int16 (1, K); of each 32, those at even indices come first.
    * units: float32 (1, 1).
    * sums: sums of the steps of each chunk, float32 (1, chunks); a multiple of eight chunks.
    * blocks: uint8 (N, bytes).
    * offsets: buffer, float32 (1, chunks).
    * outputs: float32 (1, …), written from ``column`` on.

    Args:
        kind: kind of the blocks.
    """

    @intrinsic
    def multiply(
        _: Any,
        steps: Any,
        units: Any,
        sums: Any,
        blocks: Any,
        first: Any,
        end: Any,
        offsets: Any,
        outputs: Any,
        column: Any,
    ) -> Any:
        arguments = steps, units, sums, blocks, first, end, offsets, outputs, column
        return code_of(partial(_write_row_product, kind=kind), *arguments)

    return cast("Callable[..., None]", multiply)


def make_unpacking(kind: int) -> Callable[..., None]:
    """Return a function for kernels: ``unpack(blocks, output, levels, scales, offsets, place)``.

    It unpacks the row of an output into row ``place`` of ``levels``, int16 (outputs, K), of
    ``scales``, float32 (outputs, scales of a row), and of ``offsets``, float32 (outputs, chunks).
    """

    @intrinsic
    def unpack(
        _: Any, blocks: Any, output: Any, levels: Any, scales: Any, offsets: Any, place: Any
    ) -> Any:
        write = partial(_write_unpacking, kind=kind)
        return code_of(write, blocks, output, levels, scales, offsets, place)

    return cast("Callable[..., None]", unpack)


def make_panel_product(n_rows: int, n_scales: int, has_offsets: bool) -> Callable[..., None]:
    """Return a function for kernels that multiplies rows with the unpacked levels of two outputs.

    ``multiply(steps, units, sums, first, end, levels, scales, offsets, kind, factors, outputs,
    column)`` writes two columns, from ``column`` on, of the rows from ``first`` up to ``end``. If
    the last tile is not full, it begins earlier, and some rows are written twice; so there must be
    at least ``n_rows`` rows up to ``end``.

    * steps, units, sums, outputs: see ``make_row_product``, with S rows.
    * levels, scales, offsets: of the two outputs, see ``make_unpacking``.
    * factors: float32 (kinds, 8), of which row ``kind`` is used.

    Args:
        n_rows: rows of a tile.
        n_scales: scales of a chunk, 1 or 2.
        has_offsets: whether blocks of this kind have offsets.
    """

    @intrinsic
    def multiply(
        _: Any,
        steps: Any,
        units: Any,
        sums: Any,
        first: Any,
        end: Any,
        levels: Any,
        scales: Any,
        offsets: Any,
        kind: Any,
        factors: Any,
        outputs: Any,
        column: Any,
    ) -> Any:
        inputs = steps, units, sums, first, end
        known = *inputs, levels, scales, offsets, kind, factors, outputs, column
        write = partial(
            _write_panel_product, n_rows=n_rows, n_scales=n_scales, has_offsets=has_offsets
        )
        return code_of(write, *known)

    return cast("Callable[..., None]", multiply)


def _write_row_product(v: Vectors, arguments: list[Any], kind: int) -> None:
    steps, units, sums, blocks, first, end, offsets, outputs, column = arguments
    builder, n_chunks, n_bytes = v.builder, BLOCK_CHUNKS[kind], BLOCK_BYTES[kind]
    row_bytes = builder.extract_value(blocks.shape, 1)
    n_blocks = builder.udiv(row_bytes, v.number(n_bytes))
    unit = builder.load(units.data)
    factors = ir.Constant(FLOATS, FACTORS[kind])

    def multiply_output(number: Any, _: list[Any]) -> list[Any]:
        start = v.at(blocks.data, builder.add(first, number), row_bytes)

        def add_block(place: Any, totals: list[Any]) -> list[Any]:
            at = v.at(start, place, v.number(n_bytes))
            for line in range(AHEAD, AHEAD + n_bytes, LINE):
                v.prefetch(builder.gep(at, [v.number(line)]))
            block = READINGS[kind](v, at)
            _keep_offsets(v, block, builder.gep(offsets.data, [_times(v, place, n_chunks)]))
            (total,), inputs = totals, v.at(steps.data, place, v.number(n_chunks * CHUNK))
            for chunk, (levels, scale) in enumerate(zip(block.chunks, block.scales, strict=True)):
                known = [v.load(inputs, chunk * CHUNK + part, STEPS) for part in (0, STEP)]
                total = _added(v, levels, known, scale, total)
            return [total]

        (total,) = v.loop(n_blocks, [ir.Constant(FLOATS, None)], add_block)
        total = builder.fmul(total, factors)
        if kind in WITH_OFFSETS:
            total = _with_offsets(v, total, offsets.data, sums.data, sums)
        at = builder.gep(outputs.data, [builder.add(column, number)])
        builder.store(builder.fmul(v.sum(total), unit), at)
        return []

    v.loop(builder.sub(end, first), [], multiply_output)


def _write_unpacking(v: Vectors, arguments: list[Any], kind: int) -> None:
    blocks, output, levels, scales, offsets, place = arguments
    builder, n_chunks, n_scales = v.builder, BLOCK_CHUNKS[kind], CHUNK_SCALES[kind]
    size, row_bytes = (builder.extract_value(each.shape, 1) for each in (levels, blocks))
    start, unpacked = v.at(blocks.data, output, row_bytes), v.at(levels.data, place, size)
    own, beside = (
        v.at(each.data, place, builder.extract_value(each.shape, 1)) for each in (scales, offsets)
    )

    def unpack(number: Any, _: list[Any]) -> list[Any]:
        to = v.at(unpacked, number, v.number(n_chunks * CHUNK))
        scales_to = v.at(own, number, v.number(n_chunks * n_scales))
        block = READINGS[kind](v, v.at(start, number, v.number(BLOCK_BYTES[kind])))
        _keep_offsets(v, block, builder.gep(beside, [_times(v, number, n_chunks)]))
        for chunk, ((even, odd), scale) in enumerate(zip(block.chunks, block.scales, strict=True)):
            v.store(even, to, chunk * CHUNK)
            v.store(odd, to, chunk * CHUNK + STEP)
            for half in range(n_scales):
                one = builder.extract_element(scale, INT32(half * LANES // 2))
                builder.store(one, builder.gep(scales_to, [v.number(chunk * n_scales + half)]))
        return []

    v.loop(builder.udiv(row_bytes, v.number(BLOCK_BYTES[kind])), [], unpack)


def _keep_offsets(v: Vectors, block: Block, to: Any) -> None:
    """Store the offsets of a block's chunks, if it has any."""
    if block.offsets is None:
        return
    if len(block.chunks) == LANES:
        v.store(block.offsets, to, 0)
    else:
        v.builder.store(v.builder.extract_element(block.offsets, INT32(0)), to)


def _times(v: Vectors, number: Any, by: int) -> Any:
    return v.builder.mul(number, v.number(by))


def _write_panel_product(
    v: Vectors, arguments: list[Any], n_rows: int, n_scales: int, has_offsets: bool
) -> None:
    steps, units, sums, first, end, levels, scales, offsets, kind, factors, outputs, column = (
        arguments
    )
    builder = v.builder
    n_all, n_chunks = (builder.extract_value(each.shape, 1) for each in (outputs, sums))
    factor = v.load(v.at(factors.data, kind, v.number(LANES)), 0, FLOATS)
    last = builder.sub(end, v.number(n_rows))

    def multiply_rows(number: Any, _: list[Any]) -> list[Any]:
        row = builder.add(first, _times(v, number, n_rows))
        row = builder.select(builder.icmp_unsigned("<", row, last), row, last)
        rows = [builder.add(row, v.number(place)) for place in range(n_rows)]
        totals = iter(_panel_totals(v, steps, rows, levels, scales, n_scales))
        for mine in rows:
            known, unit = v.at(sums.data, mine, n_chunks), builder.gep(units.data, [mine])
            at = builder.gep(v.at(outputs.data, mine, n_all), [column])
            for output in range(PAIR):
                total = builder.fmul(next(totals), factor)
                if has_offsets:
                    beside = v.at(offsets.data, v.number(output), n_chunks)
                    total = _with_offsets(v, total, beside, known, sums)
                written = builder.gep(at, [v.number(output)])
                builder.store(builder.fmul(v.sum(total), builder.load(unit)), written)
        return []

    some = builder.add(builder.sub(end, first), v.number(n_rows - 1))
    v.loop(builder.udiv(some, v.number(n_rows)), [], multiply_rows)


def _panel_totals(
    v: Vectors, steps: Any, rows: list[Any], levels: Any, scales: Any, n_scales: int
) -> list[Any]:
    """Return the totals of a tile, by row and then by output."""
    size, row_scales = (v.builder.extract_value(each.shape, 1) for each in (steps, scales))
    inputs = [v.at(steps.data, row, size) for row in rows]
    weights = [v.at(levels.data, v.number(output), size) for output in range(PAIR)]
    own = [v.at(scales.data, v.number(output), row_scales) for output in range(PAIR)]

    def load(start: Any, chunk: Any) -> Chunk:
        place = v.at(start, chunk, v.number(CHUNK))
        return v.load(place, 0, STEPS), v.load(place, STEP, STEPS)

    def add_chunk(chunk: Any, totals: list[Any]) -> list[Any]:
        known, mine = (
            [load(each, chunk) for each in inputs],
            [load(each, chunk) for each in weights],
        )
        factors = [_scale(v, v.at(each, chunk, v.number(n_scales)), n_scales) for each in own]
        new: list[Any] = []
        for place, total in enumerate(totals):
            row, output = divmod(place, PAIR)
            new.append(_added(v, mine[output], known[row], factors[output], total))
        return new

    zeros = [ir.Constant(FLOATS, None)] * (len(rows) * PAIR)
    return v.loop(v.builder.udiv(size, v.number(CHUNK)), zeros, add_chunk)


def _added(v: Vectors, levels: Chunk, inputs: Any, scale: Any, total: Any) -> Any:
    """Return the totals after a chunk."""
    even, odd = (v.multiply_add(*both) for both in zip(levels, inputs, strict=True))
    return v.fma(v.builder.sitofp(v.builder.add(even, odd), FLOATS), scale, total)


def _scale(v: Vectors, start: Any, n_scales: int) -> Any:
    """Load the scale of a chunk into all lanes, or its two scales into half of them each."""
    spread = [v.load_spread(start, number, LANES) for number in range(n_scales)]
    half = LANES // 2
    first, last = spread[0], spread[-1]
    if n_scales == 1:
        return first
    return v.pick(first, last, [*range(half), *range(LANES + half, 2 * LANES)])


def _with_offsets(v: Vectors, total: Any, offsets: Any, known: Any, sums: Any) -> Any:
    """Add the products of the chunks' offsets and the sums of their inputs to the totals."""

    def add_eight(number: Any, totals: list[Any]) -> list[Any]:
        one, other = (
            v.load(v.at(each, number, v.number(LANES)), 0, FLOATS) for each in (offsets, known)
        )
        return [v.fma(one, other, totals[0])]

    n_chunks = v.builder.extract_value(sums.shape, 1)
    (total,) = v.loop(v.builder.udiv(n_chunks, v.number(LANES)), [total], add_eight)
    return total
