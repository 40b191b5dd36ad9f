"""Generation of LLVM vector code that the compiler does not find by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

INT32, FLOAT = ir.IntType(32), ir.FloatType()
_FEATURES = binding.get_host_cpu_features()
HAS_MADD = bool(_FEATURES.get("avx2"))
"""Whether the CPU multiplies and adds pairs of 16-bit numbers in one instruction."""
HAS_HALF_FLOATS = bool(_FEATURES.get("f16c"))
"""Whether the CPU converts float16 in one instruction."""
HAS_BYTE_DOTS = all(map(_FEATURES.get, ("avx512vnni", "avx512vl", "avx512bw"))) or bool(
    _FEATURES.get("avxvnni")
)
"""Whether the CPU multiplies four pairs of bytes and adds them to a sum in one instruction."""
N_REGISTERS = 32 if _FEATURES.get("avx512vl") else 16
"""Number of vector registers."""

LANES = 8
"""Lanes of the sums in a product of 8-bit codes."""
STEP = 2 * LANES
"""Numbers that one multiply-add takes from each factor."""
SUMS = ir.VectorType(INT32, LANES)
STEPS, CODES = ir.VectorType(ir.IntType(16), STEP), ir.VectorType(ir.IntType(8), STEP)

Write = Callable[["Vectors", list[Any]], None]


def code_of(write: Write, *arguments: Any) -> tuple[Any, Callable[..., Any]]:
    """Return what a numba intrinsic must: the signature of a procedure, and its code generator.

    Args:
        write: writes the code; it receives arrays with ``data`` and ``shape``, and plain numbers.
        arguments: numba's types of the arguments.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        of_types = zip(signature.args, args, strict=True)
        write(
            Vectors(builder),
            [
                context.make_array(kind)(context, builder, value)
                if isinstance(kind, types.Array)
                else value
                for kind, value in of_types
            ],
        )
        return context.get_dummy_value()

    return types.void(*arguments), generate


class Vectors:
    """Writer of vector instructions at a builder's position."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.size = ir.IntType(64)

    def number(self, value: int) -> Any:
        """Return a constant size or index."""
        return self.size(value)

    def at(self, start: Any, index: Any, stride: Any) -> Any:
        """Return the address of item ``index``, where items take ``stride`` elements each."""
        return self.builder.gep(start, [self.builder.mul(index, stride)])

    def row(self, array: Any, number: Any) -> Any:
        """Return the address of a row of an array with two axes."""
        return self.at(array.data, number, self.builder.extract_value(array.shape, 1))

    def load(self, start: Any, offset: int, kind: Any) -> Any:
        """Load a vector ``offset`` elements after an address, at any alignment."""
        place = self.builder.gep(start, [self.number(offset)])
        loaded = self.builder.load(self.builder.bitcast(place, kind.as_pointer()))
        loaded.align = 1
        return loaded

    def store(self, vector: Any, start: Any, offset: int) -> None:
        """Store a vector ``offset`` elements after an address, at any alignment."""
        place = self.builder.gep(start, [self.number(offset)])
        pointer = self.builder.bitcast(place, vector.type.as_pointer())
        self.builder.store(vector, pointer, align=1)

    def load_spread(self, start: Any, offset: int, n_lanes: int) -> Any:
        """Load one number into all lanes."""
        return self.spread(
            self.builder.load(self.builder.gep(start, [self.number(offset)])), n_lanes
        )

    def spread(self, number: Any, n_lanes: int) -> Any:
        """Return a vector with one number in all lanes."""
        nothing = ir.Constant(ir.VectorType(number.type, n_lanes), ir.Undefined)
        first = self.builder.insert_element(nothing, number, INT32(0))
        return self.pick(first, first, [0] * n_lanes)

    def prefetch(self, start: Any) -> None:
        """Prefetch the cache line at an address."""
        kind = ir.FunctionType(ir.VoidType(), [start.type, INT32, INT32, INT32])
        name = "llvm.prefetch.p0"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        reads, is_kept, is_data = INT32(0), INT32(3), INT32(1)
        self.builder.call(function, [start, reads, is_kept, is_data])

    def pick(self, one: Any, other: Any, lanes: list[int]) -> Any:
        """Shuffle two vectors; lanes of the second are numbered after those of the first."""
        indices = ir.Constant(ir.VectorType(INT32, len(lanes)), lanes)
        return self.builder.shuffle_vector(one, other, indices)

    def fma(self, one: Any, other: Any, total: Any) -> Any:
        """Return ``one * other + total``, rounded once."""
        kind = total.type
        signature = ir.FunctionType(kind, [kind] * 3)
        name = f"llvm.fma.v{kind.count}f32"
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, [one, other, total])

    def multiply_add(self, one: Any, other: Any) -> Any:
        """Multiply 16 pairs of 16-bit numbers, and add neighbours into 8 numbers of 32 bits."""
        builder = self.builder
        half = ir.VectorType(INT32, one.type.count // 2)
        if HAS_MADD:
            kind = ir.FunctionType(half, [one.type, other.type])
            name = "llvm.x86.avx2.pmadd.wd"
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(function, [one, other])
        wide = ir.VectorType(INT32, one.type.count)
        products = builder.mul(builder.sext(one, wide), builder.sext(other, wide))
        even = self.pick(products, products, list(range(0, one.type.count, 2)))
        odd = self.pick(products, products, list(range(1, one.type.count, 2)))
        return builder.add(even, odd)

    def dot_bytes(self, unsigned: Any, signed: Any, total: Any) -> Any:
        """Multiply pairs of bytes, and add four neighbours each to a total of 32 bits.

        Args:
            unsigned: (4 · n,) numbers from 0 to 255.
            signed: (4 · n,) numbers from -128 to 127.
            total: (n,).
        """
        builder, n = self.builder, total.type.count
        if HAS_BYTE_DOTS:
            kind = ir.FunctionType(total.type, [total.type, unsigned.type, signed.type])
            name = f"llvm.x86.avx512.vpdpbusd.{32 * n}"
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(function, [total, unsigned, signed])
        wide = ir.VectorType(INT32, 4 * n)
        products = builder.mul(builder.zext(unsigned, wide), builder.sext(signed, wide))
        for place in range(4):
            own = self.pick(products, products, list(range(place, 4 * n, 4)))
            total = builder.add(total, own)
        return total

    def floats_of_halves(self, bits: Any) -> Any:
        """Convert the bits of float16 numbers to float32."""
        builder, n = self.builder, bits.type.count
        floats, words = ir.VectorType(FLOAT, n), ir.VectorType(INT32, n)
        if HAS_HALF_FLOATS:
            return builder.fpext(builder.bitcast(bits, ir.VectorType(ir.HalfType(), n)), floats)

        def every(number: int) -> Any:
            return ir.Constant(words, [number] * n)

        # The bits shifted to those of float32, with 112 added to exponents.
        wide = builder.zext(bits, words)
        sign = builder.shl(builder.and_(wide, every(1 << 15)), every(16))
        rest = builder.shl(builder.and_(wide, every((1 << 15) - 1)), every(13))
        unscaled = builder.bitcast(builder.or_(sign, rest), floats)
        return builder.fmul(unscaled, ir.Constant(floats, [2.0**112] * n))

    def smaller(self, one: Any, other: Any) -> Any:
        """Return the minimum in each lane, of unsigned numbers."""
        is_less = self.builder.icmp_unsigned("<", one, other)
        return self.builder.select(is_less, one, other)

    def less_or_zero(self, one: Any, other: Any) -> Any:
        """Return ``one - other`` in each lane, of unsigned numbers, or zero if that is negative."""
        larger = self.builder.select(self.builder.icmp_unsigned(">", one, other), one, other)
        return self.builder.sub(larger, other)

    def plus(self, one: Any, other: Any) -> Any:
        """Add two vectors of floats or of integers."""
        add = self.builder.fadd if one.type.element == FLOAT else self.builder.add
        return add(one, other)

    def sum(self, lanes: Any) -> Any:
        """Return the sum of all lanes, adding halves first."""
        n_left = lanes.type.count
        while n_left > 1:
            n_left //= 2
            low = self.pick(lanes, lanes, list(range(n_left)))
            high = self.pick(lanes, lanes, list(range(n_left, 2 * n_left)))
            lanes = self.plus(low, high)
        return self.builder.extract_element(lanes, INT32(0))

    def larger(self, one: Any, other: Any) -> Any:
        """Return the maximum in each lane, of signed numbers."""
        return self.builder.select(self.builder.icmp_signed(">", one, other), one, other)

    def largest(self, lanes: Any) -> Any:
        """Return the maximum of all lanes, of signed numbers."""
        n_left = lanes.type.count
        while n_left > 1:
            n_left //= 2
            low = self.pick(lanes, lanes, list(range(n_left)))
            lanes = self.larger(low, self.pick(lanes, lanes, list(range(n_left, 2 * n_left))))
        return self.builder.extract_element(lanes, INT32(0))

    def sums_of_four(self, vectors: list[Any]) -> Any:
        """Return the sums of four vectors as one vector (4,), each in the order of ``sum``."""
        while vectors[0].type.count > 4:
            half = vectors[0].type.count // 2
            low, high = list(range(half)), list(range(half, 2 * half))
            vectors = [self.plus(self.pick(x, x, low), self.pick(x, x, high)) for x in vectors]
        a, b, c, d = vectors
        low_ab, high_ab = self.pick(a, b, [0, 4, 1, 5]), self.pick(a, b, [2, 6, 3, 7])
        low_cd, high_cd = self.pick(c, d, [0, 4, 1, 5]), self.pick(c, d, [2, 6, 3, 7])
        ab, cd = self.plus(low_ab, high_ab), self.plus(low_cd, high_cd)
        first, second = self.pick(ab, cd, [0, 1, 4, 5]), self.pick(ab, cd, [2, 3, 6, 7])
        return self.plus(first, second)

    def loop(self, n_rounds: Any, starts: list[Any], body: Callable[[Any, list[Any]], list[Any]]):
        """Write a loop of at least one round; return its values after the last round.

        Args:
            n_rounds: number of rounds.
            starts: values before the first round.
            body: receives the round's number and the values, and returns new values.
        """
        builder, before = self.builder, self.builder.block
        rounds, after = builder.append_basic_block("rounds"), builder.append_basic_block("after")
        builder.branch(rounds)
        builder.position_at_end(rounds)
        number = builder.phi(self.size)
        values = [builder.phi(start.type) for start in starts]
        new = body(number, values)
        following = builder.add(number, self.number(1))
        for phi, start, value in zip(
            [number, *values], [self.number(0), *starts], [following, *new], strict=True
        ):
            phi.add_incoming(start, before)
            phi.add_incoming(value, builder.block)
        builder.cbranch(builder.icmp_unsigned("<", following, n_rounds), rounds, after)
        builder.position_at_end(after)
        return new
