"""Decoder layers with weights in blocks, run in one call.

For one token, each call counts: a layer's weights evict Python's code and data from the CPU's
caches, so returning to Python between layers takes 0.3 ms a layer, while other threads wait. A
layer is therefore described by a row of numbers, addresses and sizes, that kernels can read.
"""

import numpy as np
from numba.np.numpy_support import carray

from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.layer import Floats, add, normalize, place_heads
from longllama_code.kernels.sharing.atomics import pointer
from longllama_code.kernels.sharing.shared_work import (
    N_COLUMNS,
    OUTPUTS,
    Numbers,
    attend_shared,
    gate_shared,
    multiply_shared,
)

# Indices of a row: addresses of floats; addresses of tables for ``multiply_shared``, each followed
# by its number of parts; addresses of the local context; and sizes.
(
    INPUT_NORM, INNER_NORM, BIAS, QKV, OUT, GATE_UP, DOWN, KEYS, VALUES, ROOM, ROTATES, N_GROUPS,
    N_HEADS, N_FIELDS,
) = 0, 1, 2, 3, 5, 7, 9, 11, 12, 13, 14, 15, 16, 17  # fmt: skip
"""``BIAS`` is 0 if there is none; ``ROTATES`` is 0 for layers without rotation."""


@kernel
def run_layers(
    board: Numbers,
    layers: Numbers,
    eps: float,
    state: Floats,
    cos: Floats,
    sin: Floats,
    n_before: int,
    bounds: Numbers,
    masses: Floats,
) -> None:
    """Run layers over (S, E), in place.

    Args:
        board: board that no other caller uses during the call.
        layers: rows of all layers, (layers, fields).
        eps: epsilon of the norms.
        state: hidden states (S, E), changed.
        cos: cosines of the tokens' positions, (S, D).
        sin: sines, (S, D).
        n_before: number of tokens of the local context before the pass.
        bounds: see ``attend``.
        masses: see ``attend``, written.
    """
    n_rows, size = cos.shape
    n_heads, n_groups = layers[0, N_HEADS], layers[0, N_GROUPS]
    joined = np.empty((n_rows, (n_heads + 2 * n_groups) * size), np.float32)
    mixed = np.empty((n_rows, n_heads * size), np.float32)
    totals = np.empty((n_rows, n_heads), np.float32)
    for number in range(layers.shape[0]):
        layer = layers[number]
        attend_local(
            board, layer, eps, state, cos, sin, n_before, joined, mixed, totals, bounds, masses
        )
        finish(board, layer, eps, state, mixed)


@kernel
def project(board: Numbers, layer: Numbers, eps: float, state: Floats, joined: Floats) -> None:
    """Write queries, keys and values of (S, E), side by side.

    Args:
        board: board that no other caller uses during the call.
        layer: row of the layer, (fields,).
        eps: epsilon of the norm.
        state: (S, E).
        joined: (S, (H + 2 · G) · D), written.
    """
    normed = np.empty_like(state)
    normalize(state, _floats(layer, INPUT_NORM, state.shape[1]), eps, normed)
    multiply_shared(board, _table(layer, QKV), normed, joined)
    if layer[BIAS]:
        bias = _floats(layer, BIAS, joined.shape[1])
        for row in range(joined.shape[0]):
            for column in range(joined.shape[1]):
                joined[row, column] += bias[column]


@kernel
def attend_local(
    board: Numbers,
    layer: Numbers,
    eps: float,
    state: Floats,
    cos: Floats,
    sin: Floats,
    n_before: int,
    joined: Floats,
    mixed: Floats,
    totals: Floats,
    bounds: Numbers,
    masses: Floats,
) -> None:
    """Project (S, E), append it to the local context, and attend to that.

    Args:
        board: board that no other caller uses during the call.
        layer: row of the layer, (fields,).
        eps: epsilon of the norm.
        state: (S, E).
        cos: cosines of the tokens' positions, (S, D).
        sin: sines, (S, D).
        n_before: number of tokens of the local context before the pass.
        joined: see ``project``, written.
        mixed: see ``attend``, written.
        totals: see ``attend``, written.
        bounds: see ``attend``.
        masses: see ``attend``, written.
    """
    project(board, layer, eps, state, joined)
    n_rows, size = cos.shape
    of_keys = layer[N_GROUPS], layer[ROOM], size
    queries = np.empty((layer[N_HEADS], n_rows, size), np.float32)
    keys = carray(pointer(layer[KEYS]), of_keys, np.float32)
    values = carray(pointer(layer[VALUES]), of_keys, np.float32)
    known = n_rows if layer[ROTATES] else 0
    place_heads(joined, cos[:known], sin[:known], n_before, queries, keys, values)
    attend_shared(board, queries, keys, values, n_before, mixed, totals, bounds, masses)


@kernel
def finish(board: Numbers, layer: Numbers, eps: float, state: Floats, mixed: Floats) -> None:
    """Run the rest of a layer on what its heads mixed.

    Args:
        board: board that no other caller uses during the call.
        layer: row of the layer, (fields,).
        eps: epsilon of the norm.
        state: (S, E), changed.
        mixed: (S, H · D).
    """
    n_rows, size = state.shape
    more, normed, gate_up = np.empty_like(state), np.empty_like(state), _table(layer, GATE_UP)
    n_outputs = 0
    for part in range(gate_up.shape[0]):
        n_outputs += gate_up[part, OUTPUTS]
    both = np.empty((n_rows, n_outputs), np.float32)
    gated = np.empty((n_rows, n_outputs // 2), np.float32)
    multiply_shared(board, _table(layer, OUT), mixed, more)
    add(state, more)
    normalize(state, _floats(layer, INNER_NORM, size), eps, normed)
    multiply_shared(board, gate_up, normed, both)
    gate_shared(board, both, gated)
    multiply_shared(board, _table(layer, DOWN), gated, more)
    add(state, more)


@kernel
def _floats(layer: Numbers, place: int, size: int) -> Floats:
    return carray(pointer(layer[place]), (size,), np.float32)


@kernel
def _table(layer: Numbers, place: int) -> Numbers:
    return carray(pointer(layer[place]), (layer[place + 1], N_COLUMNS), np.int64)
