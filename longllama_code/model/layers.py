"""One decoder layer of a LongLLaMA."""

from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

from longllama_code.config import LongLlamaConfig
from longllama_code.model.attention import LayerInputs, LongLlamaAttention


class LongLlamaDecoderLayer(GradientCheckpointingLayer):
    """Attention and feed-forward, each after a norm and added to its input."""

    def __init__(self, config: LongLlamaConfig, layer_idx: int) -> None:
        super().__init__()
        self.self_attn = LongLlamaAttention(config, layer_idx)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, hidden: Tensor, inputs: LayerInputs) -> tuple[Tensor, Tensor, Tensor]:
        """Run the layer over (B, S, E).

        Returns:
            The output (B, S, E), and this input's position-zero keys and values, each (B, G, S, D).
        """
        attended, position_zero_keys, values = self.self_attn(self.input_layernorm(hidden), inputs)
        return self.feed_forward(hidden + attended), position_zero_keys, values

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """Run the part of the layer after attention, (B, S, E) → (B, S, E)."""
        return hidden + self.mlp(self.post_attention_layernorm(hidden))

    def keys_and_values(self, hidden: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Return what memory stores of (B, S, E), without running the layer.

        Args:
            hidden: (B, S, E), the layer's input.
            scale: ``Rotary.position_zero_scale``.
        """
        return self.self_attn.keys_and_values(self.input_layernorm(hidden), scale)
