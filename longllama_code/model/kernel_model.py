"""A model on a CPU, by kernels, with weights in few bits: what suggestions are written with.

The same as ``LongLlamaModel`` for one sequence whose local context has no padding and does not
spill. A token comes out the same, bit for bit, alone or behind others in the pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from longllama_code.config import LongLlamaConfig
from longllama_code.kernels.attention import add_memory, attend, weigh_beside
from longllama_code.kernels.attention_tiles import LANES
from longllama_code.kernels.block_matrices import BlockMatrix
from longllama_code.kernels.layer import (
    Floats,
    add,
    gate,
    normalize,
    place_heads,
    rotate,
    split_heads,
)
from longllama_code.kernels.quantized import Matrix, QuantizedMatrix
from longllama_code.kernels.row_matrices import JoinedMatrix
from longllama_code.kernels.threads import Threads
from longllama_code.model.blocks import BlockLinear
from longllama_code.model.cache import LongLlamaCache
from longllama_code.model.layers import LongLlamaDecoderLayer
from longllama_code.model.memory import MemoryOffer, MemorySource
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.quantized import Int4Linear, Int8Linear

MEASURED_ROWS = 128
"""Tokens of the product by which the number of threads is chosen."""


LINEAR = nn.Linear, Int8Linear, Int4Linear, BlockLinear
EMPTY = np.empty((0, 0), np.float32)


class KernelModel:
    """A model's weights in 8 or 4 bits or a file's blocks, and passes with them.

    Weights that are rounded already are read where they are; others are rounded to 8 bits.

    Args:
        model: one that ``fits``.
        n_threads: most threads to use; fewer, where more are no faster.
    """

    def __init__(self, model: LongLlamaForCausalLM, n_threads: int = 1) -> None:
        self._model, self._config = model.model, model.config
        self._layers = [
            _Layer.of(cast("LongLlamaDecoderLayer", layer)) for layer in model.model.layers
        ]
        self._norm = _floats(model.model.norm.weight)
        self._head = _matrix(model.lm_head)
        self._kind = _kind(model)
        self._threads = _threads(n_threads, self._layers[0].gate_up)

    @staticmethod
    def fits(model: LongLlamaForCausalLM) -> bool:
        """Whether there are kernels for this model, where it is."""
        config = model.config
        linears = [module for module in model.modules() if isinstance(module, LINEAR)]
        n_linears = 1 + 7 * config.num_hidden_layers
        head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        return (
            model.device.type == "cpu"
            and head_dim % LANES == 0
            and model.dtype == torch.float32
            and config.hidden_act == "silu"
            and not config.attention_bias
            and not config.mlp_bias
            and len(linears) == n_linears
            and all(map(_has_kernel, linears))
        )

    @property
    def threads(self) -> Threads:
        """Those that are used."""
        return self._threads

    @property
    def kind(self) -> str:
        """How the layers' weights are kept: ``int8``, ``int4``, or ``gguf``, in a file's blocks."""
        return self._kind

    @property
    def nbytes(self) -> int:
        """Bytes of the rounded weights."""
        return self._head.nbytes + sum(layer.nbytes for layer in self._layers)

    @torch.inference_mode()
    def run(self, ids: list[int], cache: LongLlamaCache, memory: MemorySource | None) -> Tensor:
        """Hidden states (S, E), after the last norm, of ids that follow those in the cache."""
        state = self._embedded(ids)
        tables = self._begin(len(ids), cache)
        for index, layer in enumerate(self._layers):
            offer = None
            if memory is not None and index in self._config.mem_layers:
                offer = memory.offer(index, _own_keys)
            layer.run(state, tables, cache, offer, self._threads)
        normed = np.empty_like(state)
        normalize(state, self._norm, self._config.rms_norm_eps, normed)
        return torch.from_numpy(normed)

    @torch.inference_mode()
    def encode_memory(self, ids: list[int]) -> dict[int, tuple[Tensor, Tensor]]:
        """Keys as first and values of each memory layer, each (1, G, S, D).

        As ``LongLlamaModel.encode_memory``, for S ids that see nothing but each other.
        """
        state, cache = self._embedded(ids), LongLlamaCache(self._config, spills=False)
        tables, scale = self._begin(len(ids), cache), self._model.rotary.first_scale
        encoded: dict[int, tuple[Tensor, Tensor]] = {}
        last = max(self._config.mem_layers)
        for index, layer in enumerate(self._layers[: last + 1]):
            if index < last:
                joined = layer.run(state, tables, cache, None, self._threads)
            else:
                joined = layer.project(state, self._threads)
            if index in self._config.mem_layers:
                keys, values = (torch.from_numpy(part)[None] for part in layer.as_stored(joined))
                encoded[index] = keys * scale, values
        return encoded

    def logits(self, hidden: Tensor) -> Tensor:
        """(V,) after one token's hidden state (E,)."""
        return torch.from_numpy(self._head.times(hidden[None].numpy())[0])

    def _embedded(self, ids: list[int]) -> Floats:
        return self._model.embed_tokens(torch.tensor(ids)).numpy().copy()

    def _begin(self, n_tokens: int, cache: LongLlamaCache) -> _Tables:
        """Room for so many tokens in the cache, and their rotation."""
        start = cache.local_length
        positions = torch.arange(start, start + n_tokens)[None]
        visible = torch.ones(1, start + n_tokens, dtype=torch.bool)
        rotation = self._model.rotary(torch.empty(0), cache.begin(positions, visible))
        return _Tables(_table(rotation.own, n_tokens), _table(rotation.asking, n_tokens))


def let_go(model: LongLlamaForCausalLM) -> None:
    """Drop the weights that a ``KernelModel`` has taken; what is left cannot run by itself."""
    kept = getattr(model.model.embed_tokens, "weight", None)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight is not kept:
            module.to("meta")


class _Tables(NamedTuple):
    """Cosines and sines for the tokens of a pass, each (S, D)."""

    own: tuple[Floats, Floats]
    """Of their positions."""
    asking: tuple[Floats, Floats]
    """Of the positions at which they ask memory."""


@dataclass(frozen=True)
class _Layer:
    """One decoder layer."""

    index: int
    config: LongLlamaConfig
    rotates: bool
    n_heads: int
    n_kv_heads: int
    head_dim: int
    mem_heads: tuple[int, ...]
    eps: float
    input_norm: Floats
    qkv: Matrix
    qkv_bias: Floats
    """Empty where there is none."""
    out: Matrix
    inner_norm: Floats
    gate_up: Matrix
    down: Matrix

    @classmethod
    def of(cls, layer: LongLlamaDecoderLayer) -> _Layer:
        """A layer of the model."""
        attention, mlp = layer.self_attn, layer.mlp
        config = attention.config
        projections = attention.q_proj, attention.k_proj, attention.v_proj
        biases = [_floats(p.bias) for p in projections] if config.qkv_bias else []
        return cls(
            index=attention.layer_idx,
            config=config,
            rotates=attention.rotates,
            n_heads=config.num_attention_heads,
            n_kv_heads=config.n_kv_heads,
            head_dim=attention.head_dim,
            mem_heads=attention.mem_heads,
            eps=config.rms_norm_eps,
            input_norm=_floats(layer.input_layernorm.weight),
            qkv=_matrix(*projections),
            qkv_bias=np.concatenate(biases) if biases else np.empty(0, np.float32),
            out=_matrix(attention.o_proj),
            inner_norm=_floats(layer.post_attention_layernorm.weight),
            gate_up=_matrix(mlp.gate_proj, mlp.up_proj),
            down=_matrix(mlp.down_proj),
        )

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.qkv, self.out, self.gate_up, self.down))

    def run(
        self,
        state: Floats,
        tables: _Tables,
        cache: LongLlamaCache,
        offer: MemoryOffer | None,
        threads: Threads,
    ) -> Floats:
        """Let (S, E) pass through the layer, in place; its joined projections."""
        joined = self.project(state, threads)
        attended = self._attend(joined, tables, cache, offer, threads)
        add(state, self.out.times(attended, threads))
        normed = np.empty_like(state)
        normalize(state, self.inner_norm, self.eps, normed)
        both = self.gate_up.times(normed, threads)
        gated = np.empty((len(both), both.shape[1] // 2), np.float32)
        gate(both, gated)
        add(state, self.down.times(gated, threads))
        return joined

    def project(self, state: Floats, threads: Threads) -> Floats:
        """Queries, keys and values behind each other, (S, (H + 2 · G) · D)."""
        normed = np.empty_like(state)
        normalize(state, self.input_norm, self.eps, normed)
        joined = self.qkv.times(normed, threads)
        if self.qkv_bias.size:
            joined += self.qkv_bias
        return joined

    def as_stored(self, joined: Floats) -> tuple[Floats, Floats]:
        """The unrotated keys and the values in joined projections, each (G, S, D)."""
        keys = self._heads(joined, self.n_heads, self.n_kv_heads)
        return keys, self._heads(joined, self.n_heads + self.n_kv_heads, self.n_kv_heads)

    def _attend(
        self,
        joined: Floats,
        tables: _Tables,
        cache: LongLlamaCache,
        offer: MemoryOffer | None,
        threads: Threads,
    ) -> Floats:
        """What the heads mix, (S, H · D)."""
        n_rows = len(joined)
        n_before = cache.local_length - n_rows
        queries = np.empty((self.n_heads, n_rows, self.head_dim), np.float32)
        room = cache.make_room(self.index, torch.empty(1, self.n_kv_heads, n_rows, self.head_dim))
        keys, values = (part[0].numpy() for part in room)
        cos, sin = tables.own if self.rotates else (EMPTY, EMPTY)
        place_heads(joined, cos, sin, n_before, queries, keys, values)
        mixed = np.empty((n_rows, self.n_heads * self.head_dim), np.float32)
        totals = np.empty((n_rows, self.n_heads), np.float32)

        def attend_rows(first: int, end: int) -> None:
            rows, before = np.ascontiguousarray(queries[:, first:end]), n_before + first
            attend(rows, keys, values, before, mixed[first:end], totals[first:end])

        threads.run(attend_rows, n_rows)
        if offer is not None:
            asking = self._heads(joined, 0, self.n_heads)
            if self.rotates:
                unrotated, asking = asking, np.empty_like(asking)
                rotate(unrotated, *tables.asking, asking)
            self._add_memory(mixed, totals, asking, offer)
        return mixed

    def _add_memory(
        self, mixed: Floats, totals: Floats, asking: Floats, offer: MemoryOffer
    ) -> None:
        """Let memory heads attend to memory, too, in the same softmax."""
        of_groups = self.n_kv_heads, -1, len(mixed)
        heads = np.array(self.mem_heads)
        asked = asking.reshape(*of_groups, self.head_dim)[heads]
        scores, indices = offer.score(torch.from_numpy(asked)[None], self.config.mem_top_k)
        found = scores[0].float().contiguous().numpy()
        local = totals.T.reshape(of_groups)[heads]
        weights, kept = np.empty_like(found), np.empty_like(local)
        weigh_beside(found, local, weights, kept)
        shares = torch.from_numpy(weights)[None]
        if offer.note is not None:
            offer.note(0, shares, indices)
        add_memory(mixed, heads, kept, offer.mix(shares, indices)[0].numpy())

    def _heads(self, joined: Floats, first: int, n_heads: int) -> Floats:
        heads = np.empty((n_heads, len(joined), self.head_dim), np.float32)
        split_heads(joined, first * self.head_dim, heads)
        return heads


def _table(table: tuple[Tensor, Tensor], n_tokens: int) -> tuple[Floats, Floats]:
    """As kernels take it; the same for all tokens where there is one position."""
    cos, sin = (part[0, 0].expand(n_tokens, -1).contiguous().numpy() for part in table)
    return cos, sin


def _own_keys() -> tuple[Tensor, Tensor]:
    raise NotImplementedError("rows of a batch see each other in training alone")


def _threads(most: int, matrix: Matrix) -> Threads:
    """As many threads as make a product faster, at most ``most``."""
    inputs = np.ones((MEASURED_ROWS, matrix.n_inputs), np.float32)
    outputs = matrix.times(inputs)

    def multiply_rows(first: int, end: int) -> None:
        outputs[first:end] = matrix.times(inputs[first:end])

    return Threads.measured(most, multiply_rows, MEASURED_ROWS)


def _matrix(*linears: nn.Module) -> Matrix:
    """Linear maps of one input, their outputs behind each other."""
    if isinstance(linears[0], BlockLinear):
        return BlockMatrix([cast("BlockLinear", linear).rows for linear in linears])
    rounded = [linear.matrix() for linear in linears if isinstance(linear, Int8Linear | Int4Linear)]
    if rounded:
        return rounded[0] if len(rounded) == 1 else JoinedMatrix(rounded)
    weights = [_floats(cast("nn.Linear", linear).weight) for linear in linears]
    return QuantizedMatrix.of(np.concatenate(weights))


def _kind(model: nn.Module) -> str:
    modules = [*model.modules()]
    if any(isinstance(module, BlockLinear) for module in modules):
        return "gguf"
    return "int4" if any(isinstance(module, Int4Linear) for module in modules) else "int8"


def _has_kernel(linear: nn.Module) -> bool:
    if isinstance(linear, BlockLinear):
        return True
    if isinstance(linear, Int8Linear | Int4Linear):
        return linear.has_kernel
    return QuantizedMatrix.fits(cast("nn.Linear", linear).in_features)


def _floats(weight: Tensor) -> Floats:
    return weight.detach().numpy()
