"""The training loop: steps, metrics, checkpoints, and resuming.

Rows, plans and samples are functions of the seed and the step, so a resumed run gives the same
result. Placement, synchronisation and saving are Accelerate's.
"""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors.torch import load_file, save_file
from transformers.optimization import get_scheduler

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.corpus import Corpus
from longllama_code.research.datasets.rows import Row
from longllama_code.research.run_folder import (
    ADAPTER,
    METRICS,
    append_record,
    claim,
    cut_records,
)
from longllama_code.research.training.activations import ActivationCache, CachedActivations
from longllama_code.research.training.batch import Batch, collate
from longllama_code.research.training.cross_batch import NegativeBank, growing_negatives, plan_rows
from longllama_code.research.training.objective import (
    CrossBatchObjective,
    StepLoss,
    trained_tensors,
)
from longllama_code.research.training.options import TrainOptions
from longllama_code.research.training.trainable import lowest_trained_layer, select_parameters

ACTIVATIONS = "activations"
RESUMES_WITHOUT = ("total_tokens", "save_minutes")
"""Options that may change when a run resumes."""


@dataclass(frozen=True)
class Progress:
    """Metrics of one step, for a progress bar and ``metrics.jsonl``."""

    step: int
    n_steps: int
    tokens: int
    """Tokens trained on so far, in all processes."""
    loss: float
    with_memory: float | None
    local_only: float | None
    learning_rate: float
    tokens_per_second: float


def train(
    loaded: LoadedModel,
    corpus: Corpus,
    options: TrainOptions,
    folder: Path,
    report: Callable[[Progress], None],
    max_steps: int | None = None,
) -> Path:
    """Train, or go on with the run in ``folder``; return the file of the changed weights.

    Args:
        loaded: the model, which is changed in place.
        corpus: the rows.
        options: the run.
        folder: takes metrics, checkpoints and the result.
        report: called after every step.
        max_steps: stop after so many more steps, with a checkpoint.

    Raises:
        ConfigError: the folder holds another run, or options contradict each other.
    """
    return _Run(loaded, corpus, options, folder).run(report, max_steps)


class _Run:
    def __init__(
        self, loaded: LoadedModel, corpus: Corpus, options: TrainOptions, folder: Path
    ) -> None:
        self._corpus, self._options, self._folder = corpus, options, folder
        self._accelerator = Accelerator(mixed_precision=options.mixed_precision)
        model = loaded.trainable
        parameters = select_parameters(model, options.scope, options.lora)
        lowest = lowest_trained_layer(model)
        self._check_keeping(lowest)
        # An option that a run does not name was added later; the run had its default.
        claim(folder, asdict(options), RESUMES_WITHOUT, asdict(TrainOptions()))
        self._store = self._open_store(loaded.fingerprint, lowest)
        model.config.mem_top_k = options.mem_top_k
        model.config.mem_query_position = options.mem_query_position
        if options.gradient_checkpointing:
            model.activation_checkpointing_enable()
        self._bank = NegativeBank(options.bank_tokens)
        objective = CrossBatchObjective(model, lowest, self._bank, chained=options.chained)
        optimizer = torch.optim.AdamW(
            list(parameters.values()),
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
        )
        per_step = options.tokens_per_pass * options.accumulate * self._accelerator.num_processes
        self._tokens_per_step = per_step
        self._n_steps = math.ceil(options.total_tokens / per_step)
        self._schedule: Any = get_scheduler(
            options.schedule, optimizer, options.warmup_steps, self._n_steps
        )
        prepared = self._accelerator.prepare(objective.train(), optimizer)
        self._objective, self._optimizer = cast("tuple[Any, Any]", prepared)
        self._accelerator.register_for_checkpointing(self._schedule)
        self._step = 0

    def run(self, report: Callable[[Progress], None], max_steps: int | None) -> Path:
        self._resume()
        stop = self._n_steps if max_steps is None else min(self._n_steps, self._step + max_steps)
        saved, began, before = time.monotonic(), time.monotonic(), self._step
        while self._step < stop:
            losses = self._one_step()
            self._step += 1
            seconds = time.monotonic() - began
            rate = (self._step - before) * self._tokens_per_step / seconds
            progress = self._progress(losses, rate)
            if self._accelerator.is_main_process:
                append_record(self._folder / METRICS, asdict(progress))
                report(progress)
            if time.monotonic() - saved > 60 * self._options.save_minutes:
                self._save()
                saved = time.monotonic()
        self._save()
        return self._export()

    def _one_step(self) -> list[StepLoss]:
        options, losses = self._options, list[StepLoss]()
        for turn in range(options.accumulate):
            batch, cached = self._pass(turn)
            step_loss = self._objective(batch.to(self._accelerator.device), cached)
            self._accelerator.backward(step_loss.loss / options.accumulate)
            losses.append(step_loss)
        trained = [p for p in self._objective.parameters() if p.requires_grad]
        self._accelerator.clip_grad_norm_(trained, options.clip_norm)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        return losses

    def _pass(self, turn: int) -> tuple[Batch, CachedActivations | None]:
        """Return the batch of a pass and its cached activations, a function of seed and step."""
        options, accelerator = self._options, self._accelerator
        per_step = options.accumulate * accelerator.num_processes
        number = self._step * per_step + turn * accelerator.num_processes
        number += accelerator.process_index
        # The first pass with these rows. Visibility is drawn again each time.
        distinct = options.distinct_steps
        first = number if distinct is None else number % (distinct * per_step)
        rows = self._corpus.rows(first, options.repositories_per_step, options.rows_per_repository)
        rng = random.Random(f"{options.seed} plan {number}")
        order = list(range(len(rows)))
        rng.shuffle(order)
        cached = None if self._store is None else self._store.cached(first, rows, order)
        return self._collate([rows[index] for index in order], rng), cached

    def _collate(self, rows: list[Row], rng: random.Random) -> Batch:
        options = self._options
        shares = growing_negatives(
            options.shares, options.more_negatives, self._step / self._n_steps
        )
        plan = plan_rows(
            [row.repository for row in rows],
            shares,
            rng,
            chained=options.chained,
            cross_batch_range=options.cross_batch_range,
        )
        return collate(
            rows,
            plan,
            rng,
            sampled_share=options.sampled_share,
            recall_weight=options.recall_weight,
        )

    def _progress(self, losses: list[StepLoss], rate: float) -> Progress:
        return Progress(
            step=self._step,
            n_steps=self._n_steps,
            tokens=self._step * self._tokens_per_step,
            loss=_mean([float(loss.loss.detach()) for loss in losses]) or 0.0,
            with_memory=_mean([float(loss.with_memory) for loss in losses]),
            local_only=_mean([float(loss.local_only) for loss in losses]),
            learning_rate=float(self._schedule.get_last_lr()[0]),
            tokens_per_second=rate,
        )

    def _save(self) -> None:
        """Write a checkpoint to a temporary folder, rename it, then delete the former one."""
        target = self._folder / f"checkpoint-{self._step}"
        if target.exists():
            return
        partial = self._folder / "checkpoint.partial"
        if self._accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        self._accelerator.wait_for_everyone()
        self._accelerator.save_state(str(partial))
        save_file(self._bank.state_dict(), partial / self._bank_name)
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            partial.rename(target)
            for former in _checkpoints(self._folder)[:-1]:
                shutil.rmtree(former)

    def _resume(self) -> None:
        checkpoints = _checkpoints(self._folder)
        if not checkpoints:
            return
        self._accelerator.load_state(str(checkpoints[-1]))
        bank = checkpoints[-1] / self._bank_name
        if bank.exists():  # missing if the run had fewer processes before
            device, state = self._accelerator.device, load_file(bank)
            self._bank.load_state_dict({name: part.to(device) for name, part in state.items()})
        self._step = _step_of(checkpoints[-1])
        if self._accelerator.is_main_process:  # nobody else may read or write them meanwhile
            cut_records(self._folder / METRICS, "step", self._step)

    @property
    def _bank_name(self) -> str:
        """Return the name of this process's bank."""
        return f"bank-{self._accelerator.process_index}.safetensors"

    def _export(self) -> Path:
        """Return the changed weights, as one file."""
        path = self._folder / ADAPTER
        objective = self._accelerator.unwrap_model(self._objective)
        if self._accelerator.is_main_process:
            save_file(dict(trained_tensors(objective.model)), path)
        return path

    def _check_keeping(self, lowest: int) -> None:
        """Refuse cached activations if layers change, or if processes cannot skip them."""
        if not self._options.keep_activations:
            return
        if lowest == 0:
            raise ConfigError(
                f"keep_activations is true with scope {self._options.scope!r}, which trains this "
                "model from its first layer on, so that nothing stays the same; choose a scope "
                "that freezes lower layers, such as memory-layers, or set keep_activations=false."
            )
        if self._accelerator.distributed_type == DistributedType.FSDP:
            raise ConfigError(
                "keep_activations is true under FSDP, whose processes run each layer together and "
                "would wait for one that skips some; set keep_activations=false."
            )

    def _open_store(self, fingerprint: str, lowest: int) -> ActivationCache | None:
        if not self._options.keep_activations:
            return None
        return ActivationCache(self._folder / ACTIVATIONS, f"{fingerprint} {lowest}")


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir()]
    return sorted(found, key=_step_of)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _mean(values: list[float]) -> float | None:
    """Return mean of what is a number; None without any."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else None
