"""Search for the best keys of a memory head.

A score is the product of a query and a key. A key is stored as its cluster and the residual to the
cluster's centroid, in 8 or 4 bits for each channel, so its score has three parts:

    query · mean                       the same for all keys of the head
    turned query · centroid            the same for all keys of a cluster
    (turned query · step) · residual   integers of the key, times floats of the query

``best_keys`` finds the best keys of a token in five phases:

    1. Turn the queries of all heads that share the key-value head. Round them to integers with a
       common unit, so that their products with residuals are sums of integers, which are exact: a
       result does not depend on the order of summation, or on other tokens.
    2. Score all centroids, in floats.
    3. Choose clusters, best first by the best score that any head gives them, until they contain
       ``read_keys`` keys. A histogram of scores finds the one bucket in which that happens, so only
       the clusters of that bucket are sorted.
    4. Multiply the residuals of all keys in these clusters, a tile of 3 queries and 4 keys at a
       time. Keys are scattered, so their memory is prefetched 32 keys ahead.
    5. Keep the k best scores in a sorted list. A cluster whose best residual does not beat the
       list's last score is skipped; most are.

Shapes: ``R`` query heads that share the head, ``S`` tokens, ``D`` head size, ``C`` clusters, ``M``
rows of memory, ``k`` keys wanted.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.attention import KEYS, LOWEST, TILE, score
from longllama_code.kernels.codegen.compiling import kernel, loose_kernel
from longllama_code.kernels.codegen.search_tiles import make_code_tile, make_loading
from longllama_code.kernels.codegen.vectors import STEP
from longllama_code.kernels.record_arrays import Codes, Counts, Floats, RecordArrays, Rows

MOST = 16383
"""Largest step of a rounded query; sums of 1,024 products with 8 bits fit in 32 bits."""
N_BUCKETS = 256
"""Buckets of the histogram of centroids' scores."""
AHEAD = 32
"""Keys between the one that is scored and the one that is prefetched."""

_codes_3_4, _codes_3_1 = make_code_tile(TILE, KEYS), make_code_tile(TILE, 1)
_load_ahead = make_loading(KEYS)
_codes_1_4, _codes_1_1 = make_code_tile(1, KEYS), make_code_tile(1, 1)

i32 = np.int32
f32 = np.float32
u64 = np.uint64  # unsigned indices need no branch for negative ones


class Space(NamedTuple):
    """Parameters of a memory head, from the model's table."""

    mean: Floats
    """Mean key, (D,)."""
    back: Floats
    """Linear map of queries, (D, D)."""
    centroids: Floats
    """(C, D)."""
    step: Floats
    """Size of a key code's step in each channel, (D,)."""


class Lists(NamedTuple):
    """Rows by cluster."""

    rows: Rows
    """Rows (n,), cluster after cluster."""
    starts: Counts
    """First index of each cluster in ``rows``, (C,)."""
    counts: Counts
    """Number of rows of each cluster, (C,)."""
    keys: Codes
    """8-bit key codes of the rows, (n, D); if it is empty, codes are read from the records."""


@kernel
def best_keys(
    queries: Floats,
    space: Space,
    merged: Lists,
    new: Lists,
    records: RecordArrays,
    read_keys: int,
    scores: Floats,
    found: Counts,
) -> None:
    """Find the best keys of each query in the clusters nearest to its token's queries.

    Args:
        queries: (R, S, D).
        space: parameters of the head.
        merged: rows by cluster.
        new: rows by cluster that are not merged so far.
        records: keys of all rows.
        read_keys: clusters are read until they contain so many keys.
        scores: (R, S, k), written; missing keys have the lowest finite score.
        found: (R, S, k), written: rows, best first.
    """
    n_heads, n_tokens, size = queries.shape
    near = np.empty((n_heads, space.centroids.shape[0]), np.float32)
    steps, units = np.empty((n_heads, size), np.int16), np.empty(n_heads, np.float32)
    turned, turned_one = np.empty((n_heads, size), np.float32), np.empty(size, np.float32)
    common, query = np.empty(n_heads, np.float32), np.empty(size, np.float32)
    scale = f32(1 / np.sqrt(size))
    counts = merged.counts + new.counts
    for token in range(n_tokens):
        for head in range(n_heads):  # phase 1
            for i in range(size):
                query[i] = queries[head, token, i] * scale
            _turn(query, space, turned_one)
            common[head] = _dot(query, space.mean)
            turned[head] = turned_one
            for i in range(size):
                turned_one[i] *= space.step[i]
            units[head] = _round(turned_one, steps[head])
        _score_centroids(turned, space.centroids, near)  # phase 2
        scores[:, token] = LOWEST
        found[:, token] = 0
        chosen = _nearest(near, counts, read_keys)  # phase 3
        for lists in (merged, new):  # phases 4 and 5
            _read(lists, chosen, steps, units, near, records, scores, found, token)
        for head in range(n_heads):
            for place in range(scores.shape[2]):
                if scores[head, token, place] > LOWEST:
                    scores[head, token, place] += common[head]


@loose_kernel
def _turn(query: Floats, space: Space, turned: Floats) -> None:
    for i in range(query.shape[0]):
        total = f32(0)
        for j in range(query.shape[0]):
            total += space.back[i, j] * query[j]
        turned[i] = total


@loose_kernel
def _dot(one: Floats, other: Floats) -> np.float32:
    total = f32(0)
    for i in range(one.shape[0]):
        total += one[i] * other[i]
    return total


@kernel
def _round(numbers: Floats, steps: NDArray[np.int16]) -> np.float32:
    """Round numbers to multiples of a unit; write the factors, and return the unit."""
    largest = f32(1e-30)
    for i in range(numbers.shape[0]):
        largest = max(largest, abs(numbers[i]))
    unit = largest / f32(MOST)
    for i in range(numbers.shape[0]):
        steps[i] = np.int16(np.rint(numbers[i] / unit))
    return unit


@kernel
def _score_centroids(turned: Floats, centroids: Floats, scores: Floats) -> None:
    """Write the scores (R, C) of centroids, a tile of three heads at a time."""
    n_heads, n_clusters = turned.shape[0], centroids.shape[0]
    head = 0
    while head < n_heads:
        n_queries = TILE if head + TILE <= n_heads else 1
        score(turned, head, n_queries, centroids, n_clusters, scores[head : head + n_queries])
        head += n_queries


@kernel
def _nearest(near: Floats, counts: Counts, read_keys: int) -> Counts:
    """Return the best clusters, by the best score of any head, that contain ``read_keys`` keys.

    Clusters are counted in buckets by score. Whole buckets are chosen from the best one down, while
    they contain too few keys; only the clusters of the bucket after them are sorted.
    """
    n_clusters = near.shape[1]
    best = near[0].copy()
    for head in range(1, near.shape[0]):
        for cluster in range(n_clusters):
            best[cluster] = max(best[cluster], near[head, cluster])
    lowest = highest = best[0]
    for cluster in range(n_clusters):
        lowest, highest = min(lowest, best[cluster]), max(highest, best[cluster])
    per_bucket = f32(N_BUCKETS - 1) / max(highest - lowest, f32(1e-30))
    n_keys = np.zeros(N_BUCKETS, np.int64)
    bucket_of = np.empty(n_clusters, np.int64)
    for cluster in range(n_clusters):
        position = (best[cluster] - lowest) * per_bucket
        # Weights that are no numbers give scores that are none.
        bucket_of[cluster] = int(position) if 0 <= position < N_BUCKETS else 0
        n_keys[bucket_of[cluster]] += counts[cluster]
    last, n_read = N_BUCKETS - 1, 0
    while last > 0 and n_read + n_keys[last] < read_keys:
        n_read += n_keys[last]
        last -= 1
    chosen = np.empty(n_clusters, np.int64)
    n_chosen = 0
    for cluster in range(n_clusters):
        if bucket_of[cluster] > last:
            chosen[n_chosen] = cluster
            n_chosen += 1
    rest = np.nonzero(bucket_of == last)[0]
    for index in np.argsort(-best[rest], kind="mergesort"):
        if n_read >= read_keys:
            break
        chosen[n_chosen] = rest[index]
        n_chosen += 1
        n_read += counts[rest[index]]
    return chosen[:n_chosen]


@kernel
def _read(
    lists: Lists,
    chosen: Counts,
    steps: NDArray[np.int16],
    units: Floats,
    near: Floats,
    records: RecordArrays,
    scores: Floats,
    found: Counts,
    token: int,
) -> None:
    """Score the rows of some clusters, and insert those that are among the best."""
    places = _places_of(chosen, lists)
    n_heads, last = steps.shape[0], scores.shape[2] - 1
    sums = np.empty((n_heads, places.shape[0]), np.int32)
    has_tiles = records.key_bits == 8 and steps.shape[1] % STEP == 0
    if has_tiles and lists.keys.shape[0] > 0:
        _multiply(steps, lists.keys, places, 0, sums)
    else:
        positions = np.empty(places.shape[0], np.int32)
        for number in range(places.shape[0]):
            positions[number] = records.positions[lists.rows[places[number]]]
        if has_tiles:
            _multiply(steps, records.signed, positions, records.key, sums)
        else:
            _multiply_narrow(steps, records, positions, sums)
    for head in range(n_heads):
        unit, end = units[head], 0
        for cluster in chosen:
            start, end = end, end + lists.counts[cluster]
            most = i32(-(2**31))
            for number in range(start, end):
                most = max(most, sums[head, number])
            # Most clusters contain nothing better than the keys found so far, and end here.
            if f32(most) * unit + near[head, cluster] <= scores[head, token, last]:
                continue
            for number in range(start, end):
                total = f32(sums[head, number]) * unit + near[head, cluster]
                row = i32(lists.rows[places[number]])
                if total > scores[head, token, last] and _is_seen(records, row):
                    _insert(scores[head, token], found[head, token], total, row)


@kernel
def _is_seen(records: RecordArrays, row: np.int32) -> bool:
    return records.visible.shape[0] == 0 or records.visible[row]


@kernel
def _places_of(chosen: Counts, lists: Lists) -> Rows:
    """Return the indices in ``lists`` of the rows of some clusters."""
    n_rows = 0
    for cluster in chosen:
        n_rows += lists.counts[cluster]
    places, end = np.empty(n_rows, np.int32), 0
    for cluster in chosen:
        for place in range(lists.starts[cluster], lists.starts[cluster] + lists.counts[cluster]):
            places[end] = place
            end += 1
    return places


@kernel
def _multiply(steps: NDArray[np.int16], content: Codes, places: Rows, key: int, sums: Rows) -> None:
    """Multiply queries (R, D) with 8-bit keys at some places, into (R, M).

    A key begins ``key`` bytes after its place's start. Tiles have three queries and four keys; what
    is left over at either end is multiplied one by one.
    """
    n_heads, n_rows = sums.shape
    head = 0
    while head < n_heads:
        n_queries = TILE if head + TILE <= n_heads else 1
        number = 0
        while number + KEYS <= n_rows:
            if number + AHEAD + KEYS <= n_rows:
                _load_ahead(content, places, number + AHEAD, key)
            if n_queries == TILE:
                _codes_3_4(steps, head, content, places, number, key, sums)
            else:
                _codes_1_4(steps, head, content, places, number, key, sums)
            number += KEYS
        while number < n_rows:
            if n_queries == TILE:
                _codes_3_1(steps, head, content, places, number, key, sums)
            else:
                _codes_1_1(steps, head, content, places, number, key, sums)
            number += 1
        head += n_queries


@kernel
def _multiply_narrow(
    steps: NDArray[np.int16], records: RecordArrays, places: Rows, sums: Rows
) -> None:
    """Multiply queries with 4-bit keys, or with keys whose size is no multiple of a tile's."""
    n_heads, size = steps.shape
    narrow, key = size // 2, records.key
    for number in range(places.shape[0]):
        position = u64(places[number])
        for head in range(n_heads):
            query, total = u64(head), i32(0)
            if records.key_bits == 8:
                for i in range(size):
                    code = i32(records.signed[position, u64(key + i)])
                    total = i32(total + i32(code * i32(steps[query, u64(i)])))
            else:
                for i in range(narrow):
                    packed = i32(records.content[position, u64(key + i)])
                    low, high = i32((packed & 15) - 8), i32((packed >> 4) - 8)
                    total = i32(total + i32(low * i32(steps[query, u64(i)])))
                    total = i32(total + i32(high * i32(steps[query, u64(narrow + i)])))
            sums[head, number] = total


@kernel
def _insert(scores: Floats, found: Counts, score: np.float32, row: np.int32) -> None:
    """Insert a row into the sorted list of the best; its last row drops out."""
    place = scores.shape[0] - 1
    while place > 0 and scores[place - 1] < score:
        scores[place], found[place] = scores[place - 1], found[place - 1]
        place -= 1
    scores[place], found[place] = score, row
