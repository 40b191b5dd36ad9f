"""Fit of the gate that mixes copies from memory (``generation/decoding/copying.py``).

    repository ──┬── held out ──▶ windows ──▶ for each token: features, p(model), p(match)
                 └── the rest ──▶ memory, once the own one and once that of another repository

The other repository's memory teaches the gate when not to copy. The gain is measured on
repositories outside the fit: each half with the weights of the other half.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from longllama_code.errors import ConfigError
from longllama_code.generation.decoding.copying import features, gate_of
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.generation.prompting.prompt import PromptSource, build_prompt
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.model_config import N_COPY_FEATURES
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.lengths.memory_size import SizeOptions, divide
from longllama_code.research.evaluation.losses import Window
from longllama_code.research.evaluation.memories import encode_files, memory_of

DECAY = 1e-4
"""Weight decay, which shares weight among correlated features."""
LEAST = 1e-12


@dataclass(frozen=True)
class CopyFitOptions:
    """Data to fit the gate on."""

    windows: int = 4
    """Windows of each repository."""
    window_tokens: int = 384
    memory_tokens: int = 20_000
    seed: int = 0


@dataclass(frozen=True)
class Samples:
    """Tokens to predict with one memory."""

    features: Tensor
    """float32 (n, 8)."""
    model: Tensor
    """Probability of the right token by the model, float32 (n,)."""
    match: Tensor
    """Share of the longest match's occurrences that the right token follows, float32 (n,)."""
    n_tokens: int
    """Number of all tokens, of which ``n`` have a match in memory."""

    @classmethod
    def joined(cls, parts: Iterable[Samples]) -> Samples:
        """Return all samples of some."""
        found = list(parts)
        return cls(
            torch.cat([part.features for part in found]),
            torch.cat([part.model for part in found]),
            torch.cat([part.match for part in found]),
            sum(part.n_tokens for part in found),
        )

    def change(self, weights: Tensor) -> Tensor:
        """Return the mean change of the loss by copying, in nats per token: a scalar."""
        gate = gate_of(self.features, weights)
        mixed = (1 - gate) * self.model + gate * self.match
        changes = self.model.clamp(min=LEAST).log() - mixed.clamp(min=LEAST).log()
        return changes.sum() / max(1, self.n_tokens)


@dataclass(frozen=True)
class CopyFit:
    """The gate, and its change of the loss on repositories outside the fit."""

    weights: list[float]
    own: float
    """Change in nats per token with the repository's own memory; negative is better."""
    foreign: float
    """Change in nats per token with another repository's memory."""


def fit_copying(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: CopyFitOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> CopyFit:
    """Fit the gate of a model.

    Raises:
        ConfigError: fewer than two repositories have two files and one long enough for a window.
    """
    own, foreign = collect(loaded, trees, options, progress)
    halves = [own[::2] + foreign[::2], own[1::2] + foreign[1::2]]
    fitted = [fit(Samples.joined(half)) for half in halves]
    # Each repository is measured with the weights of the other half.
    changes = [
        [float(part.change(fitted[1 - number % 2])) for number, part in enumerate(parts)]
        for parts in (own, foreign)
    ]
    weights = fit(Samples.joined(own + foreign))
    return CopyFit(weights.tolist(), fmean(changes[0]), fmean(changes[1]))


def fit(samples: Samples) -> Tensor:
    """Return the weights (8,) with the least loss."""
    weights = torch.zeros(N_COPY_FEATURES, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = samples.change(weights) + DECAY * weights.square().sum()
        value.backward()  # pyright: ignore[reportUnknownMemberType] - torch leaves it untyped
        return value

    optimizer.step(loss)  # pyright: ignore[reportArgumentType] - a closure may return a tensor
    return weights.detach()


def collect(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: CopyFitOptions,
    progress: Callable[[str], None],
) -> tuple[list[Samples], list[Samples]]:
    """Return samples of each repository, with its own memory and with the next one's.

    Raises:
        ConfigError: fewer than two repositories are large enough.
    """
    windows_by_tree: list[list[Window]] = []
    memories: list[RepositoryMemory] = []
    for tree in trees:
        windows, memory = _prepare(loaded, tree, options)
        if windows and len(memory.rows):
            windows_by_tree.append(windows)
            memories.append(memory)
            progress(f"{tree.name}: {memory.rows.n_tokens:,} tokens in memory")
    if len(windows_by_tree) < 2:
        raise ConfigError(
            f"{len(windows_by_tree)} of {len(trees)} repositories have two files and one of "
            f"{options.window_tokens} tokens to ask about, and two are needed; name others with "
            "--repo or --packages, or give a smaller --window-tokens."
        )
    own: list[Samples] = []
    foreign: list[Samples] = []
    others = [*memories[1:], memories[0]]
    for windows, memory, other in zip(windows_by_tree, memories, others, strict=True):
        views = CompletionMemory(memory, None), CompletionMemory(other, None)
        parts = [_window_samples(loaded, window, views) for window in windows]
        own.append(Samples.joined(part for part, _ in parts))
        foreign.append(Samples.joined(part for _, part in parts))
        progress(f"{len(own)} of {len(windows_by_tree)} repositories measured")
    return own, foreign


def _window_samples(
    loaded: LoadedModel, window: Window, views: tuple[CompletionMemory, CompletionMemory]
) -> tuple[Samples, Samples]:
    """Return the tokens of a window that each of two memories has a match for."""
    own, other = views
    predicted = _log_probs(loaded, window, own)
    # A model without memory layers predicts the same with any memory.
    with_other = _log_probs(loaded, window, other) if loaded.model.config.mem_layers else predicted
    return _matched(window, predicted, own), _matched(window, with_other, other)


@torch.inference_mode()
def _log_probs(loaded: LoadedModel, window: Window, view: CompletionMemory) -> Tensor:
    """Return log probabilities of each token after the window's head, float32 (n, V)."""
    ids = window.ids
    batch = torch.tensor([ids], device=loaded.model.device)
    n_kept = len(ids) - window.n_head + 1
    output = loaded.model(
        batch,
        use_cache=False,
        last_context_length=len(ids),
        memory=view,
        logits_to_keep=n_kept,
    )
    return output.logits[0, :-1].float().cpu().log_softmax(dim=-1)


def _matched(window: Window, log_probs: Tensor, view: CompletionMemory) -> Samples:
    """Return the samples of a window's tokens that have a match in memory."""
    ids, first = window.ids, window.n_head
    found: list[tuple[Tensor, float, float]] = []
    for at, row in enumerate(log_probs, first):
        match = view.match(ids[:at])
        if match is not None:
            share = float((match.followers == ids[at]).float().mean())
            found.append((features(match, row), float(row[ids[at]].exp()), share))
    n_tokens = len(ids) - first
    if not found:
        return Samples(torch.empty(0, N_COPY_FEATURES), torch.empty(0), torch.empty(0), n_tokens)
    weighed, model, shares = zip(*found, strict=True)
    return Samples(torch.stack(weighed), torch.tensor(model), torch.tensor(shares), n_tokens)


def _as_prompted(loaded: LoadedModel, window: Window, text: str) -> Window:
    """Return a window behind the text around it, as a completion shows it to this model.

    A model that was not taught to fill in sees the window alone.

    Args:
        loaded: the model.
        window: tokens of a file.
        text: all of the file.
    """
    tokenizer, config = loaded.tokenizer, loaded.model.config
    marks = InfillMarks.of(config, tokenizer)
    if marks is None or not marks.always:
        return window
    body = window.ids[window.n_head :]
    spans = tokenizer.offsets(text)[1][window.start : window.start + len(body)]
    around = PromptSource(window.path, text[: spans[0][0]], text[spans[-1][1] :])
    prompt = build_prompt(around, tokenizer, config.window - len(body), marks)
    head = [*prompt.ids, *tokenizer.encode(prompt.healed)]
    return Window(window.path, window.start, [*head, *body], len(head))


def _prepare(
    loaded: LoadedModel, tree: SourceTree, options: CopyFitOptions
) -> tuple[list[Window], RepositoryMemory]:
    """Return windows of some files, and a memory of the others."""
    rng = random.Random(f"copying {options.seed} {tree.name}")
    sizes = SizeOptions(windows=options.windows, window_tokens=options.window_tokens)
    windows, texts = divide(loaded, tree, sizes, rng)
    windows = [_as_prompted(loaded, window, tree.texts[window.path]) for window in windows]
    texts = texts if windows else {}
    return windows, memory_of(loaded, encode_files(loaded, texts, options.memory_tokens))
