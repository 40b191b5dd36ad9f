"""Causal attention of a few tokens to the local context.

Shapes: ``S`` tokens, ``H`` query heads, ``G`` key-value heads, ``D`` head size.
"""

import numpy as np

from longllama_code.kernels.codegen.attention_tiles import make_mix_tile, make_score_tile
from longllama_code.kernels.codegen.compiling import kernel, loose_kernel
from longllama_code.kernels.layer import Floats, exponentials

TILE = 3
"""Queries of a tile: with four keys each, or four vectors of values, their sums fit into sixteen
registers."""
KEYS = 4

LOWEST = np.finfo(np.float32).min

f32 = np.float32

_scores_3_4, _scores_3_1 = make_score_tile(3, KEYS, 8), make_score_tile(3, 1, 8)
_scores_1_4, _scores_1_1 = make_score_tile(1, KEYS, 8), make_score_tile(1, 1, 8)
_mix_3, _mix_1 = make_mix_tile(3, 4, 8), make_mix_tile(1, 4, 8)
_mix_3_last, _mix_1_last = make_mix_tile(3, 1, 8), make_mix_tile(1, 1, 8)
_narrow_scores, _narrow_mix = make_score_tile(1, 1, 4), make_mix_tile(1, 1, 4)


@kernel
def attend(
    queries: Floats, keys: Floats, values: Floats, n_before: int, mixed: Floats, totals: Floats
) -> None:
    """Causal attention to the local context.

    Args:
        queries: (H, S, D), rotated.
        keys: (G, room, D), rotated; the pass's own are in it from row ``n_before`` on.
        values: (G, room, D).
        n_before: tokens of the local context before the pass.
        mixed: (S, H · D), written.
        totals: (S, H), written: logarithms of the sums of exponentials of scores.
    """
    n_tiles = count_tiles(queries.shape[0], queries.shape[1], keys.shape[0])
    attend_tiles(queries, keys, values, n_before, 0, n_tiles, mixed, totals)


@kernel
def count_tiles(n_heads: int, n_rows: int, n_groups: int) -> int:
    """Tiles of the queries of so many tokens, for ``attend_tiles``."""
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
) -> None:
    """``attend``, for the tiles of queries from ``first`` up to ``end``, of ``count_tiles``."""
    n_heads, n_rows, size = queries.shape
    n_of_group = n_heads // keys.shape[0]
    n_queries = n_of_group * n_rows  # of a key-value head, those of a head together
    n_full = n_queries // TILE
    weights = np.empty((TILE, n_before + n_rows), np.float32)
    sums = np.empty((TILE, size), np.float32)
    for number in range(first, end):
        group, tile = divmod(number, n_full + n_queries % TILE)
        n_asking = TILE if tile < n_full else 1
        query = TILE * tile if tile < n_full else TILE * n_full + tile - n_full
        head = group * n_of_group
        asking = queries[head : head + n_of_group].reshape(-1, size)
        places = query, n_asking, head
        _attend_tile(
            asking, places, keys[group], values[group], n_before, weights, sums, mixed, totals
        )


@kernel
def _attend_tile(
    asking: Floats,
    places: tuple[int, int, int],
    keys: Floats,
    values: Floats,
    n_before: int,
    weights: Floats,
    sums: Floats,
    mixed: Floats,
    totals: Floats,
) -> None:
    """Attention of one query or three.

    Args:
        asking: (R · S, D), of a key-value head.
        places: the first query, how many, and the first head.
        keys: (room, D).
        values: (room, D).
        n_before: tokens before the pass.
        weights: (3, tokens), room.
        sums: (3, D), room.
        mixed: as for ``attend``.
        totals: likewise.
    """
    first, n_asking, first_head = places
    n_rows, size = mixed.shape[0], asking.shape[1]
    n_tokens = 0  # that any of these queries sees
    for query in range(first, first + n_asking):
        n_tokens = max(n_tokens, n_before + query % n_rows + 1)
    score(asking, first, n_asking, keys, n_tokens, weights)
    scale = f32(1 / np.sqrt(size))
    for number in range(n_asking):
        head, row = first_head + (first + number) // n_rows, (first + number) % n_rows
        n_seen = n_before + row + 1
        totals[row, head] = _weigh(weights[number, :n_seen], scale)
        weights[number, n_seen:n_tokens] = 0
    _mix(weights, n_asking, values, n_tokens, sums)
    for number in range(n_asking):
        head, row = first_head + (first + number) // n_rows, (first + number) % n_rows
        mixed[row, head * size : (head + 1) * size] = sums[number]


@loose_kernel
def weigh_memory(scores: Floats, local: Floats, weights: Floats, kept: Floats) -> None:
    """One softmax over keys of memory and a local context that is mixed already.

    Args:
        scores: (G, R, S, k), of the keys of memory; what is missing scores lowest.
        local: (G, R, S), logarithms of the sums of exponentials of the local scores.
        weights: (G, R, S, k), written: of the keys of memory.
        kept: (G, R, S), written: the share of what is mixed already.
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
                kept[group, head, token] = np.exp(here - highest) / total


@loose_kernel
def add_memory(mixed: Floats, heads: Floats, kept: Floats, remembered: Floats) -> None:
    """Add what memory heads mixed to what they mixed of the local context.

    Args:
        mixed: (S, H · D), changed where the memory heads' queries are.
        heads: int (G,), key-value heads with memory, of which R query heads each are.
        kept: (G, R, S), the share of what is mixed already.
        remembered: (G, R, S, D).
    """
    n_groups, n_heads, n_tokens, size = remembered.shape
    for number in range(n_groups):
        for head in range(n_heads):
            start = (heads[number] * n_heads + head) * size
            for token in range(n_tokens):
                for i in range(size):
                    local = mixed[token, start + i] * kept[number, head, token]
                    mixed[token, start + i] = local + remembered[number, head, token, i]


@loose_kernel
def _weigh(scores: Floats, scale: np.float32) -> np.float32:
    """Scores into weights that add up to one; the logarithm of what they added up to before."""
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
    queries: Floats, first: int, n_asking: int, keys: Floats, n_tokens: int, scores: Floats
) -> None:
    """Products of one query or three and keys.

    Args:
        queries: (Q, D).
        first: the first of them that asks.
        n_asking: 1 or 3.
        keys: (M, D), of which ``n_tokens`` count.
        n_tokens: how many.
        scores: (3, M) or (1, M), written.
    """
    token = 0
    if queries.shape[1] % 8:
        for number in range(n_asking):
            for token in range(n_tokens):
                _narrow_scores(queries, first + number, keys, token, scores[number:])
        return
    while token + KEYS <= n_tokens:
        if n_asking == TILE:
            _scores_3_4(queries, first, keys, token, scores)
        else:
            _scores_1_4(queries, first, keys, token, scores)
        token += KEYS
    while token < n_tokens:
        if n_asking == TILE:
            _scores_3_1(queries, first, keys, token, scores)
        else:
            _scores_1_1(queries, first, keys, token, scores)
        token += 1


@kernel
def _mix(weights: Floats, n_asking: int, values: Floats, n_tokens: int, mixed: Floats) -> None:
    size, first = values.shape[1], 0
    while first + 32 <= size:
        if n_asking == TILE:
            _mix_3(weights, values, n_tokens, first, mixed)
        else:
            _mix_1(weights, values, n_tokens, first, mixed)
        first += 32
    while first + 8 <= size:
        if n_asking == TILE:
            _mix_3_last(weights, values, n_tokens, first, mixed)
        else:
            _mix_1_last(weights, values, n_tokens, first, mixed)
        first += 8
    if first < size:
        for number in range(n_asking):
            _narrow_mix(weights[number:], values, n_tokens, first, mixed[number:])
