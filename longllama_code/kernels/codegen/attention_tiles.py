"""Tiles of attention: scores of a few queries and keys, and weighted sums of values.

A result depends neither on the other queries of its tile nor on a token's position in the tile:
each lane of a vector is summed by itself, and lanes are added in a fixed order.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.codegen.vectors import FLOAT, Vectors, code_of

LANES = 4
"""Divisor of the sizes of heads."""


def make_score_tile(n_queries: int, n_keys: int, n_lanes: int) -> Callable[..., None]:
    """Return a function for kernels that multiplies queries and keys.

    ``tile(queries, first, keys, token, scores)`` writes ``scores`` (n_queries, M), from column
    ``token`` on, for ``queries`` (Q, D) from row ``first`` on and ``keys`` (M, D).

    Args:
        n_queries: queries of a tile.
        n_keys: keys of a tile.
        n_lanes: lanes of a vector, a divisor of D.
    """

    @intrinsic
    def tile(_: Any, queries: Any, first: Any, keys: Any, token: Any, scores: Any) -> Any:
        write = partial(_write_scores, shape=(n_queries, n_keys), n_lanes=n_lanes)
        return code_of(write, queries, first, keys, token, scores)

    return cast("Callable[..., None]", tile)


def make_mix_tile(n_queries: int, n_parts: int, n_lanes: int) -> Callable[..., None]:
    """Return a function for kernels that sums values by weights.

    ``tile(weights, values, n_tokens, first, mixed)`` writes ``n_parts · n_lanes`` columns of
    ``mixed`` (n_queries, D), from column ``first`` on, from ``weights`` (n_queries, M) and
    ``values`` (M, D) of the first ``n_tokens`` tokens, at least one.

    Args:
        n_queries: queries of a tile.
        n_parts: vectors of each query.
        n_lanes: lanes of a vector.
    """

    @intrinsic
    def tile(_: Any, weights: Any, values: Any, n_tokens: Any, first: Any, mixed: Any) -> Any:
        write = partial(_write_mix, shape=(n_queries, n_parts), n_lanes=n_lanes)
        return code_of(write, weights, values, n_tokens, first, mixed)

    return cast("Callable[..., None]", tile)


def _write_scores(v: Vectors, arguments: list[Any], shape: tuple[int, int], n_lanes: int) -> None:
    queries, first, keys, token, scores = arguments
    builder, kind = v.builder, ir.VectorType(FLOAT, n_lanes)
    size = builder.extract_value(queries.shape, 1)
    n_queries, n_keys = shape
    query_starts = [
        v.at(queries.data, builder.add(first, v.number(number)), size)
        for number in range(n_queries)
    ]
    key_starts = [
        v.at(keys.data, builder.add(token, v.number(number)), size) for number in range(n_keys)
    ]

    def add_lanes(step: Any, totals: list[Any]) -> list[Any]:
        at = builder.mul(step, v.number(n_lanes))
        mine = [v.load(builder.gep(start, [at]), 0, kind) for start in key_starts]
        new: list[Any] = []
        for number, start in enumerate(query_starts):
            query = v.load(builder.gep(start, [at]), 0, kind)
            of_query = totals[number * n_keys : (number + 1) * n_keys]
            new += [v.fma(query, key, total) for key, total in zip(mine, of_query, strict=True)]
        return new

    zeros = [ir.Constant(kind, None)] * (n_queries * n_keys)
    totals = v.loop(builder.udiv(size, v.number(n_lanes)), zeros, add_lanes)
    n_columns = builder.extract_value(scores.shape, 1)
    for number in range(n_queries):
        start = builder.gep(v.at(scores.data, v.number(number), n_columns), [token])
        of_query = totals[number * n_keys : (number + 1) * n_keys]
        if n_keys == 1:
            builder.store(v.sum(of_query[0]), start)
        else:
            v.store(v.sums_of_four(of_query), start, 0)


def _write_mix(v: Vectors, arguments: list[Any], shape: tuple[int, int], n_lanes: int) -> None:
    weights, values, n_tokens, first, mixed = arguments
    builder, kind = v.builder, ir.VectorType(FLOAT, n_lanes)
    n_queries, n_parts = shape
    n_columns = builder.extract_value(weights.shape, 1)
    size = builder.extract_value(values.shape, 1)
    starts = [v.at(weights.data, v.number(number), n_columns) for number in range(n_queries)]

    def add_token(token: Any, totals: list[Any]) -> list[Any]:
        value = builder.gep(v.at(values.data, token, size), [first])
        parts = [v.load(value, part * n_lanes, kind) for part in range(n_parts)]
        new: list[Any] = []
        for number, start in enumerate(starts):
            weight = v.load_spread(builder.gep(start, [token]), 0, n_lanes)
            of_query = totals[number * n_parts : (number + 1) * n_parts]
            new += [v.fma(weight, part, total) for part, total in zip(parts, of_query, strict=True)]
        return new

    zeros = [ir.Constant(kind, None)] * (n_queries * n_parts)
    totals = v.loop(n_tokens, zeros, add_token)
    for place, total in enumerate(totals):
        start = v.at(mixed.data, v.number(place // n_parts), size)
        v.store(total, builder.gep(start, [first]), place % n_parts * n_lanes)
