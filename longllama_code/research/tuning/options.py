"""Options of a tuning run, and presets for a CPU and a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from longllama_code.errors import ConfigError

SHARES = ("without_memory", "in_prompt", "distillation")
COUNTS = (
    *("total_tokens", "rows_per_step", "tokens_per_pass", "rank", "held_out_rows"),
    *("held_out_tokens", "patience_tokens", "least_middle_tokens", "most_row_tokens"),
)


@dataclass(frozen=True)
class TuneOptions:
    """Options of a run; equal options, model and shards give the same loss curve."""

    total_tokens: int = 3_000_000
    """Tokens of rows to train on."""
    rows_per_step: int = 16
    """Rows of one step of the optimizer."""
    tokens_per_pass: int = 3072
    """Most tokens of one pass, padding included; longer rows have a pass of their own."""
    least_middle_tokens: int = 1
    """Rows with fewer tokens to write are left out: they cost as much, and say less."""
    most_row_tokens: int = 8192
    """Longer rows are left out, without the definitions that they do not need."""
    without_memory: float = 0.15
    """Share of rows that see the file alone."""
    in_prompt: float = 0.15
    """Share of rows that see their definitions in the prompt."""
    own_negative_tokens: int = 192
    """Tokens of definitions of the same repository that a row sees and does not need."""
    foreign_negative_tokens: int = 192
    """Tokens of definitions of other repositories that a row sees."""
    distillation: float = 0.5
    """Share of the loss that compares with the model as it was, definitions in the prompt."""
    definition_gradients: bool = True
    """Whether gradients reach the keys and values of definitions."""
    rank: int = 16
    alpha: int = 32
    lowest_layer: int = 0
    """First layer that is changed; gradients stop there."""
    learning_rate: float = 1e-4
    """Highest learning rate: after a linear rise, it falls along a cosine to a tenth."""
    warmup: float = 0.03
    """Share of the run in which the learning rate rises."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = 1.0
    gradient_checkpointing: bool = False
    held_out_rows: int = 64
    """Rows of held-out repositories whose loss is measured."""
    held_out_tokens: int = 1_000_000
    """Tokens of training between two measurements."""
    patience_tokens: int = 3_000_000
    """Tokens without a lower held-out loss after which the run ends."""
    save_minutes: float = 5.0
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ConfigError: naming the value and the remedy.
        """
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a share from 0 to 1.")
        if self.without_memory + self.in_prompt > 1:
            raise ConfigError(
                f"without_memory and in_prompt are {self.without_memory} and {self.in_prompt}; "
                "together they may be 1 at most."
            )
        for name in COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 1 or more.")


PRESETS: Mapping[str, TuneOptions] = {
    # Definitions without gradients: that halves a step's time where tokens are dear.
    "cpu": TuneOptions(
        definition_gradients=False,
        held_out_rows=16,
        held_out_tokens=100_000,
        patience_tokens=300_000,
    ),
    "gpu": TuneOptions(
        total_tokens=300_000_000,
        rows_per_step=64,
        tokens_per_pass=32_768,
        own_negative_tokens=384,
        foreign_negative_tokens=384,
        held_out_rows=256,
        held_out_tokens=10_000_000,
        patience_tokens=30_000_000,
    ),
}
"""Presets by the kind of device."""
