"""Forward passes through the layers of a LongLLaMA, for one window at a time.

Source: ``modeling_longllama.py``, FoT paper section 3.1.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from longllama_code.model.attention import LayerInputs
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.layers import LayerSteps, Norm
from longllama_code.model.memory_source import InContextMemory, MemorySource
from longllama_code.model.rope import Rotary
from longllama_code.model_config import ModelConfig


class LayerStack:
    """Embeddings, layers and the last norm, whatever their modules are."""

    config: ModelConfig
    embed_tokens: nn.Module
    layers: nn.ModuleList
    norm: Norm
    rotary: Rotary

    def window(
        self,
        embeds: Tensor,
        position_ids: Tensor,
        padding: Tensor,
        cache: LongLlamaCache | None,
        memory: MemorySource | None,
        absorb_into: InContextMemory | None = None,
    ) -> Tensor:
        """Return hidden states (B, S, E), after the last norm, of S tokens that fit in the window.

        Args:
            embeds: (B, S, E).
            position_ids: (B, S).
            padding: bool (B, local + S), False for padding.
            cache: preceding local context, which these tokens extend; None if there is none.
            memory: what memory layers see.
            absorb_into: memory to which these tokens are added afterwards.
        """
        relative, visible = self._plan(position_ids, padding, cache)
        run = self.run_layers(embeds, relative, visible, cache=cache, memory=memory)
        hidden = embeds
        for layer_idx, output, position_zero_keys, values in run:
            hidden = output
            if absorb_into is not None and layer_idx in self.config.mem_layers:
                absorb_into.absorb(layer_idx, position_zero_keys, values)
        if absorb_into is not None:
            absorb_into.absorb_visibility(padding)
        return self.norm(hidden)

    def run_layers(
        self,
        hidden: Tensor,
        positions: Tensor,
        visible: Tensor,
        *,
        layers: range | None = None,
        cache: LongLlamaCache | None = None,
        memory: MemorySource | None = None,
    ) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
        """Run some layers; yield each one's index, output, position-zero keys and values.

        Args:
            hidden: (B, S, E), input of the first of the layers.
            positions: (B, S), counted from the window's first token.
            visible: bool (B, 1, S, L), local keys that each query may see.
            layers: which layers; None for all.
            cache: preceding local context, which these tokens extend.
            memory: what memory layers see.
        """
        scale = self.rotary.position_zero_scale
        inputs = LayerInputs(self.rotary(hidden, positions), scale, visible, cache)
        for layer_idx in range(len(self.layers)) if layers is None else layers:
            run = self.layers[layer_idx]
            # Chosen outside of the layer, which gradient checkpointing runs a second time.
            view = None
            if memory is not None and layer_idx in self.config.mem_layers:
                input_keys = partial(cast("LayerSteps", run).keys_and_values, hidden, scale)
                view = memory.layer_view(layer_idx, input_keys)
            hidden, position_zero_keys, values = run(hidden, replace(inputs, memory=view))
            yield layer_idx, hidden, position_zero_keys, values

    @torch.no_grad()
    def encode_memory(
        self, input_ids: Tensor, memory: MemorySource | None = None
    ) -> dict[int, tuple[Tensor, Tensor]]:
        """Return position-zero keys and values of each memory layer for ids (B, S).

        The tokens see each other, and ``memory`` if it is given. Nothing above the projections of
        the last memory layer runs.

        Returns:
            Layer index → keys and values, each (B, G, S, D).
        """
        hidden = self.embed_tokens(input_ids)
        positions = torch.arange(input_ids.shape[1], device=hidden.device)[None]
        visible = causal_mask(torch.ones_like(positions, dtype=torch.bool), positions.shape[1])
        encoded: dict[int, tuple[Tensor, Tensor]] = {}
        last = max(self.config.mem_layers)
        for layer_idx, output, position_zero_keys, values in self.run_layers(
            hidden, positions, visible, layers=range(last), memory=memory
        ):
            hidden = output
            if layer_idx in self.config.mem_layers:
                encoded[layer_idx] = position_zero_keys, values
        layer = cast("LayerSteps", self.layers[last])
        encoded[last] = layer.keys_and_values(hidden, self.rotary.position_zero_scale)
        return encoded

    def _plan(
        self, position_ids: Tensor, padding: Tensor, cache: LongLlamaCache | None
    ) -> tuple[Tensor, Tensor]:
        """Return positions relative to the window's first token, and the causal mask."""
        n_tokens = position_ids.shape[1]
        if cache is None:
            return position_ids - position_ids.min(1, keepdim=True).values, causal_mask(
                padding, n_tokens
            )
        relative = cache.begin(position_ids, padding)
        return relative, causal_mask(padding[:, -cache.local_length :], n_tokens)


def causal_mask(padding: Tensor, n_queries: int) -> Tensor:
    """Return which of K local keys the last S tokens may see: bool (B, 1, S, K)."""
    n_keys = padding.shape[1]
    causal = torch.ones(n_queries, n_keys, dtype=torch.bool, device=padding.device)
    return causal.tril(n_keys - n_queries) & padding[:, None, None, :]
