"""A LongLLaMA without transformers, which takes longer to import than all the rest of a start.

It has the modules of ``LongLlamaForCausalLM`` under the same names, computes the same numbers to
the bit, and is used where a model only completes; training and ``generate`` need the other.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from longllama_code.model.attention import LongLlamaAttention
from longllama_code.model.layer_stack import LayerStack
from longllama_code.model.layers import LayerSteps
from longllama_code.model.rope import Rotary
from longllama_code.model_config import PlainConfig


class PlainModel(nn.Module):
    """A model with its language model head.

    Args:
        config: the model's.
    """

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.config = config
        self.model = PlainBody(config)
        self.lm_head: nn.Module = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.model.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of what is computed."""
        return self.model.norm.weight.dtype

    def tie_weights(self) -> None:
        """Let the head be the embedding, where both are matrices of numbers."""
        table = cast("nn.Embedding", self.model.embed_tokens)
        cast("nn.Linear", self.lm_head).weight = table.weight


class PlainBody(LayerStack, nn.Module):
    """Embeddings, layers and the last norm."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.config = config
        # Torch imports its compiler for random numbers and ranges on the device "meta", where the
        # other weights have no storage yet.
        table = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens: nn.Module = nn.Embedding.from_pretrained(table)
        self.layers = nn.ModuleList(
            PlainLayer(config, at) for at in range(config.num_hidden_layers)
        )
        self.norm = PlainNorm(config)
        with torch.device("cpu"):
            self.rotary = Rotary(config)


class PlainLayer(LayerSteps, nn.Module):
    """One decoder layer."""

    def __init__(self, config: PlainConfig, index: int) -> None:
        super().__init__()
        self.self_attn = LongLlamaAttention(config, index)
        self.mlp = PlainFeedForward(config)
        self.input_layernorm = PlainNorm(config)
        self.post_attention_layernorm = PlainNorm(config)


class PlainFeedForward(nn.Module):
    """Gated feed-forward part of a layer, with SiLU."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        inner, outer = config.intermediate_size, config.hidden_size
        self.gate_proj: nn.Module = nn.Linear(outer, inner, bias=False)
        self.up_proj: nn.Module = nn.Linear(outer, inner, bias=False)
        self.down_proj: nn.Module = nn.Linear(inner, outer, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return what the layer adds to its states, (B, S, E) → (B, S, E)."""
        return self.down_proj(silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class PlainNorm(nn.Module):
    """RMS norm, computed in float32 (arXiv 1910.07467)."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.hidden_size))
        self.epsilon = config.rms_norm_eps

    def forward(self, hidden: Tensor) -> Tensor:
        """Return normed states, (B, S, E) → (B, S, E)."""
        exact = hidden.float()
        scale = torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * (exact * scale).to(hidden.dtype)
