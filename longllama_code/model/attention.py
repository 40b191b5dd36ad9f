"""Attention with one softmax over the local context and memory.

Scores of memory are computed apart from the local ones and normalised together with them, so the
keys and values of a large memory are never copied. Source: FoT paper, section 3.1;
``modeling_longllama.py:LongLlamaAttention`` (softmax runs in float32).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.memory_source import MemoryView
from longllama_code.model.rope import CosSin, Rotation, rotate, rotate_to_position_zero
from longllama_code.model.scoring import mix, scores_of
from longllama_code.model_config import ModelConfig

MAX_SCORES = 1 << 24
"""Most scores in memory at once, whatever ``mem_attention_grouping`` allows: 64 MB in float32."""


@dataclass(frozen=True)
class LayerInputs:
    """What a decoder layer needs besides its hidden states (B, S, E)."""

    rotation: Rotation
    """Rotation of the S tokens."""
    position_zero_scale: float
    """``Rotary.position_zero_scale``."""
    visible: Tensor
    """Local keys that each query may see, bool (B, 1, S, L)."""
    cache: LongLlamaCache | None = None
    """Local context before this input, which is appended to it."""
    memory: MemoryView | None = None
    """What the memory heads see beyond the local context."""


class Projected(NamedTuple):
    """Projections of a layer's input."""

    queries: Tensor
    """Queries for the local context, (B, H, S, D)."""
    memory_queries: Tensor
    """Queries for memory, (B, H, S, D)."""
    keys: Tensor
    """Keys of the local context, (B, G, S, D)."""
    position_zero_keys: Tensor
    """Keys that memory stores, (B, G, S, D)."""
    values: Tensor
    """(B, G, S, D)."""


class LongLlamaAttention(nn.Module):
    """Grouped-query attention of one layer."""

    def __init__(self, config: ModelConfig, layer_idx: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.head_dim: int = config.head_dim or config.hidden_size // config.num_attention_heads
        self.rotates = config.mem_positionals or layer_idx not in config.mem_layers
        self.mem_heads = config.memory_heads(layer_idx)
        self.local_heads = tuple(h for h in range(config.n_kv_heads) if h not in self.mem_heads)
        query_size = config.num_attention_heads * self.head_dim
        key_size = config.n_kv_heads * self.head_dim
        qkv_bias = config.attention_bias or config.qkv_bias
        self.q_proj = nn.Linear(config.hidden_size, query_size, bias=qkv_bias)
        self.k_proj = nn.Linear(config.hidden_size, key_size, bias=qkv_bias)
        self.v_proj = nn.Linear(config.hidden_size, key_size, bias=qkv_bias)
        self.o_proj = nn.Linear(query_size, config.hidden_size, bias=config.attention_bias)

    def forward(self, hidden: Tensor, inputs: LayerInputs) -> tuple[Tensor, Tensor, Tensor]:
        """Attend to the local context and to memory.

        Returns:
            The output (B, S, E), and this input's position-zero keys and values, each (B, G, S, D).
        """
        rotation = inputs.rotation
        for_memory = None if inputs.memory is None else rotation.memory
        projected = self.project(hidden, rotation.local, for_memory, inputs.position_zero_scale)
        mixed = self.attend(projected, inputs)
        return self.o_proj(mixed), projected.position_zero_keys, projected.values

    def project(
        self, hidden: Tensor, local: CosSin, memory: CosSin | None, scale: float
    ) -> Projected:
        """Return queries, keys and values of (B, S, E).

        Args:
            hidden: (B, S, E).
            local: rotates each token to its position in the window.
            memory: rotates each query to the position from which it looks at memory; None without
                memory.
            scale: ``Rotary.position_zero_scale``.
        """
        unrotated = self._heads(self.q_proj(hidden))
        position_zero_keys, values = self.keys_and_values(hidden, scale)
        if not self.rotates:
            return Projected(unrotated, unrotated, position_zero_keys, position_zero_keys, values)
        return Projected(
            queries=rotate(unrotated, *local),
            memory_queries=unrotated if memory is None else rotate(unrotated, *memory),
            keys=rotate(self._unscaled(position_zero_keys, scale), *local),
            position_zero_keys=position_zero_keys,
            values=values,
        )

    def attend(self, projected: Projected, inputs: LayerInputs) -> Tensor:
        """Return values mixed over the local context and memory, (B, S, H * D)."""
        queries, memory_queries, keys, position_zero_keys, values = projected
        if inputs.cache is not None:
            keys, values = inputs.cache.append(self.layer_idx, keys, position_zero_keys, values)
            if inputs.cache.mass is not None:
                grouped = queries.unflatten(1, (keys.shape[1], -1))
                inputs.cache.mass.add_layer(grouped, keys, inputs.visible)
        mixed = self._attend(queries, memory_queries, keys, values, inputs.visible, inputs.memory)
        return mixed.transpose(1, 2).flatten(2)

    def keys_and_values(self, hidden: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Return what memory stores of (B, S, E): position-zero keys and values, (B, G, S, D)."""
        keys = self._heads(self.k_proj(hidden))
        position_zero_keys = rotate_to_position_zero(keys, scale) if self.rotates else keys
        return position_zero_keys, self._heads(self.v_proj(hidden))

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    @staticmethod
    def _unscaled(position_zero_keys: Tensor, scale: float) -> Tensor:
        return position_zero_keys if scale == 1.0 else position_zero_keys / scale

    def _attend(
        self,
        queries: Tensor,
        memory_queries: Tensor,
        keys: Tensor,
        values: Tensor,
        visible: Tensor,
        memory: MemoryView | None,
    ) -> Tensor:
        """Mix values for queries (B, H, S, D), apart for heads with and without memory."""
        grouped = queries.unflatten(1, (keys.shape[1], -1))
        if memory is None:
            return self._attend_local(grouped, keys, values, visible).flatten(1, 2)
        memory_queries = memory_queries.unflatten(1, (keys.shape[1], -1))
        if not self.local_heads:
            mixed = self._attend_memory(grouped, memory_queries, keys, values, visible, memory)
            return mixed.flatten(1, 2)
        mixed = torch.empty_like(grouped)
        with_memory, local = list(self.mem_heads), list(self.local_heads)
        mixed[:, with_memory] = self._attend_memory(
            grouped[:, with_memory],
            memory_queries[:, with_memory],
            keys[:, with_memory],
            values[:, with_memory],
            visible,
            memory,
        )
        mixed[:, local] = self._attend_local(
            grouped[:, local], keys[:, local], values[:, local], visible
        )
        return mixed.flatten(1, 2)

    def _attend_local(
        self, queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor
    ) -> Tensor:
        """Mix values of the local context alone for queries (B, G, R, S, D)."""
        if not self.config.torch_attention:
            return softmax_attention(queries, keys, values, visible, None)
        n_groups, repeats = queries.shape[1:3]
        if keys.device.type != "cpu" and repeats > 1:
            # A GPU's fused kernels take a mask or shared heads, not both (torch's documentation).
            keys, values = (part.repeat_interleave(repeats, dim=1) for part in (keys, values))
        mixed = scaled_dot_product_attention(
            queries.flatten(1, 2), keys, values, attn_mask=visible, enable_gqa=True
        )
        return mixed.unflatten(1, (n_groups, -1))

    def _attend_memory(
        self,
        queries: Tensor,
        memory_queries: Tensor,
        keys: Tensor,
        values: Tensor,
        visible: Tensor,
        memory: MemoryView,
    ) -> Tensor:
        """Mix values of local context and memory, a block of heads and queries at a time."""
        mixed = torch.empty_like(queries)
        for heads, rows in self._blocks(queries, keys.shape[-2] + len(memory)):
            mixed[:, heads, :, rows] = softmax_attention(
                queries[:, heads, :, rows],
                keys[:, heads],
                values[:, heads],
                visible[:, :, rows],
                memory.part(heads, rows),
                self.config.mem_top_k,
                memory_queries[:, heads, :, rows],
            )
        return mixed

    def _blocks(self, queries: Tensor, n_keys: int) -> Iterator[tuple[slice, slice]]:
        """Yield slices of key-value heads and queries within ``mem_attention_grouping``."""
        batch, n_groups, repeats, n_queries, _ = queries.shape
        heads, query_step = self.config.mem_attention_grouping or (1, n_queries)
        per_query = batch * repeats * n_keys
        query_step = max(1, min(query_step, MAX_SCORES // per_query))
        group_step = max(1, min(heads // repeats, MAX_SCORES // (per_query * query_step)))
        for group in range(0, n_groups, group_step):
            for row in range(0, n_queries, query_step):
                yield slice(group, group + group_step), slice(row, row + query_step)


def softmax_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    visible: Tensor,
    memory: MemoryView | None,
    top_k: int | None = None,
    memory_queries: Tensor | None = None,
) -> Tensor:
    """Mix values by one softmax over local and memory scores.

    Args:
        queries: (B, G, R, S, D), R query heads for each key-value head.
        keys: (B, G, L, D).
        values: (B, G, L, D).
        visible: bool (B, 1, S, L).
        memory: view of memory for the same heads, if there is one.
        top_k: how many keys of memory each query sees; None for all.
        memory_queries: queries for memory, (B, G, R, S, D), where they differ from ``queries``.

    Returns:
        (B, G, R, S, D).
    """
    scores = scores_of(queries, keys, visible)
    if memory is None:
        return mix(_softmax(scores).to(queries.dtype), values)
    n_local = keys.shape[-2]
    memory_queries = queries if memory_queries is None else memory_queries
    memory_scores, indices = memory.score(memory_queries, top_k)
    weights = _softmax(torch.cat((scores, memory_scores), dim=-1))
    if memory.observe is not None:
        memory.observe(0, weights[..., n_local:], indices)
    local, remote = weights.to(queries.dtype).split((n_local, memory_scores.shape[-1]), dim=-1)
    return mix(local, values) + memory.mix(remote, indices)


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(-1, dtype=torch.float32)
