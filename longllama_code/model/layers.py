"""Norm, feed-forward and decoder layer of Llama."""

from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from longllama_code.config import LongLlamaConfig
from longllama_code.model.attention import LongLlamaAttention
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.memory_source import MemoryOffer
from longllama_code.model.rope import Rotation


class LongLlamaMLP(nn.Module):
    """Gated feed-forward."""

    def __init__(self, config: LongLlamaConfig) -> None:
        super().__init__()
        sizes = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(*sizes, bias=config.mlp_bias)
        self.up_proj = nn.Linear(*sizes, bias=config.mlp_bias)
        self.down_proj = nn.Linear(*reversed(sizes), bias=config.mlp_bias)
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, S, E) → (B, S, E)."""
        return self.down_proj(self.act_fn(self.gate_proj(hidden)) * self.up_proj(hidden))


class LongLlamaDecoderLayer(GradientCheckpointingLayer):
    """Attention and feed-forward, each after a norm and added to its input."""

    def __init__(self, config: LongLlamaConfig, layer_idx: int) -> None:
        super().__init__()
        self.self_attn = LongLlamaAttention(config, layer_idx)
        self.mlp = LongLlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        first_scale: float,
        visible: Tensor,
        cache: LongLlamaCache | None,
        offer: MemoryOffer | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``LongLlamaAttention.forward``, with the whole layer's output."""
        attended, as_first, values = self.self_attn(
            self.input_layernorm(hidden), rotation, first_scale, visible, cache, offer
        )
        return self.feed_forward(hidden + attended), as_first, values

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """(B, S, E) → (B, S, E), what comes after attention."""
        return hidden + self.mlp(self.post_attention_layernorm(hidden))

    def keys_and_values(self, hidden: Tensor, first_scale: float) -> tuple[Tensor, Tensor]:
        """What memory stores of (B, S, E), without running the layer."""
        return self.self_attn.keys_and_values(self.input_layernorm(hidden), first_scale)
