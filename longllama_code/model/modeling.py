"""LongLLaMA for transformers: early windows of a long input go to memory, the last stays local.

Source: ``modeling_longllama.py`` (``_handle_long_input`` for the windows), FoT paper section 4.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from longllama_code.config import LongLlamaConfig
from longllama_code.model.attention import LayerInputs
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.generation_cache import GenerationCache
from longllama_code.model.layers import LongLlamaDecoderLayer
from longllama_code.model.memory_source import InContextMemory, MemorySource
from longllama_code.model.rope import Rotary


class LongLlamaPreTrainedModel(PreTrainedModel):
    """Class attributes by which transformers loads, saves, places and tunes a LongLLaMA."""

    config: LongLlamaConfig  # pyright: ignore[reportIncompatibleVariableOverride]
    config_class = LongLlamaConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["LongLlamaDecoderLayer"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values", "memory"]  # noqa: RUF012
    _keys_to_ignore_on_load_unexpected = [  # noqa: RUF012
        r"rotary_emb\.inv_freq",
        r"decoder\.version",
    ]
    _supports_sdpa = True


class LongLlamaModel(LongLlamaPreTrainedModel):
    """The transformer without the language model head."""

    def __init__(self, config: LongLlamaConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(
            LongLlamaDecoderLayer(config, layer_idx)
            for layer_idx in range(config.num_hidden_layers)
        )
        self.norm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.rotary = Rotary(config)
        self.gradient_checkpointing = False
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: LongLlamaCache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        last_context_length: int | None = None,
        memory: MemorySource | None = None,
        hidden_to_keep: int = 0,
        **_: Any,
    ) -> BaseModelOutputWithPast:
        """Return hidden states (B, S, E) of an input of any length, and the cache to continue from.

        All but the last ``last_context_length`` tokens go into memory, window by window.

        Args:
            input_ids: int64 (B, S).
            attention_mask: (B, T), zero for padding; T covers the local cache and the input.
            position_ids: int64 (B, S); by default they continue those of the cache.
            past_key_values: cache of the preceding tokens.
            inputs_embeds: (B, S, E), instead of ``input_ids``.
            use_cache: whether to return a cache.
            last_context_length: overrides the configuration's.
            memory: what memory layers see instead of this input's own earlier windows.
            hidden_to_keep: number of tokens at the end whose states are returned, 0 for all; it
                bounds what a long input takes to its memory and one window.

        Raises:
            ValueError: ``past_key_values`` was given with ``use_cache=False``, or
                ``attention_mask`` does not cover the cache and the input.
        """
        source = cast("Tensor", input_ids if inputs_embeds is None else inputs_embeds)
        use_cache = self._uses_cache(use_cache)
        if past_key_values is not None and not use_cache:
            raise ValueError(
                "past_key_values was given with use_cache=False, but it has to grow; leave out one "
                "of the two."
            )
        cache = past_key_values or GenerationCache(self.config, spills=memory is None)
        n_tokens, n_cached = source.shape[1], cache.local_length
        n_dropped = n_tokens - hidden_to_keep if hidden_to_keep else 0
        padding = _padding(attention_mask, source, n_cached)
        positions = _positions(position_ids, source, cache)
        n_last = last_context_length or self.config.last_context_length
        continues = cache.seen_tokens > 0
        hidden: list[Tensor] = []
        for start, end in windows(n_tokens, n_last, self.config.window):
            goes_on = continues or (use_cache and end == n_tokens)
            seen = padding[:, (n_cached + start - cache.local_length) : n_cached + end]
            part = source[:, start:end]
            states = self.window(
                self.embed_tokens(part) if inputs_embeds is None else part,
                positions[:, start:end],
                seen,
                cache if goes_on else None,
                memory if memory is not None else cache.memory,
                absorb_into=None if goes_on or end == n_tokens else cache.memory,
            )
            if end > n_dropped:
                hidden.append(states[:, max(n_dropped - start, 0) :])
        return BaseModelOutputWithPast(
            last_hidden_state=cast("Any", torch.cat(hidden, dim=1)),
            past_key_values=cast("Any", cache) if use_cache else None,
        )

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
            layer = cast("LongLlamaDecoderLayer", self.layers[layer_idx])
            # Chosen outside of the layer, which gradient checkpointing runs a second time.
            view = None
            if memory is not None and layer_idx in self.config.mem_layers:
                input_keys = partial(layer.keys_and_values, hidden, scale)
                view = memory.layer_view(layer_idx, input_keys)
            hidden, position_zero_keys, values = layer(hidden, replace(inputs, memory=view))
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
        layer = cast("LongLlamaDecoderLayer", self.layers[last])
        encoded[last] = layer.keys_and_values(hidden, self.rotary.position_zero_scale)
        return encoded

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        self.embed_tokens = value

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

    def _uses_cache(self, use_cache: bool | None) -> bool:
        wanted = self.config.use_cache if use_cache is None else use_cache
        return bool(wanted) and not (self.gradient_checkpointing and self.training)


class LongLlamaForCausalLM(LongLlamaPreTrainedModel, GenerationMixin):
    """LongLLaMA with its language model head; ``generate`` works on inputs of any length."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: LongLlamaConfig) -> None:
        super().__init__(config)
        self.model = LongLlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: LongLlamaCache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        last_context_length: int | None = None,
        memory: MemorySource | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Return logits (B, S, V), and the loss if ``labels`` (B, S) are given.

        Other arguments are those of ``LongLlamaModel.forward``; ``logits_to_keep`` limits the
        logits to so many tokens at the end, 0 for all.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            last_context_length=last_context_length,
            memory=memory,
            hidden_to_keep=logits_to_keep,
        )
        logits = self.lm_head(outputs.last_hidden_state)
        loss = None
        if labels is not None:
            loss_function = cast("Callable[..., Tensor]", self.loss_function)
            loss = loss_function(logits, labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=outputs.past_key_values
        )

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        self.model.embed_tokens = value

    def _prepare_cache_for_generation(
        self, generation_config: Any, model_kwargs: dict[str, Any], *_: Any, **__: Any
    ) -> Any:
        """Give ``generate`` a cache that spills into memory, unless the caller passed one."""
        if generation_config.use_cache is not False and model_kwargs.get("past_key_values") is None:
            memory = model_kwargs.get("memory")
            model_kwargs["past_key_values"] = GenerationCache(self.config, spills=memory is None)


def windows(n_tokens: int, n_last: int, window: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end index of each forward pass over a long input.

    Example: 103 tokens, the last 12 local, windows of 32: (0, 32), (32, 64), (64, 91), (91, 103).
    """
    n_memory = max(n_tokens - n_last, 0)
    for start in range(0, n_memory, window):
        yield start, min(start + window, n_memory)
    yield n_memory, n_tokens


def causal_mask(padding: Tensor, n_queries: int) -> Tensor:
    """Return which of K local keys the last S tokens may see: bool (B, 1, S, K)."""
    n_keys = padding.shape[1]
    causal = torch.ones(n_queries, n_keys, dtype=torch.bool, device=padding.device)
    return causal.tril(n_keys - n_queries) & padding[:, None, None, :]


def _padding(attention_mask: Tensor | None, source: Tensor, n_cached: int) -> Tensor:
    """Return the mask of cached and new tokens, bool (B, cached + S), False for padding."""
    batch, n_tokens = source.shape[0], n_cached + source.shape[1]
    if attention_mask is None:
        return torch.ones(batch, n_tokens, dtype=torch.bool, device=source.device)
    if attention_mask.shape[0] != batch or attention_mask.shape[1] < n_tokens:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; give at least "
            f"({batch}, {n_tokens}), for the local cache ({n_cached} tokens) and the input."
        )
    return attention_mask[:, -n_tokens:].bool()


def _positions(position_ids: Tensor | None, source: Tensor, cache: LongLlamaCache) -> Tensor:
    """Return positions, int64 (B, S); by default they continue those of the cache."""
    batch, n_tokens = source.shape[:2]
    if position_ids is not None:
        return position_ids.expand(batch, n_tokens)
    steps = torch.arange(n_tokens, device=source.device).expand(batch, n_tokens)
    return steps if cache.next_position is None else steps + cache.next_position


AutoModel.register(LongLlamaConfig, LongLlamaModel)
AutoModelForCausalLM.register(LongLlamaConfig, LongLlamaForCausalLM)
