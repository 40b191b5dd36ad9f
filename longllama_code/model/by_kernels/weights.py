"""Modules that hold the weights of a model which only kernels run, under a LongLLaMA's names.

``LongLlamaForCausalLM`` has the same modules and can run; building it imports transformers, which
takes longer than all the rest of an engine's start.
"""

from __future__ import annotations

import torch
from torch import nn

from longllama_code.model.attention import LongLlamaAttention
from longllama_code.model.rope import Rotary
from longllama_code.model_config import KernelConfig


class KernelWeights(nn.Module):
    """Weights of a model on a CPU, in float32 but for matrices in blocks.

    Args:
        config: the model's.
    """

    def __init__(self, config: KernelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Body(config)
        self.lm_head: nn.Module = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Type of what is computed."""
        return torch.float32


class Body(nn.Module):
    """Embeddings, layers and the last norm."""

    def __init__(self, config: KernelConfig) -> None:
        super().__init__()
        # Torch imports its compiler for random numbers and ranges on the device "meta", where the
        # other weights have no storage yet.
        table = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens: nn.Module = nn.Embedding.from_pretrained(table)
        self.layers = nn.ModuleList(Layer(config, at) for at in range(config.num_hidden_layers))
        self.norm = Norm(config)
        with torch.device("cpu"):
            self.rotary = Rotary(config)


class Layer(nn.Module):
    """Weights of one decoder layer."""

    def __init__(self, config: KernelConfig, index: int) -> None:
        super().__init__()
        self.self_attn = LongLlamaAttention(config, index)
        self.mlp = FeedForward(config)
        self.input_layernorm, self.post_attention_layernorm = Norm(config), Norm(config)


class FeedForward(nn.Module):
    """Weights of a layer's feed-forward part."""

    def __init__(self, config: KernelConfig) -> None:
        super().__init__()
        inner, outer = config.intermediate_size, config.hidden_size
        self.gate_proj: nn.Module = nn.Linear(outer, inner, bias=False)
        self.up_proj: nn.Module = nn.Linear(outer, inner, bias=False)
        self.down_proj: nn.Module = nn.Linear(inner, outer, bias=False)


class Norm(nn.Module):
    """Weights of an RMS norm."""

    def __init__(self, config: KernelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.hidden_size))
