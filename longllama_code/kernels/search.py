"""The best keys of a memory head, from the clusters nearest to a query; the mixture of values.

Shapes: ``R`` query heads that share the head, ``S`` tokens, ``D`` head size, ``C`` clusters, ``M``
rows of memory, ``k`` keys wanted. Each token is looked up by itself, so what it finds does not
depend on others.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.attention import KEYS, LOWEST, TILE, score
from longllama_code.kernels.codegen.compiling import kernel, loose_kernel
from longllama_code.kernels.codegen.search_tiles import make_code_tile, make_loading
from longllama_code.kernels.codegen.vectors import STEP

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Codes = NDArray[np.int8]
Rows = NDArray[np.int32]
Counts = NDArray[np.int64]

MOST = 16383
"""A query is rounded to so many steps: 1,024 products with 8 bits fit into 32 bits."""
N_BUCKETS = 256
AHEAD = 32
"""How many keys before its turn the loading of one is begun."""

_codes_3_4, _codes_3_1 = make_code_tile(TILE, KEYS), make_code_tile(TILE, 1)
_load_ahead = make_loading(KEYS)
_codes_1_4, _codes_1_1 = make_code_tile(1, KEYS), make_code_tile(1, 1)

i32 = np.int32
f32 = np.float32
u64 = np.uint64  # an index that cannot count from the end needs no branch


class Space(NamedTuple):
    """A memory head's part of the table."""

    mean: Floats
    """(D,)."""
    back: Floats
    """(D, D), turns queries."""
    centroids: Floats
    """(C, D)."""
    step: Floats
    """(D,), what one step of a key's code is worth."""


class Lists(NamedTuple):
    """Rows by cluster."""

    rows: Rows
    """All of them, cluster after cluster."""
    starts: Counts
    """(C,)."""
    counts: Counts
    """(C,)."""
    keys: Codes
    """(n, D), the 8-bit codes of their keys; (0, …): those in the records are read."""


class Records(NamedTuple):
    """Where keys and values are."""

    content: Bytes
    """(N, bytes)."""
    signed: Codes
    """The same bytes."""
    positions: Rows
    """(M,), the record of each row."""
    visible: NDArray[np.bool_]
    """(M,), which rows may be seen; empty: all."""
    key: int
    """The first byte of a key's codes."""
    key_bits: int
    value: int
    """The first byte of a value's codes."""
    value_bits: int
    range: int
    """The first byte of a value's range: its lowest value, and its step, as float16."""


@kernel
def best_keys(
    queries: Floats,
    space: Space,
    merged: Lists,
    late: Lists,
    records: Records,
    read_keys: int,
    scores: Floats,
    found: Counts,
) -> None:
    """The best keys of each query, in the clusters that score best with any head of its token.

    Args:
        queries: (R, S, D).
        space: of the head.
        merged: rows by cluster.
        late: rows that came lately, likewise.
        records: where keys are.
        read_keys: clusters are read until they held so many keys.
        scores: (R, S, k), written; what is missing scores lowest.
        found: (R, S, k), written: the rows, best first.
    """
    n_heads, n_tokens, size = queries.shape
    near = np.empty((n_heads, space.centroids.shape[0]), np.float32)
    steps, units = np.empty((n_heads, size), np.int16), np.empty(n_heads, np.float32)
    turned, turned_one = np.empty((n_heads, size), np.float32), np.empty(size, np.float32)
    common, query = np.empty(n_heads, np.float32), np.empty(size, np.float32)
    scale = f32(1 / np.sqrt(size))
    counts = merged.counts + late.counts
    for token in range(n_tokens):
        for head in range(n_heads):
            for i in range(size):
                query[i] = queries[head, token, i] * scale
            _turn(query, space, turned_one)
            common[head] = _dot(query, space.mean)
            turned[head] = turned_one
            for i in range(size):
                turned_one[i] *= space.step[i]
            units[head] = _round(turned_one, steps[head])
        _meet(turned, space.centroids, near)
        scores[:, token] = LOWEST
        found[:, token] = 0
        chosen = _nearest(near, counts, read_keys)
        for lists in (merged, late):
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
    """Numbers as steps of the unit that is returned."""
    largest = f32(1e-30)
    for i in range(numbers.shape[0]):
        largest = max(largest, abs(numbers[i]))
    unit = largest / f32(MOST)
    for i in range(numbers.shape[0]):
        steps[i] = np.int16(np.rint(numbers[i] / unit))
    return unit


@kernel
def _meet(turned: Floats, centroids: Floats, scores: Floats) -> None:
    """Scores (R, C) of centroids."""
    n_heads, n_clusters = turned.shape[0], centroids.shape[0]
    head = 0
    while head < n_heads:
        n_asking = TILE if head + TILE <= n_heads else 1
        score(turned, head, n_asking, centroids, n_clusters, scores[head : head + n_asking])
        head += n_asking


@kernel
def _nearest(near: Floats, counts: Counts, read_keys: int) -> Counts:
    """Clusters, best first by what any head gives them, until they hold ``read_keys`` keys.

    Only those of one bucket of scores, in which that happens, are sorted.
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
    held = np.zeros(N_BUCKETS, np.int64)
    bucket_of = np.empty(n_clusters, np.int64)
    for cluster in range(n_clusters):
        bucket_of[cluster] = int((best[cluster] - lowest) * per_bucket)
        held[bucket_of[cluster]] += counts[cluster]
    last, n_held = N_BUCKETS - 1, 0
    while last > 0 and n_held + held[last] < read_keys:
        n_held += held[last]
        last -= 1
    chosen = np.empty(n_clusters, np.int64)
    n_chosen = 0
    for cluster in range(n_clusters):
        if bucket_of[cluster] > last:
            chosen[n_chosen] = cluster
            n_chosen += 1
    rest = np.nonzero(bucket_of == last)[0]
    for place in np.argsort(-best[rest], kind="mergesort"):
        if n_held >= read_keys:
            break
        chosen[n_chosen] = rest[place]
        n_chosen += 1
        n_held += counts[rest[place]]
    return chosen[:n_chosen]


@kernel
def _read(
    lists: Lists,
    chosen: Counts,
    steps: NDArray[np.int16],
    units: Floats,
    near: Floats,
    records: Records,
    scores: Floats,
    found: Counts,
    token: int,
) -> None:
    """Score the rows of some clusters, and take in those that are among the best."""
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
            # Most clusters have nothing better than what was found: one look at all of their keys.
            if f32(most) * unit + near[head, cluster] <= scores[head, token, last]:
                continue
            for number in range(start, end):
                total = f32(sums[head, number]) * unit + near[head, cluster]
                row = i32(lists.rows[places[number]])
                if total > scores[head, token, last] and _is_seen(records, row):
                    _insert(scores[head, token], found[head, token], total, row)


@kernel
def _is_seen(records: Records, row: np.int32) -> bool:
    return records.visible.shape[0] == 0 or records.visible[row]


@kernel
def _places_of(chosen: Counts, lists: Lists) -> Rows:
    """Where the rows of some clusters are in the lists."""
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
    """Products of queries (R, D) and 8-bit keys, some bytes behind each place, into (R, M)."""
    n_heads, n_rows = sums.shape
    head = 0
    while head < n_heads:
        n_asking = TILE if head + TILE <= n_heads else 1
        number = 0
        while number + KEYS <= n_rows:
            if number + AHEAD + KEYS <= n_rows:
                _load_ahead(content, places, number + AHEAD, key)
            if n_asking == TILE:
                _codes_3_4(steps, head, content, places, number, key, sums)
            else:
                _codes_1_4(steps, head, content, places, number, key, sums)
            number += KEYS
        while number < n_rows:
            if n_asking == TILE:
                _codes_3_1(steps, head, content, places, number, key, sums)
            else:
                _codes_1_1(steps, head, content, places, number, key, sums)
            number += 1
        head += n_asking


@kernel
def _multiply_narrow(steps: NDArray[np.int16], records: Records, places: Rows, sums: Rows) -> None:
    """The same for keys of 4 bits, and of sizes that tiles do not divide."""
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
    """Put a row among the best; the last one drops out."""
    place = scores.shape[0] - 1
    while place > 0 and scores[place - 1] < score:
        scores[place], found[place] = scores[place - 1], found[place - 1]
        place -= 1
    scores[place], found[place] = score, row


@loose_kernel
def mix_values(weights: Floats, found: Counts, records: Records, mixed: Floats) -> None:
    """Mix the values of rows.

    Args:
        weights: (R, S, k).
        found: (R, S, k), rows.
        records: where values are.
        mixed: (R, S, D), written.
    """
    n_heads, n_tokens, n_keys = weights.shape
    size = mixed.shape[2]
    narrow, eighth = size // 2, size // 8
    for head in range(n_heads):
        for token in range(n_tokens):
            out = mixed[head, token]
            out[:] = 0
            for place in range(n_keys):
                record = records.content[records.positions[found[head, token, place]]]
                weight = weights[head, token, place]
                low = weight * _half(record, records.range)
                step = weight * _half(record, records.range + 2)
                if records.value_bits == 8:
                    codes = record[records.value : records.value + size]
                    for i in range(size):
                        out[i] += low + step * f32(codes[i])
                else:
                    packed = record[records.value : records.value + narrow]
                    for i in range(narrow):
                        out[i] += low + step * f32(packed[i] & 15)
                        out[narrow + i] += low + step * f32(packed[i] >> 4)
                if records.value_bits == 5:
                    fifth = record[records.value + narrow : records.value + narrow + eighth]
                    for place_in_byte in range(8):
                        for i in range(eighth):
                            bit = f32((fifth[i] >> place_in_byte) & 1)
                            out[place_in_byte * eighth + i] += step * f32(16) * bit


@kernel
def _half(record: Bytes, first: int) -> np.float32:
    """A float16, which numba does not know on CPUs."""
    bits = i32(record[first]) | (i32(record[first + 1]) << i32(8))
    exponent, fraction = (bits >> 10) & 31, bits & 1023
    size = math.ldexp(1024 + fraction, exponent - 25) if exponent else math.ldexp(fraction, -24)
    return f32(-size if bits >> 15 else size)
