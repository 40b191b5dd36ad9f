"""The loop of a tuning run: steps, held-out losses, checkpoints, and resuming.

Rows, what they see, and the learning rate are functions of the seed and of what was done so far, so
a run that was killed continues the same curve.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.cursor_rows.collection import Collected, vocabulary_of
from longllama_code.research.run_folder import (
    ADAPTER,
    LOSSES,
    METRICS,
    append_record,
    claim,
    cut_records,
)
from longllama_code.research.tuning import checkpoints
from longllama_code.research.tuning.adapter import save_adapter
from longllama_code.research.tuning.batch import passes
from longllama_code.research.tuning.held_out import chosen_rows, held_out_losses, mean
from longllama_code.research.tuning.inputs import MODES, Drawn, Mode, draw, rows_to_draw
from longllama_code.research.tuning.low_rank import add_updates, fill
from longllama_code.research.tuning.objective import PassLoss, pass_loss
from longllama_code.research.tuning.options import TuneOptions

RESUMES_WITHOUT = ("save_minutes", "tokens_per_pass", "patience_tokens")
"""Options that may change when a run resumes."""
LAST_RATE = 0.1
"""Learning rate at the end, of the highest one."""


@dataclass(frozen=True)
class Progress:
    """Metrics of one step, for a progress bar and ``metrics.jsonl``."""

    step: int
    tokens: int
    """Tokens so far."""
    loss: float
    """What the step lowers, nats/token to write."""
    divergence: float
    """From the teacher, nats/token to write."""
    memory: float | None
    """Cross-entropy of rows with definitions in memory, nats/token to write; None without any."""
    prompt: float | None
    nothing: float | None
    learning_rate: float
    tokens_per_second: float


def tune(
    loaded: LoadedModel,
    collected: Collected,
    base: str,
    options: TuneOptions,
    folder: Path,
    report: Callable[[Progress], None],
    max_steps: int | None = None,
) -> Path:
    """Tune, or go on with the run in ``folder``; return the file of the updates.

    Args:
        loaded: the model, which is changed in place.
        collected: the rows.
        base: identity of the model's weights.
        options: the run.
        folder: takes metrics, checkpoints and the result.
        report: called after every step.
        max_steps: stop after so many more steps, with a checkpoint.

    Raises:
        ConfigError: the folder holds another run, or the rows belong to another model.
        CheckpointError: a checkpoint is damaged, or the updates would be too large.
    """
    return _Run(loaded, collected, base, options, folder).run(report, max_steps)


class _Run:
    def __init__(
        self,
        loaded: LoadedModel,
        collected: Collected,
        base: str,
        options: TuneOptions,
        folder: Path,
    ) -> None:
        self._model, self._base, self._options, self._folder = (
            loaded.trainable,
            base,
            options,
            folder,
        )
        self._shards, self._held_out = collected.train, collected.held_out
        _check_vocabulary(loaded, collected)
        identity = {"base": base, "shards": collected.identity}
        claim(folder, asdict(options) | identity, RESUMES_WITHOUT)
        if options.gradient_checkpointing:
            self._model.train()  # layers are computed again in this mode alone
            self._model.activation_checkpointing_enable()
        self._updates = add_updates(
            self._model, options.rank, options.alpha, options.lowest_layer, options.seed
        )
        self._optimizer = torch.optim.AdamW(
            list(self._updates.values()),
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
        )
        self._rows = rows_to_draw(self._shards, options)
        self._measured = chosen_rows(self._held_out, options.held_out_rows, options.seed)
        self._state, self._best = checkpoints.load(folder, self._updates, self._optimizer)
        cut_records(folder / METRICS, "tokens", self._state.tokens)
        cut_records(folder / LOSSES, "tokens", self._state.measured_at)

    def run(self, report: Callable[[Progress], None], max_steps: int | None) -> Path:
        saved, stop = time.monotonic(), None if max_steps is None else self._state.step + max_steps
        had_ended = bool(self._state.ended)
        if self._state.measured_at < 0:
            self._measure(MODES)
        while not self._is_done() and self._state.step != stop:
            progress = self._step()
            append_record(self._folder / METRICS, asdict(progress))
            report(progress)
            if self._state.tokens - self._state.measured_at >= self._options.held_out_tokens:
                self._measure(("memory",))
            if time.monotonic() - saved > 60 * self._options.save_minutes:
                self._save()
                saved = time.monotonic()
        if self._is_done() and not had_ended:
            self._measure(MODES)
        self._save()
        return self._export()

    def _is_done(self) -> bool:
        state, options = self._state, self._options
        if not state.ended and state.tokens >= options.total_tokens:
            state.ended = f"{state.tokens} tokens were trained on"
        is_stuck = state.tokens - state.best_at >= options.patience_tokens
        if not state.ended and self._measured and is_stuck:
            state.ended = f"the held-out loss did not fall for {options.patience_tokens} tokens"
        return bool(state.ended)

    def _step(self) -> Progress:
        """Run one step of the optimizer."""
        began, options = time.monotonic(), self._options
        drawn = [self._drawn(self._state.rows + n) for n in range(options.rows_per_step)]
        n_middle = sum(each.student.n_middle for each in drawn)
        lengths = [max(each.student.n_tokens, each.teacher.n_tokens) for each in drawn]
        losses = list[PassLoss]()
        for rows in passes(drawn, lengths, options.tokens_per_pass):
            found = pass_loss(
                self._model,
                rows,
                options.distillation,
                definition_gradients=options.definition_gradients,
            )
            (found.total / n_middle).backward()
            losses.append(found)
        rate = self._update()
        n_tokens = sum(each.student.n_tokens for each in drawn)
        self._count(len(drawn), n_tokens, time.monotonic() - began)
        return self._progress(losses, n_middle, rate)

    def _drawn(self, count: int) -> Drawn:
        """Return the row with a number, counted from the beginning of the run."""
        epoch, place = divmod(count, len(self._rows))
        shard, row = self._rows[_order(self._options.seed, epoch, len(self._rows))[place]]
        rng = random.Random(f"{self._options.seed} row {count}")
        return draw(self._shards[shard], row, self._options, rng)

    def _update(self) -> float:
        """Change the updates; return the learning rate."""
        rate = learning_rate(self._options, self._state.tokens)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(list(self._updates.values()), self._options.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return rate

    def _count(self, n_rows: int, n_tokens: int, seconds: float) -> None:
        self._state.step += 1
        self._state.rows += n_rows
        self._state.tokens += n_tokens
        self._state.seconds += seconds

    def _progress(self, losses: list[PassLoss], n_middle: int, rate: float) -> Progress:
        means: dict[Mode, float | None] = {}
        for mode in MODES:
            n_tokens = sum(each.n_tokens[mode] for each in losses)
            total = sum(each.cross_entropy[mode] for each in losses)
            means[mode] = total / n_tokens if n_tokens else None
        return Progress(
            step=self._state.step,
            tokens=self._state.tokens,
            loss=sum(float(each.total.detach()) for each in losses) / n_middle,
            divergence=sum(each.divergence for each in losses) / n_middle,
            **means,
            learning_rate=rate,
            tokens_per_second=self._state.tokens / max(self._state.seconds, 1e-9),
        )

    def _measure(self, modes: tuple[Mode, ...]) -> None:
        """Measure the held-out loss, if rows are held out, and keep the best updates."""
        state = self._state
        if not self._measured:
            return
        found = held_out_losses(
            self._model, self._held_out, self._measured, self._options.tokens_per_pass, modes
        )
        losses = {mode: mean(each) for mode, each in found.items()}
        append_record(self._folder / LOSSES, {"step": state.step, "tokens": state.tokens, **losses})
        state.measured_at = state.tokens
        if state.best is None or losses["memory"] < state.best:
            state.best, state.best_at = losses["memory"], state.tokens
            self._best = {name: each.detach().cpu().clone() for name, each in self._updates.items()}

    def _save(self) -> None:
        checkpoints.save(self._folder, self._state, self._updates, self._optimizer, self._best)

    def _export(self) -> Path:
        """Write the best updates, or the last ones where nothing was held out."""
        path, options = self._folder / ADAPTER, self._options
        last = {name: each.detach().clone() for name, each in self._updates.items()}
        fill(self._model, self._best or last)
        save_adapter(path, self._model, self._base, options.alpha / options.rank)
        fill(self._model, last)
        return path


def learning_rate(options: TuneOptions, tokens: int) -> float:
    """Return the learning rate after so many tokens."""
    done = min(1.0, tokens / options.total_tokens)
    if done < options.warmup:
        return options.learning_rate * (done + options.warmup / 10) / (1.1 * options.warmup)
    cosine = (1 + math.cos(math.pi * (done - options.warmup) / (1 - options.warmup))) / 2
    return options.learning_rate * (LAST_RATE + (1 - LAST_RATE) * cosine)


@lru_cache(2)
def _order(seed: int, epoch: int, n_rows: int) -> list[int]:
    """Return the order of all rows in one epoch."""
    return np.random.default_rng([seed, epoch]).permutation(n_rows).tolist()


def _check_vocabulary(loaded: LoadedModel, collected: Collected) -> None:
    if vocabulary_of(loaded.tokenizer) != collected.vocabulary:
        raise ConfigError(
            f"the shards hold token ids of another vocabulary than that of {loaded.name}; make "
            "them with `longllama shards --model` and the model that is tuned."
        )
