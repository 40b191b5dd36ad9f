"""Loss over windows of held-out files, and over their tokens that only the project defines."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longllama_code.generation.decoding.copying import Copier
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import (
    MAX_CHARS_PER_TOKEN,
    InfillMarks,
    first_lines,
)
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.research.evaluation.completion.conditions import Condition, insert
from longllama_code.research.evaluation.completion.lines import Project
from longllama_code.research.evaluation.losses import window_ids
from longllama_code.research.evaluation.names.reader import Use
from longllama_code.tokenizers.tokenizer import Span


@dataclass(frozen=True)
class LossWindow:
    """Tokens of a held-out file from the start of a line."""

    path: str
    start: int
    """Offset in the file, in code points."""
    head: list[int]
    """Ids before it: the begin token and the file's header."""
    ids: list[int]
    project: list[bool]
    """Whether each token belongs to a name that only other files of the project define."""
    after: str
    """The file's text after the window."""


@dataclass(frozen=True)
class WindowRow:
    """The loss of one condition over one window, in nats summed over tokens."""

    repository: str
    path: str
    start: int
    condition: str
    tokens: int
    loss: float
    project_tokens: int
    project_loss: float
    prompt_tokens: int
    """Tokens that went through the model."""


def loss_windows(
    loaded: LoadedModel,
    texts: Mapping[str, str],
    project: Project,
    n_windows: int,
    n_tokens: int,
    rng: random.Random,
) -> Iterator[LossWindow]:
    """Yield windows of held-out files in turn, each of ``n_tokens`` or, of a short file, fewer."""
    paths = sorted(texts)
    uses = {path: project.uses(path, texts[path]) for path in paths}
    for number in range(n_windows if paths else 0):
        path = paths[number % len(paths)]
        text = texts[path]
        start = _start(text, loaded, n_tokens, rng)
        part = text[start : start + MAX_CHARS_PER_TOKEN * n_tokens]
        ids, spans = loaded.tokenizer.offsets(part)
        head, _ = window_ids(loaded, path, "")
        spans = spans[:n_tokens]
        mask = overlaps(spans, uses[path], start)
        after = text[start + spans[-1][1] :] if spans else ""
        yield LossWindow(path, start, head, ids[:n_tokens], mask, after)


def overlaps(spans: Sequence[Span], uses: Sequence[Use], start: int) -> list[bool]:
    """Return whether each token shares a character with a name.

    Args:
        spans: code points of each token, counted from ``start``.
        uses: the names, in order.
        start: where the tokens' text begins in the file.
    """
    ends = [use.end for use in uses]
    found: list[bool] = []
    for first, last in spans:
        # Only the first name that ends behind the token's begin can overlap it.
        index = bisect_left(ends, start + first + 1)
        found.append(index < len(uses) and uses[index].start < start + last)
    return found


@torch.inference_mode()
def losses(
    loaded: LoadedModel, window: LossWindow, context: list[int], condition: Condition
) -> Tensor:
    """Return each token's loss, (S,) in nats; without a context, the first token has none."""
    ids = insert(loaded.tokenizer, context, window.head) + window.ids
    batch = torch.tensor([ids], device=loaded.model.device)
    memory = condition.memory_for(window.path, window.after)
    view = None if memory is None else CompletionMemory(memory, None)
    output = loaded.model(
        batch,
        use_cache=False,
        last_context_length=len(ids),
        memory=view if condition.attends else None,
        logits_to_keep=len(window.ids) + 1,
    )
    logits = output.logits[0, :-1].float()
    copier = Copier.of(loaded.model.config, view) if condition.copies else None
    if copier is not None:
        logits = copier.mix_window(logits, ids[:-1])
    return cross_entropy(logits, batch[0, len(ids) - len(logits) :], reduction="none").cpu()


def window_row(
    loaded: LoadedModel,
    repository: str,
    window: LossWindow,
    name: str,
    condition: Condition,
    prompt_tokens: int,
) -> WindowRow:
    """Return a condition's loss over a window with a context of at most ``prompt_tokens``."""
    n_own = len(window.head) + len(window.ids)
    room = loaded.model.config.window - n_own
    context = condition.context_ids(window.path, (), min(prompt_tokens, room))
    if condition.marks is not None:
        context = _infill(loaded, condition.marks, window.after, room)
    values = losses(loaded, window, context, condition)
    mask = torch.tensor(window.project[len(window.project) - len(values) :], dtype=torch.bool)
    return WindowRow(
        repository=repository,
        path=window.path,
        start=window.start,
        condition=name,
        tokens=len(values),
        loss=float(values.sum()),
        project_tokens=int(mask.sum()),
        project_loss=float(values[mask].sum()),
        prompt_tokens=n_own + len(context),
    )


def _infill(loaded: LoadedModel, marks: InfillMarks, after: str, room: int) -> list[int]:
    """Return the ids between begin token and header, as in the prompt of a completion."""
    n_most = min(marks.suffix_tokens, room - marks.n_marks)  # without the marks themselves
    shown, _ = first_lines(after, loaded.tokenizer, n_most)
    return marks.head([], shown, []) if shown or marks.always else []


def _start(text: str, loaded: LoadedModel, n_tokens: int, rng: random.Random) -> int:
    """Return the start of a line with enough text behind it; 0 in a short file."""
    spans = loaded.tokenizer.offsets(text)[1]
    if len(spans) <= n_tokens:
        return 0
    last = spans[-n_tokens][0]
    starts = [0, *(at + 1 for at, char in enumerate(text[:last]) if char == "\n" and at < last)]
    return rng.choice(starts)
