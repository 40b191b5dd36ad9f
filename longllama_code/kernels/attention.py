"""Causal attention of a few tokens to the local context, and its softmax extended to memory.

``attend`` works in tiles of up to three queries of one key-value head. For each tile:

    1. ``score`` writes the scores of all tokens that any of its queries sees, three queries and
       four keys at a time.
    2. ``_softmax`` turns each query's visible scores into weights, and returns the logarithm of the
       sum of their exponentials, the total. Weights of invisible tokens are zero.
    3. ``_mix`` sums the values by their weights, 32 channels at a time.

Memory is added afterwards without reading the local context again: ``weigh_memory`` computes, from
the totals and the scores of memory, the weights of memory under a common softmax, and the share
that is left for the local context. ``add_memory`` scales the local sum by that share and adds
memory's.

Shapes: ``S`` tokens, ``H`` query heads, ``G`` key-value heads, ``R`` query heads for each of them,
``D`` head size.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.attention_tiles import make_mix_tile, make_score_tile
from longllama_code.kernels.codegen.compiling import kernel, loose_kernel
from longllama_code.kernels.layer import Floats, exponentials

TILE = 3
"""Queries of a tile; sums of three queries with four keys, or with four vectors of values, fit in
sixteen registers."""
KEYS = 4
"""Keys of a tile."""

LOWEST = np.finfo(np.float32).min

Bounds = NDArray[np.int64]
NO_BOUNDS, NO_MASSES = np.empty(0, np.int64), np.empty((0, 0, 0), np.float32)
"""Arguments of ``attend`` for weights that nobody wants the sums of."""

f32 = np.float32

_scores_3_4, _scores_3_1 = make_score_tile(3, KEYS, 8), make_score_tile(3, 1, 8)
_scores_1_4, _scores_1_1 = make_score_tile(1, KEYS, 8), make_score_tile(1, 1, 8)
_mix_3, _mix_1 = make_mix_tile(3, 4, 8), make_mix_tile(1, 4, 8)
_mix_3_last, _mix_1_last = make_mix_tile(3, 1, 8), make_mix_tile(1, 1, 8)
_narrow_scores, _narrow_mix = make_score_tile(1, 1, 4), make_mix_tile(1, 1, 4)


@kernel
def attend(
    queries: Floats,
    keys: Floats,
    values: Floats,
    n_before: int,
    mixed: Floats,
    totals: Floats,
    bounds: Bounds,
    masses: Floats,
) -> None:
    """Attend causally to the local context.

    Args:
        queries: (H, S, D), rotated.
        keys: (G, room, D), rotated; those of the pass begin at row ``n_before``.
        values: (G, room, D).
        n_before: number of tokens of the local context before the pass.
        mixed: weighted sums of values (S, H · D), written.
        totals: logarithms of the sums of exponentials of scores (S, H), written.
        bounds: first token of each segment whose weights are summed, then the end of the last one.
        masses: to which these sums are added (S, H, segments); without any, ``NO_MASSES``.
    """
    n_tiles = count_tiles(queries.shape[0], queries.shape[1], keys.shape[0])
    attend_tiles(queries, keys, values, n_before, 0, n_tiles, mixed, totals, bounds, masses)


@kernel
def count_tiles(n_heads: int, n_rows: int, n_groups: int) -> int:
    """Return the number of tiles of the queries of ``n_rows`` tokens, for ``attend_tiles``."""
    n_queries = n_heads // n_groups * n_rows
    return n_groups * (n_queries // TILE + n_queries % TILE)


@kernel
def attend_tiles(
    queries: Floats,
    keys: Floats,
    values: Floats,
    n_before: int,
    first: int,
    end: int,
    mixed: Floats,
    totals: Floats,
    bounds: Bounds,
    masses: Floats,
) -> None:
    """Run ``attend`` for the tiles from ``first`` up to ``end``, of ``count_tiles``."""
    n_heads, n_rows, size = queries.shape
    n_of_group = n_heads // keys.shape[0]
    n_queries = n_of_group * n_rows  # of a key-value head, ordered by query head
    n_full = n_queries // TILE
    weights = np.empty((TILE, n_before + n_rows), np.float32)
    sums = np.empty((TILE, size), np.float32)
    for number in range(first, end):
        group, tile = divmod(number, n_full + n_queries % TILE)
        n_of_tile = TILE if tile < n_full else 1
        query = TILE * tile if tile < n_full else TILE * n_full + tile - n_full
        head = group * n_of_group
        group_queries = queries[head : head + n_of_group].reshape(-1, size)
        places = query, n_of_tile, head
        _attend_tile(
            group_queries,
            places,
            keys[group],
            values[group],
            n_before,
            weights,
            sums,
            mixed,
            totals,
            bounds,
            masses,
        )


@kernel
def _attend_tile(
    group_queries: Floats,
    places: tuple[int, int, int],
    keys: Floats,
    values: Floats,
    n_before: int,
    weights: Floats,
    sums: Floats,
    mixed: Floats,
    totals: Floats,
    bounds: Bounds,
    masses: Floats,
) -> None:
    """Run one tile, of one query or three.

    Args:
        group_queries: queries of a key-value head, (R · S, D).
        places: first query, number of queries, and the first query head of the key-value head.
        keys: (room, D).
        values: (room, D).
        n_before: number of tokens before the pass.
        weights: buffer, (3, tokens).
        sums: buffer, (3, D).
        mixed: see ``attend``.
        totals: see ``attend``.
        bounds: see ``attend``.
        masses: see ``attend``.
    """
    first, n_of_tile, first_head = places
    n_rows, size = mixed.shape[0], group_queries.shape[1]
    n_tokens = 0  # visible to any of these queries
    for query in range(first, first + n_of_tile):
        n_tokens = max(n_tokens, n_before + query % n_rows + 1)
    score(group_queries, first, n_of_tile, keys, n_tokens, weights)
    scale = f32(1 / np.sqrt(size))
    for number in range(n_of_tile):
        head, row = first_head + (first + number) // n_rows, (first + number) % n_rows
        n_seen = n_before + row + 1
        totals[row, head] = _softmax(weights[number, :n_seen], scale)
        weights[number, n_seen:n_tokens] = 0
        if masses.shape[0]:
            _add_masses(weights[number, :n_seen], bounds, masses[row, head])
    _mix(weights, n_of_tile, values, n_tokens, sums)
    for number in range(n_of_tile):
        head, row = first_head + (first + number) // n_rows, (first + number) % n_rows
        mixed[row, head * size : (head + 1) * size] = sums[number]


@loose_kernel
def _add_masses(weights: Floats, bounds: Bounds, masses: Floats) -> None:
    """Add the sum of each segment's weights to its mass."""
    for segment in range(masses.shape[0]):
        end = min(bounds[segment + 1], weights.shape[0])
        total = f32(0)
        for token in range(bounds[segment], end):
            total += weights[token]
        masses[segment] += total


@loose_kernel
def weigh_memory(scores: Floats, local: Floats, weights: Floats, local_share: Floats) -> None:
    """Compute one softmax over keys of memory and a local context that is summed already.

    Args:
        scores: scores of memory's keys (G, R, S, k); missing keys have the lowest finite score.
        local: totals of the local scores (G, R, S), see ``attend``.
        weights: weights of memory's keys (G, R, S, k), written.
        local_share: share of the local sum (G, R, S), written.
    """
    for group in range(scores.shape[0]):
        for head in range(scores.shape[1]):
            for token in range(scores.shape[2]):
                mine, of_keys = scores[group, head, token], weights[group, head, token]
                here = local[group, head, token]
                highest = here
                for place in range(mine.shape[0]):
                    highest = max(highest, mine[place])
                of_keys[:] = mine
                total = exponentials(of_keys, highest) + np.exp(here - highest)
                for place in range(mine.shape[0]):
                    is_there = mine[place] > LOWEST
                    of_keys[place] = of_keys[place] / total if is_there else f32(0)
                local_share[group, head, token] = np.exp(here - highest) / total


@loose_kernel
def add_memory(mixed: Floats, heads: Floats, local_share: Floats, from_memory: Floats) -> None:
    """Scale the local sums of memory heads, and add the sums of memory.

    Args:
        mixed: sums of all heads (S, H · D), changed for query heads with memory.
        heads: indices of the key-value heads with memory, int (G,).
        local_share: share of the local sum (G, R, S).
        from_memory: sums of memory (G, R, S, D).
    """
    n_groups, n_heads, n_tokens, size = from_memory.shape
    for number in range(n_groups):
        for head in range(n_heads):
            start = (heads[number] * n_heads + head) * size
            for token in range(n_tokens):
                for i in range(size):
                    local = mixed[token, start + i] * local_share[number, head, token]
                    mixed[token, start + i] = local + from_memory[number, head, token, i]


@loose_kernel
def _softmax(scores: Floats, scale: np.float32) -> np.float32:
    """Replace scores by their softmax; return the logarithm of the sum of their exponentials."""
    highest = f32(-np.inf)
    for token in range(scores.shape[0]):
        scores[token] *= scale
        highest = max(highest, scores[token])
    total = exponentials(scores, highest)
    share = f32(1) / total
    for token in range(scores.shape[0]):
        scores[token] *= share
    return highest + np.log(total)


@kernel
def score(
    queries: Floats, first: int, n_of_tile: int, keys: Floats, n_tokens: int, scores: Floats
) -> None:
    """Multiply one query or three with keys.

    Args:
        queries: (Q, D).
        first: index of the first query.
        n_of_tile: number of queries, 1 or 3.
        keys: (M, D).
        n_tokens: number of keys, of M.
        scores: (3, M) or (1, M), written.
    """
    token = 0
    if queries.shape[1] % 8:
        for number in range(n_of_tile):
            for token in range(n_tokens):
                _narrow_scores(queries, first + number, keys, token, scores[number:])
        return
    while token + KEYS <= n_tokens:
        if n_of_tile == TILE:
            _scores_3_4(queries, first, keys, token, scores)
        else:
            _scores_1_4(queries, first, keys, token, scores)
        token += KEYS
    while token < n_tokens:
        if n_of_tile == TILE:
            _scores_3_1(queries, first, keys, token, scores)
        else:
            _scores_1_1(queries, first, keys, token, scores)
        token += 1


@kernel
def _mix(weights: Floats, n_of_tile: int, values: Floats, n_tokens: int, mixed: Floats) -> None:
    size, first = values.shape[1], 0
    while first + 32 <= size:
        if n_of_tile == TILE:
            _mix_3(weights, values, n_tokens, first, mixed)
        else:
            _mix_1(weights, values, n_tokens, first, mixed)
        first += 32
    while first + 8 <= size:
        if n_of_tile == TILE:
            _mix_3_last(weights, values, n_tokens, first, mixed)
        else:
            _mix_1_last(weights, values, n_tokens, first, mixed)
        first += 8
    if first < size:
        for number in range(n_of_tile):
            _narrow_mix(weights[number:], values, n_tokens, first, mixed[number:])
