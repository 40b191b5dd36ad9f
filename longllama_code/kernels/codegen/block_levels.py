"""Decoding of the blocks of a GGUF file into levels, scales and offsets.

A weight is a level times the scale of its chunk, plus the chunk's offset if the kind has offsets.

A chunk has 32 weights. It becomes two vectors of sixteen levels: those of the weights at even
indices, and those at odd ones, which are the low and high bytes of 16-bit words. So bytes need not
be widened by shuffles. The first half of each vector has levels of the chunk's first sixteen
weights.

A level may be multiplied by a power of two if that saves a shift. ``FACTORS``, or the scales of the
chunk, divide the sums by it afterwards, which is exact.

Source of the formats: ``ggml-common.h`` and ``ggml-quants.c`` of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from longllama_code.kernels.codegen.block_scales import eight_scales, sixteen_scales, spread_half
from longllama_code.kernels.codegen.vectors import CODES, INT32, LANES, STEP, STEPS, Vectors

CHUNK = 2 * STEP
"""Weights whose products are summed as integers."""
Chunk = tuple[Any, Any]
"""Levels of the weights at even indices, and at odd ones."""


@dataclass(frozen=True)
class Block:
    """Decoded block: LLVM values of its chunks."""

    chunks: Sequence[Chunk]
    scales: Sequence[Any]
    """Eight floats for each chunk; the first four are for its first sixteen weights."""
    offsets: Any = None
    """Vector with an offset for each chunk, or with that of the only chunk in all lanes."""


Reading = Callable[[Vectors, Any], Block]
"""Writes the code that decodes the block at an address."""

_BYTES = ir.VectorType(ir.IntType(8), CHUNK)
_WORDS = ir.VectorType(INT32, LANES)
Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K = range(8)
"""Kinds of blocks, as numbers for kernels."""
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
"""Kinds by their names in GGUF."""


def _halves(low: int, high: int) -> Any:
    """Return one number for the lanes of a chunk's first sixteen weights, another for the rest."""
    return ir.Constant(STEPS, [low] * LANES + [high] * LANES)


def _words(v: Vectors, start: Any, offset: int) -> Any:
    """Load 32 bytes as words; bytes at even indices are the low halves."""
    return v.builder.bitcast(v.load(start, offset, _BYTES), STEPS)


def _twice(v: Vectors, start: Any, offset: int) -> Any:
    """Load 16 bytes twice: low halves are for a chunk's first weights, high ones for its last."""
    both = v.load(start, offset, CODES)
    return v.builder.bitcast(v.pick(both, both, [*range(STEP)] * 2), STEPS)


def _even_and_odd(v: Vectors, words: Any, low: int, high: int) -> Chunk:
    """Return the masked low bytes of words, and the masked high bytes."""
    mask, eight = _halves(low, high), _halves(8, 8)
    return v.builder.and_(words, mask), v.builder.and_(v.builder.lshr(words, eight), mask)


def _less(v: Vectors, chunk: Chunk, low: int, high: int) -> Chunk:
    """Subtract the code that stands for zero from unsigned codes."""
    even, odd = chunk
    zero = _halves(low, high)
    return v.builder.sub(even, zero), v.builder.sub(odd, zero)


def _fifth_bits(v: Vectors, start: Any, offset: int) -> Any:
    """Load a chunk's 32 fifth bits; the bits of a word's two weights are in its high byte."""
    place = v.builder.gep(start, [v.number(offset)])
    bits = v.builder.load(v.builder.bitcast(place, INT32.as_pointer()))
    bits.align = 1
    one = v.builder.insert_element(ir.Constant(_WORDS, ir.Undefined), bits, INT32(0))
    four = v.builder.bitcast(v.pick(one, one, [0] * LANES), _BYTES)
    # Shuffles work within halves of 128 bits: words 0-3 of a half take the half's first byte.
    lanes = [half * STEP + 2 * half + word // 4 for half in (0, 1) for word in range(LANES)]
    return v.builder.bitcast(v.pick(four, four, [lane for lane in lanes for _ in (0, 1)]), STEPS)


def _bit_masks() -> tuple[Any, Any]:
    """Return masks of the bits of even and odd weights in the words of ``_fifth_bits``."""
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
    # A level without its fifth bit is 16 less. The masked bit is 0 or at least 256, so the
    # saturating difference of 16 and it is 16 or 0.
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
    """Move bits of each byte from one position to another; return even bytes, and odd ones."""
    mask = ((1 << n_bits) - 1) << to
    moved: list[Any] = []
    for here in (place, place + 8):
        shift, builder = to - here, v.builder
        by = _halves(abs(shift), abs(shift))
        aligned = builder.shl(words, by) if shift > 0 else builder.lshr(words, by)
        moved.append(builder.and_(aligned if shift else words, _halves(mask, mask)))
    return moved[0], moved[1]


READINGS: list[Reading] = [_q4_0, _q4_1, _q5_0, _q5_1, _q8_0, _q4_k, _q5_k, _q6_k]
"""Decoders by kind."""
_PLAIN, _HALF = (1.0,) * LANES, (1.0,) * (LANES // 2) + (1 / 16,) * (LANES // 2)
FACTORS: list[tuple[float, ...]] = [
    _HALF, _HALF, _HALF, _HALF, (1 / 256,) * LANES, _PLAIN, _PLAIN, _PLAIN,
]  # fmt: skip
"""Factors of the sums' lanes, by kind."""
BLOCK_BYTES = [18, 20, 22, 24, 34, 144, 176, 210]
BLOCK_CHUNKS = [1, 1, 1, 1, 1, 8, 8, 8]
CHUNK_SCALES = [1, 1, 1, 1, 1, 1, 1, 2]
"""Number of scales of a chunk, by kind: one for all weights, or two for sixteen each."""
WITH_OFFSETS = (Q4_1, Q5_1, Q4_K, Q5_K)
"""Kinds with offsets."""
