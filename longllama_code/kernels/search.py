"""The best keys of a memory head, from the clusters nearest to a query; the mixture of values.

Shapes: ``R`` query heads that share the head, ``S`` tokens, ``D`` head size, ``C`` clusters, ``M``
rows of memory, ``k`` keys wanted. Each token is looked up by itself, so what it finds does not
depend on others.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.compiling import kernel, loose_kernel

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Rows = NDArray[np.int32]
Counts = NDArray[np.int64]

MOST = 16383
"""A query is rounded to so many steps: 1,024 products with 8 bits fit into 32 bits."""
N_BUCKETS = 256
AHEAD = 128
"""Keys whose loading is begun before the first of them is scored."""

i32 = np.int32
f32 = np.float32
u64 = np.uint64  # an index that cannot count from the end needs no branch
LOWEST = np.finfo(np.float32).min


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


class Records(NamedTuple):
    """Where keys and values are."""

    content: Bytes
    """(N, bytes)."""
    signed: NDArray[np.int8]
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
        queries: (R, S, D), scaled.
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
    turned, common = np.empty(size, np.float32), np.empty(n_heads, np.float32)
    counts = merged.counts + late.counts
    touched = np.zeros(1, np.int64)
    for token in range(n_tokens):
        for head in range(n_heads):
            query = queries[head, token]
            _turn(query, space, turned)
            common[head] = _dot(query, space.mean)
            for i in range(size):
                turned[i] *= space.step[i]
            units[head] = _round(turned, steps[head])
            for i in range(size):
                turned[i] /= space.step[i]
            _meet(turned, space.centroids, near[head])
        scores[:, token] = LOWEST
        found[:, token] = 0
        rows, clusters = _rows_of(_nearest(near, counts, read_keys), counts, merged, late)
        for first in range(0, len(rows), AHEAD):
            block = rows[first : first + AHEAD]
            touched[0] += _touch(block, records)
            mine = clusters[first : first + AHEAD]
            _read(block, mine, steps, units, near, records, scores, found, token)
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


@loose_kernel
def _meet(turned: Floats, centroids: Floats, scores: Floats) -> None:
    """Scores of centroids."""
    for cluster in range(centroids.shape[0]):
        total = f32(0)
        centroid = centroids[cluster]
        for i in range(turned.shape[0]):
            total += turned[i] * centroid[i]
        scores[cluster] = total


@kernel
def _nearest(near: Floats, counts: Counts, read_keys: int) -> Counts:
    """Clusters, best first by what any head gives them, until they hold ``read_keys`` keys.

    Only those of one bucket of scores, in which that happens, are sorted.
    """
    n_clusters = near.shape[1]
    best = np.empty(n_clusters, np.float32)
    for cluster in range(n_clusters):
        best[cluster] = near[:, cluster].max()
    lowest, highest = best.min(), best.max()
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
def _rows_of(chosen: Counts, counts: Counts, merged: Lists, late: Lists) -> tuple[Rows, Rows]:
    """The rows of some clusters, and the cluster of each."""
    n_rows = 0
    for cluster in chosen:
        n_rows += counts[cluster]
    rows, clusters = np.empty(n_rows, np.int32), np.empty(n_rows, np.int32)
    end = 0
    for cluster in chosen:
        for lists in (merged, late):
            for place in range(
                lists.starts[cluster], lists.starts[cluster] + lists.counts[cluster]
            ):
                rows[end], clusters[end] = lists.rows[place], cluster
                end += 1
    return rows, clusters


@kernel
def _touch(rows: Rows, records: Records) -> int:
    """Load the keys of some rows into the cache, many at a time, as a loop that computes cannot."""
    total = 0
    for row in rows:
        total += records.content[records.positions[row], records.key]
    return total


@kernel
def _read(
    rows: Rows,
    clusters: Rows,
    steps: NDArray[np.int16],
    units: Floats,
    near: Floats,
    records: Records,
    scores: Floats,
    found: Counts,
    token: int,
) -> None:
    """Score rows, and take in those that are among the best."""
    n_heads, size = steps.shape
    narrow, last = size // 2, scores.shape[2] - 1
    content, signed, positions = records.content, records.signed, records.positions
    visible, hides, key, is_wide = (
        records.visible,
        records.visible.shape[0] > 0,
        records.key,
        records.key_bits == 8,
    )
    for number in range(rows.shape[0]):
        row, cluster = rows[number], clusters[number]
        if hides and not visible[row]:
            continue
        position = u64(positions[row])
        for head in range(n_heads):
            query, total = u64(head), i32(0)
            if is_wide:
                for i in range(size):
                    code = i32(signed[position, u64(key + i)])
                    total = i32(total + i32(code * i32(steps[query, u64(i)])))
            else:
                for i in range(narrow):
                    packed = i32(content[position, u64(key + i)])
                    low, high = i32((packed & 15) - 8), i32((packed >> 4) - 8)
                    total = i32(total + i32(low * i32(steps[query, u64(i)])))
                    total = i32(total + i32(high * i32(steps[query, u64(narrow + i)])))
            score = f32(total) * units[head] + near[head, cluster]
            if score > scores[head, token, last]:
                _insert(scores[head, token], found[head, token], score, row)


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
    narrow = size // 2
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


@kernel
def _half(record: Bytes, first: int) -> np.float32:
    """A float16, which numba does not know on CPUs."""
    bits = i32(record[first]) | (i32(record[first + 1]) << i32(8))
    exponent, fraction = (bits >> 10) & 31, bits & 1023
    size = math.ldexp(1024 + fraction, exponent - 25) if exponent else math.ldexp(fraction, -24)
    return f32(-size if bits >> 15 else size)
