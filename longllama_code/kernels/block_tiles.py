"""Tiles of a product with weights in blocks of a GGUF file.

One row of inputs meets blocks as they lie in the file; several meet levels that were unpacked into
a panel that stays in the cache. Both take the same steps in the same order for an output, so it
comes out the same, bit for bit:

    of each chunk of 32    integers: products of levels and steps, side by side in eight sums
                           floats: the sums times the chunk's scale, added to eight totals
    of the row             the totals added up, with the chunks' offsets, times the row's unit
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.block_levels import (
    BLOCK_BYTES,
    BLOCK_CHUNKS,
    CHUNK,
    CHUNK_SCALES,
    LEVELS,
    Chunk,
)
from longllama_code.kernels.product_tiles import FLOATS
from longllama_code.kernels.vectors import LANES, STEP, STEPS, Vectors, code_of


def make_block_tile(kind: int, n_outputs: int) -> Callable[..., None]:
    """A function for kernels: one row of inputs times blocks as they lie.

    ``tile(steps, row, blocks, first, scales, totals)`` writes the eight totals of the outputs
    ``first`` and after it.

    * steps: int16 (S, K), of each 32 inputs those at even places first.
    * blocks: uint8 (N, bytes).
    * scales: float32 (outputs, scales of a row).
    * totals: float32 (outputs, 8).

    Args:
        kind: of blocks.
        n_outputs: outputs of a tile.
    """

    @intrinsic
    def tile(
        _: Any, steps: Any, row: Any, blocks: Any, first: Any, scales: Any, totals: Any
    ) -> Any:
        write = partial(_write_block_tile, kind=kind, n_outputs=n_outputs)
        return code_of(write, steps, row, blocks, first, scales, totals)

    return cast("Callable[..., None]", tile)


def make_unpacking(kind: int) -> Callable[..., None]:
    """A function for kernels: ``unpack(blocks, output, levels, place)``.

    It writes the levels of an output's row into a row of int16 (outputs, K), as tiles take them.
    """

    @intrinsic
    def unpack(_: Any, blocks: Any, output: Any, levels: Any, place: Any) -> Any:
        write = partial(_write_unpacking, kind=kind)
        return code_of(write, blocks, output, levels, place)

    return cast("Callable[..., None]", unpack)


def make_panel_tile(n_rows: int, n_outputs: int, n_scales: int) -> Callable[..., None]:
    """A function for kernels: rows of inputs times levels that are unpacked.

    ``tile(steps, row, levels, first, scales, totals)`` writes the eight totals of each row from
    ``row`` on, and in it of each output of the panel from ``first`` on.

    * steps: as for ``make_block_tile``.
    * levels: int16 (outputs, K), in the same order.
    * scales: float32 (outputs, scales of a row).
    * totals: float32 (rows, outputs, 8), of the tile.

    Args:
        n_rows: rows of a tile.
        n_outputs: outputs of a tile.
        n_scales: of a chunk, 1 or 2.
    """

    @intrinsic
    def tile(
        _: Any, steps: Any, row: Any, levels: Any, first: Any, scales: Any, totals: Any
    ) -> Any:
        write = partial(_write_panel_tile, n_rows=n_rows, n_outputs=n_outputs, n_scales=n_scales)
        return code_of(write, steps, row, levels, first, scales, totals)

    return cast("Callable[..., None]", tile)


def make_finishing(has_offsets: bool) -> Callable[..., None]:
    """A function for kernels that makes an output of its totals.

    ``finish(totals, place, factors, offsets, slot, sums, row, units, outputs, column)`` writes one.

    * totals: float32 (places, 8).
    * factors: float32 (8,).
    * offsets: float32 (outputs, chunks), of which ``slot`` is the output's.
    * sums: float32 (S, chunks), of the steps of each chunk; a multiple of eight chunks.
    * units: float32 (S,).
    * outputs: (S, N).

    Args:
        has_offsets: whether there are any.
    """

    @intrinsic
    def finish(
        _: Any,
        totals: Any,
        place: Any,
        factors: Any,
        offsets: Any,
        slot: Any,
        sums: Any,
        row: Any,
        units: Any,
        outputs: Any,
        column: Any,
    ) -> Any:
        arguments = totals, place, factors, offsets, slot, sums, row, units, outputs, column
        return code_of(partial(_write_finishing, has_offsets=has_offsets), *arguments)

    return cast("Callable[..., None]", finish)


def _write_block_tile(v: Vectors, arguments: list[Any], kind: int, n_outputs: int) -> None:
    steps, row, blocks, first, scales, totals = arguments
    builder = v.builder
    n_chunks, n_scales = BLOCK_CHUNKS[kind], CHUNK_SCALES[kind]
    size = builder.extract_value(steps.shape, 1)
    inputs = v.at(steps.data, row, size)
    row_bytes, row_scales = (builder.extract_value(each.shape, 1) for each in (blocks, scales))
    outputs = [v.number(number) for number in range(n_outputs)]
    starts = [v.at(blocks.data, builder.add(first, number), row_bytes) for number in outputs]
    scale_rows = [v.at(scales.data, number, row_scales) for number in outputs]

    def add_block(block: Any, sums: list[Any]) -> list[Any]:
        mine = v.at(inputs, block, v.number(n_chunks * CHUNK))
        new: list[Any] = []
        for start, scale_row, total in zip(starts, scale_rows, sums, strict=True):
            own = v.at(scale_row, block, v.number(n_chunks * n_scales))
            at = v.at(start, block, v.number(BLOCK_BYTES[kind]))
            for number, levels in enumerate(LEVELS[kind](v, at)):
                known = [v.load(mine, number * CHUNK + part, STEPS) for part in (0, STEP)]
                total = _added(v, levels, known, _scale(v, own, number, n_scales), total)
            new.append(total)
        return new

    zeros = [ir.Constant(FLOATS, None)] * n_outputs
    n_blocks = builder.udiv(size, v.number(n_chunks * CHUNK))
    for number, total in zip(outputs, v.loop(n_blocks, zeros, add_block), strict=True):
        v.store(total, v.at(totals.data, number, v.number(LANES)), 0)


def _write_unpacking(v: Vectors, arguments: list[Any], kind: int) -> None:
    blocks, output, levels, place = arguments
    builder, n_chunks = v.builder, BLOCK_CHUNKS[kind]
    size = builder.extract_value(levels.shape, 1)
    start = v.at(blocks.data, output, builder.extract_value(blocks.shape, 1))
    unpacked = v.at(levels.data, place, size)

    def unpack(block: Any, _: list[Any]) -> list[Any]:
        to = v.at(unpacked, block, v.number(n_chunks * CHUNK))
        at = v.at(start, block, v.number(BLOCK_BYTES[kind]))
        for number, (even, odd) in enumerate(LEVELS[kind](v, at)):
            v.store(even, to, number * CHUNK)
            v.store(odd, to, number * CHUNK + STEP)
        return []

    v.loop(builder.udiv(size, v.number(n_chunks * CHUNK)), [], unpack)


def _write_panel_tile(
    v: Vectors, arguments: list[Any], n_rows: int, n_outputs: int, n_scales: int
) -> None:
    steps, row, levels, first, scales, totals = arguments
    builder = v.builder
    size = builder.extract_value(steps.shape, 1)
    row_scales = builder.extract_value(scales.shape, 1)
    rows = [v.at(steps.data, builder.add(row, v.number(number)), size) for number in range(n_rows)]
    outputs = [builder.add(first, v.number(number)) for number in range(n_outputs)]
    weights = [v.at(levels.data, output, size) for output in outputs]
    scale_rows = [v.at(scales.data, output, row_scales) for output in outputs]

    def add_chunk(chunk: Any, sums: list[Any]) -> list[Any]:
        new, places = list(sums), [v.at(each, chunk, v.number(CHUNK)) for each in (*rows, *weights)]
        loaded = [
            cast("Chunk", tuple(v.load(place, part, STEPS) for part in (0, STEP)))
            for place in places
        ]
        own = [v.at(each, chunk, v.number(n_scales)) for each in scale_rows]
        factors = [_scale(v, each, 0, n_scales) for each in own]
        for number in range(n_rows):
            for output in range(n_outputs):
                at, known = number * n_outputs + output, loaded[number]
                mine = loaded[n_rows + output]
                new[at] = _added(v, mine, known, factors[output], new[at])
        return new

    zeros = [ir.Constant(FLOATS, None)] * (n_rows * n_outputs)
    n_chunks = builder.udiv(size, v.number(CHUNK))
    for number, total in enumerate(v.loop(n_chunks, zeros, add_chunk)):
        v.store(total, totals.data, number * LANES)


def _added(v: Vectors, levels: Chunk, inputs: Any, scale: Any, total: Any) -> Any:
    """The totals after a chunk."""
    even, odd = (v.multiply_add(*both) for both in zip(levels, inputs, strict=True))
    return v.fma(v.builder.sitofp(v.builder.add(even, odd), FLOATS), scale, total)


def _scale(v: Vectors, start: Any, chunk: int, n_scales: int) -> Any:
    """What the sums of a chunk are multiplied by."""
    spread = [v.load_spread(start, chunk * n_scales + number, LANES) for number in range(n_scales)]
    half = LANES // 2
    first, last = spread[0], spread[-1]
    if n_scales == 1:
        return first
    return v.pick(first, last, [*range(half), *range(LANES + half, 2 * LANES)])


def _write_finishing(v: Vectors, arguments: list[Any], has_offsets: bool) -> None:
    totals, place, factors, offsets, slot, sums, row, units, outputs, column = arguments
    builder = v.builder
    start = v.at(totals.data, place, v.number(LANES))
    total = builder.fmul(v.load(start, 0, FLOATS), v.load(factors.data, 0, FLOATS))
    if has_offsets:
        n_chunks = builder.extract_value(sums.shape, 1)
        beside, known = v.at(offsets.data, slot, n_chunks), v.at(sums.data, row, n_chunks)

        def add_eight(number: Any, totals: list[Any]) -> list[Any]:
            one, other = (
                v.load(v.at(each, number, v.number(LANES)), 0, FLOATS) for each in (beside, known)
            )
            return [v.fma(one, other, totals[0])]

        (total,) = v.loop(builder.udiv(n_chunks, v.number(LANES)), [total], add_eight)
    unit = builder.load(builder.gep(units.data, [row]))
    n_all = builder.extract_value(outputs.shape, 1)
    at = builder.gep(v.at(outputs.data, row, n_all), [column])
    builder.store(builder.fmul(v.sum(total), unit), at)
