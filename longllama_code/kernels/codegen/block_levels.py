"""What is in the blocks of a GGUF file, as a product takes it: levels, scales, offsets.

A weight is a level times the scale of its chunk, and the offset of its chunk, where there is one.

Weights lie in chunks of 32. A chunk becomes two vectors of sixteen levels: of the weights at even
places, and of those at odd ones, which are the low and high bytes of 16-bit words. So no bytes have
to be spread out. The first half of each vector is of the chunk's first sixteen weights.

A level may be a weight's level times a power of two, where that saves a shift. What it is times is
taken back from the sums, which changes no bit of them: ``FACTORS``, or the scales of the chunk.

The blocks: ``ggml-common.h`` and ``ggml-quants.c`` of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from longllama_code.kernels.codegen.block_scales import eight_scales, sixteen_scales, spread_half
from longllama_code.kernels.codegen.vectors import CODES, INT32, LANES, STEP, STEPS, Vectors

CHUNK = 2 * STEP
"""Weights whose products are added up as integers."""
Chunk = tuple[Any, Any]
"""Levels of the weights at even places, and at odd ones."""


@dataclass(frozen=True)
class Block:
    """What a block's code gives."""

    chunks: Sequence[Chunk]
    scales: Sequence[Any]
    """Of each chunk, eight floats: those of the first four are of its first sixteen weights."""
    offsets: Any = None
    """A vector, of each chunk one; or one in all lanes, of the only chunk."""


Reading = Callable[[Vectors, Any], Block]
"""Writes code that takes what is in a block at an address."""

_BYTES = ir.VectorType(ir.IntType(8), CHUNK)
_WORDS = ir.VectorType(INT32, LANES)
Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K = range(8)
"""Kinds of blocks, as kernels are told."""
KINDS = {
    "Q4_0": Q4_0,
    "Q4_1": Q4_1,
    "Q5_0": Q5_0,
    "Q5_1": Q5_1,
    "Q8_0": Q8_0,
    "Q4_K": Q4_K,
    "Q5_K": Q5_K,
    "Q6_K": Q6_K,
}
"""By their names in GGUF."""


def _halves(low: int, high: int) -> Any:
    """One number for the levels of a chunk's first sixteen weights, another for the rest."""
    return ir.Constant(STEPS, [low] * LANES + [high] * LANES)


def _words(v: Vectors, start: Any, offset: int) -> Any:
    """32 bytes as they come: those at even places are the low halves of words."""
    return v.builder.bitcast(v.load(start, offset, _BYTES), STEPS)


def _twice(v: Vectors, start: Any, offset: int) -> Any:
    """16 bytes, whose low and high halves are of the first and the last weights of a chunk."""
    both = v.load(start, offset, CODES)
    return v.builder.bitcast(v.pick(both, both, [*range(STEP)] * 2), STEPS)


def _even_and_odd(v: Vectors, words: Any, low: int, high: int) -> Chunk:
    """What is under masks in the low bytes of words, and in their high bytes."""
    mask, eight = _halves(low, high), _halves(8, 8)
    return v.builder.and_(words, mask), v.builder.and_(v.builder.lshr(words, eight), mask)


def _less(v: Vectors, chunk: Chunk, low: int, high: int) -> Chunk:
    """Levels that count from zero, less the one that stands for zero."""
    even, odd = chunk
    zero = _halves(low, high)
    return v.builder.sub(even, zero), v.builder.sub(odd, zero)


def _fifth_bits(v: Vectors, start: Any, offset: int) -> Any:
    """Four bytes of a chunk's fifth bits, those of a word in its high byte."""
    place = v.builder.gep(start, [v.number(offset)])
    bits = v.builder.load(v.builder.bitcast(place, INT32.as_pointer()))
    bits.align = 1
    one = v.builder.insert_element(ir.Constant(_WORDS, ir.Undefined), bits, INT32(0))
    four = v.builder.bitcast(v.pick(one, one, [0] * LANES), _BYTES)
    # In each half of 128 bits, as an instruction has it: words 0-3 are of the half's first byte.
    lanes = [half * STEP + 2 * half + word // 4 for half in (0, 1) for word in range(LANES)]
    return v.builder.bitcast(v.pick(four, four, [lane for lane in lanes for _ in (0, 1)]), STEPS)


def _bit_masks() -> tuple[Any, Any]:
    """Where the bits of even and odd weights are in the words that ``_fifth_bits`` gives."""
    places = [8 + 2 * (word % 4) for word in range(LANES)] * 2
    even, odd = ([_signed(1 << place + odd) for place in places] for odd in (0, 1))
    return ir.Constant(STEPS, even), ir.Constant(STEPS, odd)


def _signed(bits: int) -> int:
    return bits - (1 << 16) if bits >> 15 else bits


def _q4_0(v: Vectors, start: Any) -> Block:
    nibbles = _even_and_odd(v, _twice(v, start, 2), 0x0F, 0xF0)
    return Block([_less(v, nibbles, 8, 8 << 4)], [spread_half(v, start, 0)])


def _q4_1(v: Vectors, start: Any) -> Block:
    nibbles = _even_and_odd(v, _twice(v, start, 4), 0x0F, 0xF0)
    return Block([nibbles], [spread_half(v, start, 0)], spread_half(v, start, 2))


def _q5_0(v: Vectors, start: Any) -> Block:
    even, odd = _even_and_odd(v, _twice(v, start, 6), 0x0F, 0xF0)
    bits, masks = _fifth_bits(v, start, 2), _bit_masks()
    # A level without its fifth bit is 16 less: 16 - (0 or much, at least 256), but no less than 0.
    sixteen = _halves(16, 16 << 4)
    lacking = [v.less_or_zero(sixteen, v.builder.and_(bits, mask)) for mask in masks]
    levels = v.builder.sub(even, lacking[0]), v.builder.sub(odd, lacking[1])
    return Block([levels], [spread_half(v, start, 0)])


def _q5_1(v: Vectors, start: Any) -> Block:
    even, odd = _even_and_odd(v, _twice(v, start, 8), 0x0F, 0xF0)
    bits, masks = _fifth_bits(v, start, 4), _bit_masks()
    sixteen = _halves(16, 16 << 4)
    fifth = [v.smaller(sixteen, v.builder.and_(bits, mask)) for mask in masks]
    levels = v.builder.or_(even, fifth[0]), v.builder.or_(odd, fifth[1])
    return Block([levels], [spread_half(v, start, 0)], spread_half(v, start, 2))


def _q8_0(v: Vectors, start: Any) -> Block:
    words = _words(v, start, 2)
    even = v.builder.shl(words, _halves(8, 8))
    odd = v.builder.and_(words, _halves(-256, -256))
    return Block([(even, odd)], [spread_half(v, start, 0)])


def _q4_k(v: Vectors, start: Any) -> Block:
    chunks: list[Chunk] = []
    for offset in range(16, 144, CHUNK):
        words = _words(v, start, offset)
        chunks += [_even_and_odd(v, words, mask, mask) for mask in (0x0F, 0xF0)]
    return Block(chunks, *eight_scales(v, start))


def _q5_k(v: Vectors, start: Any) -> Block:
    chunks: list[Chunk] = []
    fifths = _words(v, start, 16)
    for number, offset in enumerate(range(48, 176, CHUNK)):
        words = _words(v, start, offset)
        for high, mask in ((0, 0x0F), (1, 0xF0)):
            nibbles = _even_and_odd(v, words, mask, mask)
            bits = _moved_bits(v, fifths, 1, 2 * number + high, 4 + 4 * high)
            even, odd = (v.builder.or_(*both) for both in zip(nibbles, bits, strict=True))
            chunks.append((even, odd))
    return Block(chunks, *eight_scales(v, start))


def _q6_k(v: Vectors, start: Any) -> Block:
    chunks: list[Chunk] = []
    for half in (0, 1):
        tops = _words(v, start, 128 + half * CHUNK)
        lows = [_words(v, start, 64 * half + offset) for offset in (0, CHUNK)]
        for number in range(4):
            high = number // 2
            mask = 0xF0 if high else 0x0F
            nibbles = _even_and_odd(v, lows[number % 2], mask, mask)
            bits = _moved_bits(v, tops, 2, 2 * number, 4 + 4 * high)
            even, odd = (v.builder.or_(*both) for both in zip(nibbles, bits, strict=True))
            zero = 32 << 4 * high
            chunks.append(_less(v, (even, odd), zero, zero))
    return Block(chunks, sixteen_scales(v, start))


def _moved_bits(v: Vectors, words: Any, n_bits: int, place: int, to: int) -> Chunk:
    """Bits of each byte, from a place on, moved to another: of even bytes, and of odd ones."""
    mask = ((1 << n_bits) - 1) << to
    moved: list[Any] = []
    for here in (place, place + 8):
        shift, builder = to - here, v.builder
        by = _halves(abs(shift), abs(shift))
        aligned = builder.shl(words, by) if shift > 0 else builder.lshr(words, by)
        moved.append(builder.and_(aligned if shift else words, _halves(mask, mask)))
    return moved[0], moved[1]


READINGS: list[Reading] = [_q4_0, _q4_1, _q5_0, _q5_1, _q8_0, _q4_k, _q5_k, _q6_k]
"""By kind."""
_PLAIN, _HALF = (1.0,) * LANES, (1.0,) * (LANES // 2) + (1 / 16,) * (LANES // 2)
FACTORS: list[tuple[float, ...]] = [
    _HALF, _HALF, _HALF, _HALF, (1 / 256,) * LANES, _PLAIN, _PLAIN, _PLAIN,
]  # fmt: skip
"""What sums, side by side, are multiplied by."""
BLOCK_BYTES = [18, 20, 22, 24, 34, 144, 176, 210]
BLOCK_CHUNKS = [1, 1, 1, 1, 1, 8, 8, 8]
CHUNK_SCALES = [1, 1, 1, 1, 1, 1, 1, 2]
"""Scales of a chunk: of all its weights, or of the first sixteen and of the others."""
WITH_OFFSETS = (Q4_1, Q5_1, Q4_K, Q5_K)
"""Kinds whose chunks have offsets."""
