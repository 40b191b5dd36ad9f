"""A model on a CPU, by kernels, with weights in few bits: what suggestions are written with.

The same as ``LongLlamaModel`` for one sequence whose local context has no padding and does not
spill. A token comes out the same, bit for bit, alone or behind others in the pass.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from longllama_code.kernels.codegen.attention_tiles import LANES
from longllama_code.kernels.layer import Floats, normalize
from longllama_code.kernels.matrices.quantized import Matrix, QuantizedMatrix
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.model.by_kernels.block_layers import BlockLayer, BlockLayers
from longllama_code.model.by_kernels.kernel_layer import (
    KernelLayer,
    Tables,
    Turn,
    floats_of,
    matrix_of,
)
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.layers import LongLlamaDecoderLayer
from longllama_code.model.memory_source import MemorySource
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rounded.blocks import BlockLinear
from longllama_code.model.rounded.quantized import Int4Linear, Int8Linear

MEASURED_ROWS = 128
"""Tokens of the product by which the number of threads is chosen."""
LINEAR = nn.Linear, Int8Linear, Int4Linear, BlockLinear


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
            _layer(cast("LongLlamaDecoderLayer", layer)) for layer in model.model.layers
        ]
        in_blocks = [layer for layer in self._layers if isinstance(layer, BlockLayer)]
        self._together = BlockLayers(in_blocks) if len(in_blocks) == len(self._layers) else None
        self._norm = floats_of(model.model.norm.weight)
        self._head = matrix_of(model.lm_head)
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
        if self._together is not None and (memory is None or not self._config.mem_layers):
            self._together.run(state, tables.own, cache, self._threads)
        else:
            self._run_one_by_one(state, tables, cache, memory)
        normed = np.empty_like(state)
        normalize(state, self._norm, self._config.rms_norm_eps, normed)
        return torch.from_numpy(normed)

    def _run_one_by_one(
        self, state: Floats, tables: Tables, cache: LongLlamaCache, memory: MemorySource | None
    ) -> None:
        for index, layer in enumerate(self._layers):
            offer = None
            if memory is not None and index in self._config.mem_layers:
                offer = memory.offer(index, _own_keys)
            layer.run(state, tables, cache, offer, self._threads)

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
        return torch.from_numpy(self._head.times(hidden[None].numpy(), self._threads)[0])

    def _embedded(self, ids: list[int]) -> Floats:
        return self._model.embed_tokens(torch.tensor(ids)).numpy().copy()

    def _begin(self, n_tokens: int, cache: LongLlamaCache) -> Tables:
        """Room for so many tokens in the cache, and their rotation."""
        start = cache.local_length
        positions = torch.arange(start, start + n_tokens)[None]
        visible = torch.ones(1, start + n_tokens, dtype=torch.bool)
        rotation = self._model.rotary(torch.empty(0), cache.begin(positions, visible))
        return Tables(_table(rotation.own, n_tokens), _table(rotation.asking, n_tokens))


def let_go(model: LongLlamaForCausalLM) -> None:
    """Drop the weights that a ``KernelModel`` has taken; what is left cannot run by itself."""
    kept = getattr(model.model.embed_tokens, "weight", None)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight is not kept:
            module.to("meta")


def _layer(layer: LongLlamaDecoderLayer) -> KernelLayer:
    mlp, attention = layer.mlp, layer.self_attn
    linears = attention.q_proj, attention.o_proj, mlp.gate_proj, mlp.down_proj
    in_blocks = all(isinstance(linear, BlockLinear) for linear in linears)
    return (BlockLayer if in_blocks else KernelLayer).of(layer)


def _table(table: tuple[Tensor, Tensor], n_tokens: int) -> Turn:
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
