"""Tile of the search: products of a few queries and the 8-bit keys of a few records."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.codegen.vectors import CODES, STEP, STEPS, SUMS, Vectors, code_of


def make_code_tile(n_queries: int, n_keys: int) -> Callable[..., None]:
    """Return a function for kernels that multiplies queries with one key or four, in integers.

    ``tile(steps, first, content, places, number, key, sums)`` writes ``sums``, int32 (Q, M), in
    columns from ``number`` on and rows from ``first`` on.

    * steps: rounded queries, int16 (Q, D).
    * content: records, int8 (N, bytes), whose keys begin at byte ``key``.
    * places: indices of the records, int32 (M,).

    Args:
        n_queries: queries of a tile.
        n_keys: 1 or 4.
    """

    @intrinsic
    def tile(  # numba wants arguments spelt out
        _: Any, steps: Any, first: Any, content: Any, places: Any, number: Any, key: Any, sums: Any
    ) -> Any:
        write = partial(_write, n_queries=n_queries, n_keys=n_keys)
        return code_of(write, steps, first, content, places, number, key, sums)

    return cast("Callable[..., None]", tile)


def make_loading(n_keys: int) -> Callable[..., None]:
    """Return a function for kernels that prefetches the keys of a few records.

    ``load(content, places, number, key)`` prefetches ``n_keys`` of ``places`` from ``number`` on;
    see ``make_code_tile``.
    """

    @intrinsic
    def load(_: Any, content: Any, places: Any, number: Any, key: Any) -> Any:
        return code_of(partial(_write_loading, n_keys=n_keys), content, places, number, key)

    return cast("Callable[..., None]", load)


def _write(v: Vectors, arguments: list[Any], n_queries: int, n_keys: int) -> None:
    steps, first, content, places, number, key, sums = arguments
    builder = v.builder
    size = builder.extract_value(steps.shape, 1)
    queries = [
        v.at(steps.data, builder.add(first, v.number(query)), size) for query in range(n_queries)
    ]
    keys = _keys(v, content, places, number, key, n_keys)

    def add_step(step: Any, totals: list[Any]) -> list[Any]:
        at = builder.mul(step, v.number(STEP))
        loaded = [v.load(builder.gep(start, [at]), 0, CODES) for start in keys]
        codes = [builder.sext(part, STEPS) for part in loaded]
        new: list[Any] = []
        for query, start in enumerate(queries):
            mine = v.load(builder.gep(start, [at]), 0, STEPS)
            of_query = totals[query * n_keys : (query + 1) * n_keys]
            new += [
                builder.add(total, v.multiply_add(code, mine))
                for code, total in zip(codes, of_query, strict=True)
            ]
        return new

    zeros = [ir.Constant(SUMS, None)] * (n_queries * n_keys)
    totals = v.loop(builder.udiv(size, v.number(STEP)), zeros, add_step)
    n_columns = builder.extract_value(sums.shape, 1)
    for query in range(n_queries):
        row = v.at(sums.data, builder.add(first, v.number(query)), n_columns)
        of_query = totals[query * n_keys : (query + 1) * n_keys]
        if n_keys == 1:
            builder.store(v.sum(of_query[0]), builder.gep(row, [number]))
        else:
            v.store(v.sums_of_four(of_query), builder.gep(row, [number]), 0)


def _write_loading(v: Vectors, arguments: list[Any], n_keys: int) -> None:
    for key in _keys(v, *arguments, n_keys=n_keys):
        v.prefetch(key)


def _keys(v: Vectors, content: Any, places: Any, number: Any, key: Any, n_keys: int) -> list[Any]:
    """Return the addresses of the keys of a few records."""
    builder = v.builder
    record_bytes = builder.extract_value(content.strides, 0)
    found: list[Any] = []
    for offset in range(n_keys):
        place = builder.load(builder.gep(places.data, [builder.add(number, v.number(offset))]))
        record = v.at(content.data, builder.sext(place, v.size), record_bytes)
        found.append(builder.gep(record, [key]))
    return found
