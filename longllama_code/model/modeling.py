"""LongLLaMA for transformers: early windows of a long input go to memory, the last stays local.

Source: ``modeling_longllama.py`` (``_handle_long_input`` for the windows), FoT paper section 4.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

from longllama_code.config import LongLlamaConfig
from longllama_code.model.attention import LongLlamaAttention
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.generation_cache import GenerationCache
from longllama_code.model.layer_stack import LayerStack
from longllama_code.model.layers import LayerSteps
from longllama_code.model.memory_source import MemorySource
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


class LongLlamaDecoderLayer(LayerSteps, GradientCheckpointingLayer):
    """One decoder layer, of Llama's modules."""

    def __init__(self, config: LongLlamaConfig, layer_idx: int) -> None:
        super().__init__()
        self.self_attn = LongLlamaAttention(config, layer_idx)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class LongLlamaModel(LayerStack, LongLlamaPreTrainedModel):
    """The transformer without the language model head."""

    config: LongLlamaConfig  # pyright: ignore[reportIncompatibleVariableOverride]

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

    def get_input_embeddings(self) -> nn.Module:
        """Return the token embeddings."""
        return self.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        self.embed_tokens = value

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
