"""The loss of one cross-batch step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longllama_code.model.layer_stack import causal_mask
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.training.activations import CachedActivations
from longllama_code.research.training.batch import Batch
from longllama_code.research.training.cross_batch import CrossBatchMemory, NegativeBank


@dataclass(frozen=True)
class StepLoss:
    """Losses of one step; all but ``loss`` are without gradients."""

    loss: Tensor
    """Weighted loss to minimise: scalar, nats/token."""
    with_memory: Tensor
    """Unweighted mean over rows that saw memory; NaN without such rows."""
    local_only: Tensor
    """Unweighted mean over rows that saw none; NaN without such rows."""


class CrossBatchObjective(nn.Module):
    """Model and negatives; calling it on a batch gives the loss.

    Args:
        model: the model to tune.
        lowest_layer: the first layer that needs gradients.
        chained: rows see each other as they attend, not as encoded alone.
        bank: foreign keys of earlier batches.
    """

    def __init__(
        self, model: LongLlamaForCausalLM, lowest_layer: int, bank: NegativeBank, *, chained: bool
    ) -> None:
        super().__init__()
        self.model = model
        self._lowest, self._chained, self._bank = lowest_layer, chained, bank
        layers = sorted(model.config.mem_layers)
        self._heads = {layer: model.config.memory_heads(layer) for layer in layers}

    def forward(self, batch: Batch, cached: CachedActivations | None = None) -> StepLoss:
        """Return the loss of a batch; its keys go to the bank.

        Args:
            batch: the rows.
            cached: where the activations of frozen layers are cached, if they are.
        """
        model = self.model.model
        n_layers = self.model.config.num_hidden_layers
        positions = torch.arange(batch.ids.shape[1], device=batch.ids.device)[None]
        visible = causal_mask(batch.padding, batch.ids.shape[1])
        first, last = min(self._heads, default=n_layers), max(self._heads, default=n_layers)
        hidden = self._frozen(batch, positions, visible, cached)
        run = model.run_layers(hidden, positions, visible, layers=range(self._lowest, first))
        hidden = _last_output(run, hidden)
        alone = None
        if not self._chained:
            span = range(first, min(last + 1, n_layers))
            run = model.run_layers(hidden, positions, visible, layers=span)
            alone = {layer: (k, v) for layer, _, k, v in run if layer in self._heads}
        memory = CrossBatchMemory(
            self._heads, batch.plan, batch.stored, alone, self._bank.entries()
        )
        rest = range(first, n_layers)
        run = model.run_layers(hidden, positions, visible, layers=rest, memory=memory)
        hidden = _last_output(run, hidden)
        if alone is not None:
            self._bank.add(alone, self._heads, batch.stored)
        return self._loss(model.norm(hidden), batch)

    def _frozen(
        self, batch: Batch, positions: Tensor, visible: Tensor, cached: CachedActivations | None
    ) -> Tensor:
        """Return the input of the lowest trained layer, (B, S, E), from the cache or computed."""
        model = self.model.model
        shape = (*batch.ids.shape, self.model.config.hidden_size)
        found = None if cached is None else cached.get(shape)
        if found is None:
            with torch.set_grad_enabled(self._lowest == 0):
                hidden = model.embed_tokens(batch.ids)
                run = model.run_layers(hidden, positions, visible, layers=range(self._lowest))
                hidden = _last_output(run, hidden)
            if cached is None:
                return hidden
            found = cached.put(hidden)
        return found.to(batch.ids.device, self.model.dtype)

    def _loss(self, hidden: Tensor, batch: Batch) -> StepLoss:
        rows, targets = torch.nonzero(batch.weights, as_tuple=True)
        logits = self.model.lm_head(hidden[rows, targets - 1])
        losses = cross_entropy(logits.float(), batch.ids[rows, targets], reduction="none")
        weights = batch.weights[rows, targets]
        blind = batch.plan.rows_without_memory().to(rows.device)[rows]
        plain = losses.detach()
        return StepLoss(
            loss=(losses * weights).sum() / weights.sum(),
            with_memory=plain[~blind].mean(),
            local_only=plain[blind].mean(),
        )


def _last_output(run: Iterator[tuple[int, Tensor, Tensor, Tensor]], hidden: Tensor) -> Tensor:
    """Return the last layer's output, or the input without layers."""
    for _, output, _, _ in run:
        hidden = output
    return hidden


def trained_tensors(model: nn.Module) -> Mapping[str, Tensor]:
    """Return every weight that training changed by name, on the CPU in float16.

    Low-rank updates are added to the weights that they update, so an adapter is whole tensors.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            weight = cast("Any", module).base_layer.weight
            tensors[f"{name}.weight"] = weight + cast("Any", module).get_delta_weight("default")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_" not in name:
            tensors[name] = parameter
    return {name: tensor.detach().cpu().half().contiguous() for name, tensor in tensors.items()}
