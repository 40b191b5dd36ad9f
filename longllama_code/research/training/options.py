"""Options of a training run, and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from longllama_code.errors import ConfigError
from longllama_code.research.datasets.corpus import Focus
from longllama_code.research.training.cross_batch import PUBLISHED_7B, Share
from longllama_code.research.training.trainable import SCOPES, LoraSizes, Scope


@dataclass(frozen=True)
class TrainOptions:
    """Options of a run; equal options, model and sources give the same loss curve."""

    total_tokens: int = 1_000_000
    """Tokens of rows to train on, in all processes."""
    repositories_per_step: int = 4
    """Repositories in one forward pass of one process."""
    rows_per_repository: int = 4
    row_tokens: int = 256
    distinct_steps: int | None = None
    """Steps after which rows repeat, with other plans and samples; None means never."""
    keep_activations: bool = False
    """Whether what frozen layers make of the rows is cached on disk, in float16, for the next time.

    A pass takes rows x row_tokens x hidden size x 2 bytes.
    """
    packed: bool = False
    """Whether other files follow in a row where a file ends before it is full."""
    focus: Focus = Focus()  # noqa: RUF009 - frozen
    shares: tuple[Share, ...] = PUBLISHED_7B
    """(positives, negatives) that the rows of a batch see, cyclically."""
    more_negatives: int = 0
    """Negatives added to every share but (0, 0) by the end of the run, growing from 0."""
    cross_batch_range: int | None = None
    """Maximum number of rows in one cross-batch; None means all of a pass."""
    chained: bool = False
    """Whether rows see each other as they attend (the paper), not as encoded alone."""
    bank_tokens: int = 0
    """Tokens of earlier batches cached as further negatives; order free only."""
    mem_top_k: int | None = None
    """Keys of memory that a query sees in training; None means all."""
    mem_query_position: int | None = None
    """Position of memory queries; None means their own."""
    scope: Scope = "memory-attention"
    lora: LoraSizes = LoraSizes()  # noqa: RUF009 - frozen
    learning_rate: float = 2e-4
    schedule: str = "cosine"
    """Learning-rate schedule of transformers: ``constant_with_warmup``, ``cosine``, …"""
    warmup_steps: int = 20
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = 1.0
    accumulate: int = 1
    """Passes per step of the optimizer."""
    sampled_share: float = 1.0
    """Share of positions whose loss is computed, in addition to those that memory helps."""
    recall_weight: float = 1.0
    """Weight of tokens that memory holds and the local context does not.

    Above 1, the model learns to copy too often.
    """
    gradient_checkpointing: bool = False
    mixed_precision: str = "no"
    save_minutes: float = 5.0
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ConfigError: naming the value and the remedy.
        """
        if self.scope not in SCOPES:
            raise ConfigError(f"scope is {self.scope!r}; choose one of {', '.join(SCOPES)}.")
        if not 0 < self.sampled_share <= 1:
            raise ConfigError(f"sampled_share is {self.sampled_share}; give a share above 0, to 1.")
        if self.chained and self.bank_tokens:
            raise ConfigError(
                f"bank_tokens is {self.bank_tokens} with chained rows; a bank holds rows encoded "
                "alone. Set one of both."
            )
        if self.distinct_steps is not None and self.distinct_steps < 1:
            raise ConfigError(f"distinct_steps is {self.distinct_steps}; give 1 or more, or null.")
        if self.keep_activations and self.distinct_steps is None:
            raise ConfigError(
                "keep_activations is true and distinct_steps null, so no row would come again; set "
                "distinct_steps, or keep_activations=false."
            )
        for name in ("total_tokens", "repositories_per_step", "rows_per_repository", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 1 or more.")
        if self.row_tokens < 32:
            raise ConfigError(f"row_tokens is {self.row_tokens}; give 32 or more.")

    @property
    def rows_per_pass(self) -> int:
        """Rows of one forward pass."""
        return self.repositories_per_step * self.rows_per_repository

    @property
    def tokens_per_pass(self) -> int:
        """Tokens of one forward pass of one process."""
        return self.rows_per_pass * self.row_tokens


PRESETS: Mapping[str, TrainOptions] = {
    "mini": TrainOptions(
        repositories_per_step=4,
        rows_per_repository=4,
        bank_tokens=4096,
        mem_top_k=32,
        sampled_share=0.5,
        recall_weight=2.0,
    ),
    # LongLLaMA-Code 7B: 256k tokens in a batch, constant rate, no layer frozen. One process holds
    # 8 rows of the window of 4096; 8 passes or processes make up the batch.
    "published-7b": TrainOptions(
        total_tokens=35_000_000_000,
        repositories_per_step=2,
        rows_per_repository=4,
        row_tokens=4096,
        chained=True,
        scope="all",
        learning_rate=2e-5,
        schedule="constant_with_warmup",
        warmup_steps=100,
        accumulate=8,
        gradient_checkpointing=True,
        mixed_precision="bf16",
    ),
}
"""Presets by name: those of shipped models, and of the paper."""
