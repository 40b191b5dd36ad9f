"""LLVM code for vectors: what a compiled loop does not come to by itself.

Numba's cache looks at the file of a kernel alone: where this file changes, or one of tiles, the
files of the kernels that use them have to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

INT32, FLOAT = ir.IntType(32), ir.FloatType()
_FEATURES = binding.get_host_cpu_features()
HAS_MADD = bool(_FEATURES.get("avx2"))
"""Whether the CPU multiplies and adds pairs of 16 bits in one instruction."""
HAS_HALF_FLOATS = bool(_FEATURES.get("f16c"))
"""Whether the CPU reads float16 in one instruction."""
N_REGISTERS = 32 if _FEATURES.get("avx512vl") else 16
"""Of vectors."""

LANES = 8
"""Sums that a product of 8-bit codes keeps side by side."""
STEP = 2 * LANES
"""Numbers that one multiply-add takes in."""
SUMS = ir.VectorType(INT32, LANES)
STEPS, CODES = ir.VectorType(ir.IntType(16), STEP), ir.VectorType(ir.IntType(8), STEP)

Write = Callable[["Vectors", list[Any]], None]


def code_of(write: Write, *arguments: Any) -> tuple[Any, Callable[..., Any]]:
    """What a numba intrinsic returns: a function of these types that returns nothing.

    Args:
        write: is given arrays with their ``data`` and ``shape``, and numbers as they are.
        arguments: numba's types.
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
    """Adds code where a builder stands."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.size = ir.IntType(64)

    def number(self, value: int) -> Any:
        """A size or index."""
        return self.size(value)

    def at(self, start: Any, index: Any, stride: Any) -> Any:
        """The address of the ``index``-th of things that take ``stride`` elements each."""
        return self.builder.gep(start, [self.builder.mul(index, stride)])

    def load(self, start: Any, offset: int, kind: Any) -> Any:
        """A vector that begins ``offset`` elements after an address, at any alignment."""
        place = self.builder.gep(start, [self.number(offset)])
        loaded = self.builder.load(self.builder.bitcast(place, kind.as_pointer()))
        loaded.align = 1
        return loaded

    def store(self, vector: Any, start: Any, offset: int) -> None:
        """Write a vector ``offset`` elements after an address, at any alignment."""
        place = self.builder.gep(start, [self.number(offset)])
        pointer = self.builder.bitcast(place, vector.type.as_pointer())
        self.builder.store(vector, pointer, align=1)

    def load_spread(self, start: Any, offset: int, n_lanes: int) -> Any:
        """One number in all lanes."""
        kind = ir.VectorType(FLOAT, n_lanes)
        one = self.builder.load(self.builder.gep(start, [self.number(offset)]))
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), one, INT32(0))
        return self.pick(first, first, [0] * n_lanes)

    def prefetch(self, start: Any) -> None:
        """Begin to load what is at an address."""
        kind = ir.FunctionType(ir.VoidType(), [start.type, INT32, INT32, INT32])
        name = "llvm.prefetch.p0"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        reads, is_kept, is_data = INT32(0), INT32(3), INT32(1)
        self.builder.call(function, [start, reads, is_kept, is_data])

    def pick(self, one: Any, other: Any, lanes: list[int]) -> Any:
        """Lanes of two vectors, those of the second counted on."""
        indices = ir.Constant(ir.VectorType(INT32, len(lanes)), lanes)
        return self.builder.shuffle_vector(one, other, indices)

    def fma(self, one: Any, other: Any, total: Any) -> Any:
        """``one * other + total``, rounded once."""
        kind = total.type
        signature = ir.FunctionType(kind, [kind] * 3)
        name = f"llvm.fma.v{kind.count}f32"
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, [one, other, total])

    def multiply_add(self, one: Any, other: Any) -> Any:
        """Sums of the products of neighbours: 16 numbers of 16 bits each into 8 of 32."""
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

    def smaller(self, one: Any, other: Any) -> Any:
        """The smaller of each two numbers, which have no sign."""
        is_less = self.builder.icmp_unsigned("<", one, other)
        return self.builder.select(is_less, one, other)

    def less_or_zero(self, one: Any, other: Any) -> Any:
        """``one - other``, numbers without sign, or zero where that is none."""
        larger = self.builder.select(self.builder.icmp_unsigned(">", one, other), one, other)
        return self.builder.sub(larger, other)

    def plus(self, one: Any, other: Any) -> Any:
        """Vectors of floats or of integers, added up."""
        add = self.builder.fadd if one.type.element == FLOAT else self.builder.add
        return add(one, other)

    def sum(self, lanes: Any) -> Any:
        """The sum of all lanes, halves first."""
        n_left = lanes.type.count
        while n_left > 1:
            n_left //= 2
            low = self.pick(lanes, lanes, list(range(n_left)))
            high = self.pick(lanes, lanes, list(range(n_left, 2 * n_left)))
            lanes = self.plus(low, high)
        return self.builder.extract_element(lanes, INT32(0))

    def sums_of_four(self, vectors: list[Any]) -> Any:
        """The sums of four vectors, each as ``sum`` adds it up: (4,)."""
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
        """Values after ``n_rounds`` rounds, at least one, of a body that makes new ones of them.

        Args:
            n_rounds: how many.
            starts: the values before.
            body: is given the number of the round and the values.
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
