"""One decoder layer run by compiled kernels on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import Self

from longllama_code.kernels.attention import (
    NO_BOUNDS,
    NO_MASSES,
    Bounds,
    add_memory,
    attend,
    weigh_memory,
)
from longllama_code.kernels.layer import (
    Floats,
    add,
    gate,
    normalize,
    place_heads,
    rotate,
    split_heads,
)
from longllama_code.kernels.matrices.blocks import BlockMatrix
from longllama_code.kernels.matrices.quantized import Matrix, QuantizedMatrix
from longllama_code.kernels.matrices.room import Room
from longllama_code.kernels.matrices.rows import JoinedMatrix
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.memory_source import MemoryView
from longllama_code.model.rounded.blocks import BlockLinear
from longllama_code.model.rounded.quantized import Int4Linear, Int8Linear

if TYPE_CHECKING:
    from longllama_code.model.layers import LayerSteps
from longllama_code.model_config import ModelConfig

EMPTY = np.empty((0, 0), np.float32)

CosSin = tuple[Floats, Floats]
"""Cosines and sines that rotate heads, each (S, D)."""


class Rotation(NamedTuple):
    """Cosines and sines for the tokens of a pass."""

    local: CosSin
    """For each token's position."""
    memory: CosSin
    """For the position from which each query looks at memory."""


@dataclass(frozen=True)
class KernelLayer:
    """One decoder layer, with matrices of any kind."""

    index: int
    config: ModelConfig
    rotates: bool
    n_heads: int
    n_kv_heads: int
    head_dim: int
    mem_heads: tuple[int, ...]
    eps: float
    input_norm: Floats
    qkv: Matrix
    qkv_bias: Floats
    """Empty if there is none."""
    out: Matrix
    inner_norm: Floats
    gate_up: Matrix
    down: Matrix

    @classmethod
    def of(cls, layer: LayerSteps, room: Room) -> Self:
        """Return the kernel layer of a model's layer; see ``matrix_of``."""
        attention, mlp = layer.self_attn, layer.mlp
        config = attention.config
        projections = attention.q_proj, attention.k_proj, attention.v_proj
        biases = [floats_of(p.bias) for p in projections] if config.qkv_bias else []
        return cls(
            index=attention.layer_idx,
            config=config,
            rotates=attention.rotates,
            n_heads=config.num_attention_heads,
            n_kv_heads=config.n_kv_heads,
            head_dim=attention.head_dim,
            mem_heads=attention.mem_heads,
            eps=config.rms_norm_eps,
            input_norm=floats_of(layer.input_layernorm.weight),
            qkv=matrix_of(*projections, room=room),
            qkv_bias=np.concatenate(biases) if biases else np.empty(0, np.float32),
            out=matrix_of(attention.o_proj, room=room),
            inner_norm=floats_of(layer.post_attention_layernorm.weight),
            gate_up=matrix_of(mlp.gate_proj, mlp.up_proj, room=room),
            down=matrix_of(mlp.down_proj, room=room),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the matrices."""
        return sum(part.nbytes for part in (self.qkv, self.out, self.gate_up, self.down))

    def run(
        self,
        state: Floats,
        rotation: Rotation,
        cache: LongLlamaCache,
        memory: MemoryView | None,
        threads: Threads,
    ) -> Floats:
        """Run the layer over (S, E), in place.

        Args:
            state: hidden states (S, E), changed.
            rotation: of the S tokens.
            cache: preceding local context, which these tokens extend.
            memory: what the memory heads see beyond it.
            threads: threads that share the work.

        Returns:
            The joined projections, as ``project`` returns them.
        """
        joined, mixed, totals = self._attend_local(state, rotation.local, cache, threads)
        if memory is not None:
            memory_queries = self._memory_queries(joined, rotation.memory)
            self._add_memory(mixed, totals, memory_queries, memory)
        self._finish(state, mixed, threads)
        return joined

    def project(self, state: Floats, threads: Threads) -> Floats:
        """Return queries, keys and values of (S, E) side by side, (S, (H + 2 · G) · D)."""
        normed = np.empty_like(state)
        normalize(state, self.input_norm, self.eps, normed)
        joined = self.qkv.times(normed, threads)
        if self.qkv_bias.size:
            joined += self.qkv_bias
        return joined

    def as_stored(self, joined: Floats) -> tuple[Floats, Floats]:
        """Return the unrotated keys and the values of joined projections, each (G, S, D)."""
        keys = self._heads(joined, self.n_heads, self.n_kv_heads)
        return keys, self._heads(joined, self.n_heads + self.n_kv_heads, self.n_kv_heads)

    def _attend_local(
        self, state: Floats, cos_sin: CosSin, cache: LongLlamaCache, threads: Threads
    ) -> tuple[Floats, Floats, Floats]:
        """Append (S, E) to the local context, and attend to it.

        Returns:
            Joined projections (S, (H + 2 · G) · D), the heads' mixed values (S, H · D), and their
            softmax totals (S, H), see ``kernels.attention.attend``.
        """
        joined, n_rows = self.project(state, threads), len(state)
        queries = np.empty((self.n_heads, n_rows, self.head_dim), np.float32)
        keys, values = (part.numpy()[0] for part in self._cache_room(cache, n_rows))
        n_before = cache.local_length - n_rows
        place_heads(
            joined, *(cos_sin if self.rotates else (EMPTY, EMPTY)), n_before, queries, keys, values
        )
        mixed, totals = self._mixed_room(n_rows)

        bounds, masses = masses_of(cache)

        def attend_rows(first: int, end: int) -> None:
            rows, before = np.ascontiguousarray(queries[:, first:end]), n_before + first
            written = mixed[first:end], totals[first:end]
            attend(rows, keys, values, before, *written, bounds, masses[first:end])

        threads.run(attend_rows, n_rows)
        return joined, mixed, totals

    def _finish(self, state: Floats, mixed: Floats, threads: Threads) -> None:
        """Run the rest of the layer on what its heads mixed, in place."""
        add(state, self.out.times(mixed, threads))
        normed = np.empty_like(state)
        normalize(state, self.inner_norm, self.eps, normed)
        both = self.gate_up.times(normed, threads)
        gated = np.empty((len(both), both.shape[1] // 2), np.float32)
        gate(both, gated)
        add(state, self.down.times(gated, threads))

    def _cache_room(self, cache: LongLlamaCache, n_rows: int) -> tuple[Tensor, Tensor]:
        """Make room in the cache for ``n_rows`` tokens; return its buffers (1, G, room, D)."""
        return cache.make_room(self.index, torch.empty(1, self.n_kv_heads, n_rows, self.head_dim))

    def _mixed_room(self, n_rows: int) -> tuple[Floats, Floats]:
        """Return buffers for what ``attend`` writes: mixed values and totals."""
        mixed = np.empty((n_rows, self.n_heads * self.head_dim), np.float32)
        return mixed, np.empty((n_rows, self.n_heads), np.float32)

    def _memory_queries(self, joined: Floats, cos_sin: CosSin) -> Floats:
        """Return the queries for memory, (H, S, D)."""
        queries = self._heads(joined, 0, self.n_heads)
        if not self.rotates:
            return queries
        rotated = np.empty_like(queries)
        rotate(queries, *cos_sin, rotated)
        return rotated

    def _add_memory(
        self, mixed: Floats, totals: Floats, memory_queries: Floats, memory: MemoryView
    ) -> None:
        """Add memory to what memory heads mixed of the local context, under one softmax.

        The local softmax is finished by then; its totals tell how much weight it keeps.
        """
        shape = self.n_kv_heads, -1, len(mixed)
        heads = np.array(self.mem_heads)
        queries = memory_queries.reshape(*shape, self.head_dim)[heads]
        scores, indices = memory.score(torch.from_numpy(queries)[None], self.config.mem_top_k)
        memory_scores = scores[0].float().contiguous().numpy()
        local = totals.T.reshape(shape)[heads]
        weights, local_share = np.empty_like(memory_scores), np.empty_like(local)
        weigh_memory(memory_scores, local, weights, local_share)
        shares = torch.from_numpy(weights)[None]
        if memory.observe is not None:
            memory.observe(0, shares, indices)
        add_memory(mixed, heads, local_share, memory.mix(shares, indices)[0].numpy())

    def _heads(self, joined: Floats, first: int, n_heads: int) -> Floats:
        heads = np.empty((n_heads, len(joined), self.head_dim), np.float32)
        split_heads(joined, first * self.head_dim, heads)
        return heads


def masses_of(cache: LongLlamaCache) -> tuple[Bounds, Floats]:
    """Return what ``attend`` adds the weights of segments to, if anything."""
    if cache.mass is None:
        return NO_BOUNDS, NO_MASSES
    return cache.mass.bounds.numpy(), cache.mass.of_pass.numpy()


def matrix_of(*linears: nn.Module, room: Room) -> Matrix:
    """Return one matrix for linear maps of the same input, with their outputs side by side.

    Args:
        linears: the maps.
        room: see ``BlockMatrix``.
    """
    if isinstance(linears[0], BlockLinear):
        return BlockMatrix([cast("BlockLinear", linear).rows for linear in linears], room)
    rounded = [linear.matrix() for linear in linears if isinstance(linear, Int8Linear | Int4Linear)]
    if rounded:
        return rounded[0] if len(rounded) == 1 else JoinedMatrix(rounded)
    weights = [floats_of(cast("nn.Linear", linear).weight) for linear in linears]
    return QuantizedMatrix.of(np.concatenate(weights))


def floats_of(weight: Tensor) -> Floats:
    """Return a numpy view of a tensor."""
    return weight.detach().numpy()
