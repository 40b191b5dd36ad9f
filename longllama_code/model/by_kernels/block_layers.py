"""Decoder layers whose weights are in blocks of a GGUF file, run in few calls of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from longllama_code.kernels.layer import Floats
from longllama_code.kernels.matrices.blocks import BlockMatrix
from longllama_code.kernels.sharing.block_layer import (
    BIAS,
    DOWN,
    GATE_UP,
    INNER_NORM,
    INPUT_NORM,
    KEYS,
    N_FIELDS,
    N_GROUPS,
    N_HEADS,
    OUT,
    QKV,
    ROOM,
    ROTATES,
    VALUES,
    attend_local,
    finish,
    project,
    run_layers,
)
from longllama_code.kernels.sharing.shared_work import Numbers
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.model.by_kernels.kernel_layer import CosSin, KernelLayer, masses_of
from longllama_code.model.caches import LongLlamaCache


@dataclass(frozen=True)
class BlockLayer(KernelLayer):
    """One decoder layer, all matrices of which are ``BlockMatrix``."""

    row: Numbers = field(init=False)
    """Addresses and sizes of the layer's weights, for ``kernels/sharing/block_layer.py``."""

    def __post_init__(self) -> None:
        """Fill in ``row``."""
        row = np.zeros(N_FIELDS, np.int64)
        row[INPUT_NORM], row[INNER_NORM] = map(_address, (self.input_norm, self.inner_norm))
        row[BIAS] = _address(self.qkv_bias) if self.qkv_bias.size else 0
        matrices = (QKV, self.qkv), (OUT, self.out), (GATE_UP, self.gate_up), (DOWN, self.down)
        for place, matrix in matrices:
            table = cast("BlockMatrix", matrix).table
            row[place : place + 2] = _address(table), len(table)
        row[ROTATES], row[N_GROUPS], row[N_HEADS] = self.rotates, self.n_kv_heads, self.n_heads
        object.__setattr__(self, "row", row)  # a frozen dataclass sets derived fields so

    def project(self, state: Floats, threads: Threads) -> Floats:
        """Return queries, keys and values of (S, E) side by side, (S, (H + 2 · G) · D)."""
        joined = self._joined_room(len(state))
        with threads.helpers.board() as board:
            project(board, self.row, self.eps, state, joined)
        return joined

    def place(self, cache: LongLlamaCache, n_rows: int, row: Numbers) -> None:
        """Make room in the cache for ``n_rows`` tokens; write its addresses into ``row``."""
        keys, values = self._cache_room(cache, n_rows)
        assert keys.is_contiguous()
        assert values.is_contiguous()
        row[KEYS], row[VALUES], row[ROOM] = keys.data_ptr(), values.data_ptr(), keys.shape[2]

    def _attend_local(
        self, state: Floats, cos_sin: CosSin, cache: LongLlamaCache, threads: Threads
    ) -> tuple[Floats, Floats, Floats]:
        n_rows, row = len(state), self.row.copy()
        joined, (mixed, totals) = self._joined_room(n_rows), self._mixed_room(n_rows)
        self.place(cache, n_rows, row)
        arguments = state, *cos_sin, cache.local_length - n_rows
        with threads.helpers.board() as board:
            attend_local(board, row, self.eps, *arguments, joined, mixed, totals, *masses_of(cache))
        return joined, mixed, totals

    def _finish(self, state: Floats, mixed: Floats, threads: Threads) -> None:
        with threads.helpers.board() as board:
            finish(board, self.row, self.eps, state, mixed)

    def _joined_room(self, n_rows: int) -> Floats:
        n_heads = self.n_heads + 2 * self.n_kv_heads
        return np.empty((n_rows, n_heads * self.head_dim), np.float32)


class BlockLayers:
    """All layers of a model, run in one call.

    Args:
        layers: the model's layers.
    """

    def __init__(self, layers: Sequence[BlockLayer]) -> None:
        self._layers = layers
        self._rows = np.stack([layer.row for layer in layers])

    def run(self, state: Floats, cos_sin: CosSin, cache: LongLlamaCache, threads: Threads) -> None:
        """Run all layers over (S, E), in place, without memory."""
        n_rows, rows = len(state), self._rows.copy()
        for layer, row in zip(self._layers, rows, strict=True):
            layer.place(cache, n_rows, row)
        arguments = state, *cos_sin, cache.local_length - n_rows
        with threads.helpers.board() as board:
            run_layers(board, rows, self._layers[0].eps, *arguments, *masses_of(cache))


def _address(numbers: Floats | Numbers) -> int:
    return numbers.ctypes.data
