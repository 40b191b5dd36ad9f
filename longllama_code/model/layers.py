"""Steps of one decoder layer, whatever its modules are."""

from typing import Protocol

from torch import Tensor, nn

from longllama_code.model.attention import LayerInputs, LongLlamaAttention


class Norm(Protocol):
    """Module that scales each state by its root mean square, and by a weight."""

    @property
    def weight(self) -> Tensor:
        """Weight (E,)."""
        ...

    def __call__(self, hidden: Tensor) -> Tensor:
        """Return normed states, (B, S, E) → (B, S, E)."""
        ...


class FeedForward(Protocol):
    """Module of three products, of which one gates another."""

    @property
    def gate_proj(self) -> nn.Module:
        """Product whose activation is the gate."""
        ...

    @property
    def up_proj(self) -> nn.Module:
        """Product that is gated."""
        ...

    @property
    def down_proj(self) -> nn.Module:
        """Product back to the states' size."""
        ...

    def __call__(self, hidden: Tensor) -> Tensor:
        """Return what the layer adds to its states, (B, S, E) → (B, S, E)."""
        ...


class LayerSteps:
    """Attention and feed-forward, each after a norm and added to its input."""

    self_attn: LongLlamaAttention
    mlp: FeedForward
    input_layernorm: Norm
    post_attention_layernorm: Norm

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
