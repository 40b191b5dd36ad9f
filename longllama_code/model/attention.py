"""Attention with one softmax over the local context and whatever memory is offered.

Source: FoT paper, section 3.1; ``modeling_longllama.py:LongLlamaAttention`` (softmax runs in
float32). The scores of memory are computed apart from the local ones and
normalised together, so the keys and values of a large memory are never copied.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from longllama_code.config import LongLlamaConfig
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.memory_source import MemoryOffer
from longllama_code.model.rope import Rotation, Turn, rotate, rotate_as_first
from longllama_code.model.scoring import mix, scores_of

MAX_SCORES = 1 << 24
"""Scores held at once, whatever ``mem_attention_grouping`` allows: 64 MB in float32."""


class Projected(NamedTuple):
    """What attention needs of its input."""

    queries: Tensor
    """(B, H, S, D)."""
    asking: Tensor
    """The queries that memory is asked with, likewise."""
    keys: Tensor
    """Of the local context, (B, G, S, D)."""
    as_first: Tensor
    """What memory stores of them, likewise."""
    values: Tensor
    """Likewise."""


class LongLlamaAttention(nn.Module):
    """Grouped-query attention of one layer."""

    def __init__(self, config: LongLlamaConfig, layer_idx: int) -> None:
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

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        first_scale: float,
        visible: Tensor,
        cache: LongLlamaCache | None,
        offer: MemoryOffer | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend; also return this input's keys as first and values, each (B, G, S, D).

        Args:
            hidden: (B, S, E).
            rotation: of the S tokens.
            first_scale: what rotating a key as if first multiplies it by.
            visible: bool (B, 1, S, L), which local keys a query may see.
            cache: the local context that came before, if any; this input is appended to it.
            offer: what the memory heads see beyond it, if anything.
        """
        asking = None if offer is None else rotation.asking
        projected = self.project(hidden, rotation.own, asking, first_scale)
        mixed = self.attend(projected, visible, cache, offer)
        return self.o_proj(mixed), projected.as_first, projected.values

    def project(
        self, hidden: Tensor, own: Turn, asking: Turn | None, first_scale: float
    ) -> Projected:
        """What attention needs of (B, S, E).

        Args:
            hidden: (B, S, E).
            own: turns each token to its position.
            asking: turns each query to where it asks memory; None where there is no memory.
            first_scale: what rotating a key as if first multiplies it by.
        """
        unrotated = self._heads(self.q_proj(hidden))
        as_first, values = self.keys_and_values(hidden, first_scale)
        if not self.rotates:
            return Projected(unrotated, unrotated, as_first, as_first, values)
        return Projected(
            queries=rotate(unrotated, *own),
            asking=unrotated if asking is None else rotate(unrotated, *asking),
            keys=rotate(self._unscaled(as_first, first_scale), *own),
            as_first=as_first,
            values=values,
        )

    def attend(
        self,
        projected: Projected,
        visible: Tensor,
        cache: LongLlamaCache | None,
        offer: MemoryOffer | None,
    ) -> Tensor:
        """Values mixed over local context and memory, (B, S, H * D); arguments as ``forward``'s."""
        queries, asking, keys, as_first, values = projected
        if cache is not None:
            keys, values = cache.append(self.layer_idx, keys, as_first, values)
        mixed = self._attend(queries, asking, keys, values, visible, offer)
        return mixed.transpose(1, 2).flatten(2)

    def keys_and_values(self, hidden: Tensor, first_scale: float) -> tuple[Tensor, Tensor]:
        """The keys as first and the values of (B, S, E), each (B, G, S, D): what memory stores."""
        keys = self._heads(self.k_proj(hidden))
        as_first = rotate_as_first(keys, first_scale) if self.rotates else keys
        return as_first, self._heads(self.v_proj(hidden))

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    @staticmethod
    def _unscaled(as_first: Tensor, first_scale: float) -> Tensor:
        return as_first if first_scale == 1.0 else as_first / first_scale

    def _attend(
        self,
        queries: Tensor,
        asking: Tensor,
        keys: Tensor,
        values: Tensor,
        visible: Tensor,
        offer: MemoryOffer | None,
    ) -> Tensor:
        """Mix values for (B, H, S, D) queries; heads with and without memory part ways here.

        ``asking`` are the queries that memory is asked with.
        """
        grouped = queries.unflatten(1, (keys.shape[1], -1))
        if offer is None:
            return self._attend_local(grouped, keys, values, visible).flatten(1, 2)
        asking = asking.unflatten(1, (keys.shape[1], -1))
        if not self.local_heads:
            return self._attend_memory(grouped, asking, keys, values, visible, offer).flatten(1, 2)
        mixed = torch.empty_like(grouped)
        with_memory, local = list(self.mem_heads), list(self.local_heads)
        mixed[:, with_memory] = self._attend_memory(
            grouped[:, with_memory],
            asking[:, with_memory],
            keys[:, with_memory],
            values[:, with_memory],
            visible,
            offer,
        )
        mixed[:, local] = self._attend_local(
            grouped[:, local], keys[:, local], values[:, local], visible
        )
        return mixed.flatten(1, 2)

    def _attend_local(
        self, queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor
    ) -> Tensor:
        """Attention of (B, G, R, S, D) queries to the local context alone."""
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
        asking: Tensor,
        keys: Tensor,
        values: Tensor,
        visible: Tensor,
        offer: MemoryOffer,
    ) -> Tensor:
        """Attention to local context and memory, a block of heads and queries at a time."""
        mixed = torch.empty_like(queries)
        for heads, rows in self._blocks(queries, keys.shape[-2] + len(offer)):
            mixed[:, heads, :, rows] = softmax_attention(
                queries[:, heads, :, rows],
                keys[:, heads],
                values[:, heads],
                visible[:, :, rows],
                offer.part(heads, rows),
                self.config.mem_top_k,
                asking[:, heads, :, rows],
            )
        return mixed

    def _blocks(self, queries: Tensor, n_keys: int) -> Iterator[tuple[slice, slice]]:
        """Slices of key-value heads and queries that respect ``mem_attention_grouping``."""
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
    offer: MemoryOffer | None,
    top_k: int | None = None,
    asking: Tensor | None = None,
) -> Tensor:
    """One softmax over local and memory scores.

    Args:
        queries: (B, G, R, S, D), R query heads for each key-value head.
        keys: (B, G, L, D).
        values: (B, G, L, D).
        visible: bool (B, 1, S, L).
        offer: memory of the same heads, or None.
        top_k: how many keys of memory each query sees; None for all.
        asking: the queries that memory is asked with, (B, G, R, S, D); None for the same.

    Returns:
        (B, G, R, S, D).
    """
    scores = scores_of(queries, keys, visible)
    if offer is None:
        return mix(_softmax(scores).to(queries.dtype), values)
    n_local = keys.shape[-2]
    memory_scores, indices = offer.score(queries if asking is None else asking, top_k)
    weights = _softmax(torch.cat((scores, memory_scores), dim=-1))
    if offer.note is not None:
        offer.note(0, weights[..., n_local:], indices)
    local, remote = weights.to(queries.dtype).split((n_local, memory_scores.shape[-1]), dim=-1)
    return mix(local, values) + offer.mix(remote, indices)


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(-1, dtype=torch.float32)
