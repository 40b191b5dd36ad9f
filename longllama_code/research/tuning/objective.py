"""The loss of what is to be written: cross-entropy, and distance from the model as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.tuning.batch import collate
from longllama_code.research.tuning.inputs import MODES, Drawn, Mode, RowInput
from longllama_code.research.tuning.low_rank import base_alone
from longllama_code.research.tuning.model_pass import middle_logits


@dataclass(frozen=True)
class PassLoss:
    """Sums of one pass over its N tokens to write; all but ``total`` are without gradients."""

    total: Tensor
    """Sum to minimise, nats."""
    cross_entropy: dict[Mode, float]
    """Sum for the rows of each mode, nats."""
    n_tokens: dict[Mode, int]
    """Tokens to write of each mode."""
    divergence: float
    """Sum of the divergence from the teacher, nats; 0 without one."""


def pass_loss(
    model: LongLlamaForCausalLM,
    drawn: Sequence[Drawn],
    distillation: float,
    *,
    definition_gradients: bool,
) -> PassLoss:
    """Return the loss of some rows.

    Args:
        model: the model with its low-rank updates.
        drawn: the rows.
        distillation: share of the divergence from the teacher in the loss.
        definition_gradients: see ``middle_logits``.
    """
    batch = collate([each.student for each in drawn]).to(model.device)
    logits = middle_logits(model, batch, definition_gradients=definition_gradients)
    losses = cross_entropy(logits, batch.targets, reduction="none")
    total, divergence = losses.sum(), 0.0
    if distillation:
        target = teacher_log_probabilities(model, [each.teacher for each in drawn])
        away = kl_div(logits.log_softmax(-1), target, reduction="sum", log_target=True)
        total = (1 - distillation) * total + distillation * away
        divergence = float(away.detach())
    row_losses = torch.zeros(len(drawn), device=losses.device)
    row_losses.index_add_(0, batch.rows, losses.detach())
    sums, counts = dict.fromkeys(MODES, 0.0), dict.fromkeys(MODES, 0)
    for each, loss in zip(drawn, row_losses.tolist(), strict=True):
        sums[each.mode] += loss
        counts[each.mode] += each.student.n_middle
    return PassLoss(total, sums, counts, divergence)


@torch.no_grad()
def teacher_log_probabilities(model: LongLlamaForCausalLM, inputs: Sequence[RowInput]) -> Tensor:
    """Return the log-probabilities of the model without updates, float32 (N, V)."""
    batch = collate(inputs).to(model.device)
    with base_alone(model):
        return middle_logits(model, batch).log_softmax(-1)


@torch.no_grad()
def row_losses(model: LongLlamaForCausalLM, inputs: Sequence[RowInput]) -> list[float]:
    """Return the sum of each row's cross-entropy, nats."""
    batch = collate(inputs).to(model.device)
    losses = cross_entropy(middle_logits(model, batch), batch.targets, reduction="none")
    sums = torch.zeros(len(inputs), device=losses.device).index_add_(0, batch.rows, losses)
    return sums.tolist()
