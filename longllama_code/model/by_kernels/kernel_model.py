"""A model run by compiled kernels on a CPU, with weights in few bits; it writes suggestions.

It computes what ``LongLlamaModel`` does, for one sequence whose local context has no padding and
does not spill. A token's result does not depend, to the bit, on the other tokens of the pass.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from longllama_code.kernels.codegen.attention_tiles import LANES
from longllama_code.kernels.layer import Floats, normalize
from longllama_code.kernels.matrices.quantized import Matrix, QuantizedMatrix
from longllama_code.kernels.matrices.room import Room
from longllama_code.kernels.sharing.threads import Threads, least_seconds
from longllama_code.model.by_kernels.block_layers import BlockLayer, BlockLayers
from longllama_code.model.by_kernels.kernel_layer import (
    CosSin,
    KernelLayer,
    Rotation,
    floats_of,
    matrix_of,
)
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.memory_source import MemorySource
from longllama_code.model.rounded.blocks import BlockLinear
from longllama_code.model.rounded.quantized import Int4Linear, Int8Linear

if TYPE_CHECKING:
    from longllama_code.model.any_model import AnyModel
    from longllama_code.model.layers import LayerSteps

MEASURED_ROWS = 128
"""Tokens of the product whose speed decides the number of threads for prompts."""
FEW_ROWS = 8
"""Most tokens of a pass that has the threads for decoding: a token, and a draft of others."""
DRAFTED_ROWS, MOST_DRAFT_COST = 4, 2.0
"""A token and a draft of three others, and how many passes over one token that may cost: a draft is
right in one token of two, or less."""
LINEAR = nn.Linear, Int8Linear, Int4Linear, BlockLinear


class KernelModel:
    """A model's weights in 8 bits, 4 bits or the blocks of a GGUF file, and forward passes.

    Weights that are quantized already are shared with the model; others are rounded to 8 bits.

    Args:
        model: a model for which ``fits`` is true.
        n_threads: most threads to use; fewer are used if more are no faster.
    """

    def __init__(self, model: AnyModel, n_threads: int = 1) -> None:
        self._model, self._config = model.model, model.config
        room = Room()
        layers = [cast("LayerSteps", layer) for layer in model.model.layers]
        with ThreadPoolExecutor(n_threads) as weavers:
            self._layers = [*weavers.map(partial(_layer, room=room), layers)]
        in_blocks = [layer for layer in self._layers if isinstance(layer, BlockLayer)]
        self._together = BlockLayers(in_blocks) if len(in_blocks) == len(self._layers) else None
        self._norm = floats_of(model.model.norm.weight)
        self._head = matrix_of(model.lm_head, room=room)
        self._kind = _kind(model)
        self._threads = _threads(n_threads, self._layers[0].gate_up, MEASURED_ROWS)
        few = _threads(self._threads.n_threads, self._layers[0].gate_up, 1)
        self._few_threads = self._threads if few.n_threads == self._threads.n_threads else few
        self.drafts_pay = _drafts_pay(self._layers[0].gate_up, self._few_threads)
        """Whether this CPU verifies a draft in less time than the tokens take one by one."""

    @staticmethod
    def fits(model: AnyModel) -> bool:
        """Whether there are kernels for this model on its device."""
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
        """Threads that share the work on prompts."""
        return self._threads

    @property
    def decoding_threads(self) -> Threads:
        """Threads that share the work on one token."""
        return self._few_threads

    def _threads_for(self, n_tokens: int) -> Threads:
        return self._few_threads if n_tokens <= FEW_ROWS else self._threads

    @property
    def kind(self) -> str:
        """Format of the layers' weights: ``int8``, ``int4``, or ``gguf`` for blocks of a file."""
        return self._kind

    @property
    def nbytes(self) -> int:
        """Bytes of the quantized weights."""
        return self._head.nbytes + sum(layer.nbytes for layer in self._layers)

    @torch.inference_mode()
    def run(self, ids: list[int], cache: LongLlamaCache, memory: MemorySource | None) -> Tensor:
        """Return hidden states (S, E), after the last norm, of ids that follow the cache."""
        state = self._embedded(ids)
        rotation = self._begin(len(ids), cache)
        if self._together is not None and (memory is None or not self._config.mem_layers):
            self._together.run(state, rotation.local, cache, self._threads_for(len(ids)))
        else:
            self._run_one_by_one(state, rotation, cache, memory)
        normed = np.empty_like(state)
        normalize(state, self._norm, self._config.rms_norm_eps, normed)
        return torch.from_numpy(normed)

    def _run_one_by_one(
        self, state: Floats, rotation: Rotation, cache: LongLlamaCache, memory: MemorySource | None
    ) -> None:
        for index, layer in enumerate(self._layers):
            view = None
            if memory is not None and index in self._config.mem_layers:
                view = memory.layer_view(index, _input_keys)
            layer.run(state, rotation, cache, view, self._threads_for(len(state)))

    @torch.inference_mode()
    def encode_memory(self, ids: list[int]) -> dict[int, tuple[Tensor, Tensor]]:
        """Return position-zero keys and values of each memory layer for S ids.

        The ids see nothing but each other; compare ``LongLlamaModel.encode_memory``.

        Returns:
            Layer index → keys and values, each (1, G, S, D).
        """
        state, cache = self._embedded(ids), LongLlamaCache(self._config, spills=False)
        rotation, scale = self._begin(len(ids), cache), self._model.rotary.position_zero_scale
        encoded: dict[int, tuple[Tensor, Tensor]] = {}
        last = max(self._config.mem_layers)
        for index, layer in enumerate(self._layers[: last + 1]):
            if index < last:
                joined = layer.run(state, rotation, cache, None, self._threads)
            else:
                joined = layer.project(state, self._threads)
            if index in self._config.mem_layers:
                keys, values = (torch.from_numpy(part)[None] for part in layer.as_stored(joined))
                encoded[index] = keys * scale, values
        return encoded

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits (…, V) for the hidden states (…, E) of a token or of a few."""
        rows = hidden.reshape(-1, hidden.shape[-1]).numpy()
        logits = torch.from_numpy(self._head.times(rows, self._few_threads))
        return logits.view(*hidden.shape[:-1], -1)

    def _embedded(self, ids: list[int]) -> Floats:
        return self._model.embed_tokens(torch.tensor(ids)).numpy().copy()

    def _begin(self, n_tokens: int, cache: LongLlamaCache) -> Rotation:
        """Make room in the cache for ``n_tokens`` tokens; return their rotation."""
        start = cache.following
        positions = torch.arange(start, start + n_tokens)[None]
        visible = torch.ones(1, cache.local_length + n_tokens, dtype=torch.bool)
        rotation = self._model.rotary(torch.empty(0), cache.begin(positions, visible))
        return Rotation(_arrays(rotation.local, n_tokens), _arrays(rotation.memory, n_tokens))


def drop_weights(model: AnyModel) -> None:
    """Free the weights that a ``KernelModel`` has copied; the model cannot run afterwards."""
    kept = getattr(model.model.embed_tokens, "weight", None)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight is not kept:
            module.to("meta")


def _layer(layer: LayerSteps, room: Room) -> KernelLayer:
    mlp, attention = layer.mlp, layer.self_attn
    linears = attention.q_proj, attention.o_proj, mlp.gate_proj, mlp.down_proj
    in_blocks = all(isinstance(linear, BlockLinear) for linear in linears)
    return (BlockLayer if in_blocks else KernelLayer).of(layer, room)


def _arrays(cos_sin: tuple[Tensor, Tensor], n_tokens: int) -> CosSin:
    """Return cosines and sines as arrays (S, D); a single position is repeated for all tokens."""
    cos, sin = (part[0, 0].expand(n_tokens, -1).contiguous().numpy() for part in cos_sin)
    return cos, sin


def _input_keys() -> tuple[Tensor, Tensor]:
    raise NotImplementedError(
        "kernels run one sequence; rows of a batch see each other in LongLlamaModel alone"
    )


def _threads(most: int, matrix: Matrix, n_rows: int) -> Threads:
    """Return as many threads as make a product faster, at most ``most``."""
    inputs = np.ones((n_rows, matrix.n_inputs), np.float32)
    matrix.times(inputs)
    return Threads.measured(most, lambda threads: matrix.times(inputs, threads))


def _drafts_pay(matrix: Matrix, threads: Threads) -> bool:
    one, few = (np.ones((n_rows, matrix.n_inputs), np.float32) for n_rows in (1, DRAFTED_ROWS))
    matrix.times(few)
    works = [partial(matrix.times, inputs, threads) for inputs in (one, few)]
    of_one, of_few = least_seconds(works)
    return of_few < MOST_DRAFT_COST * of_one


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
