"""Loss over windows of held-out files, and over the tokens in them that only the project knows."""

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
from longllama_code.research.evaluation.completion.arms import Arm, insert
from longllama_code.research.evaluation.completion.lines import Project
from longllama_code.research.evaluation.losses import window_ids
from longllama_code.research.evaluation.names.reader import Use
from longllama_code.tokenizers.tokenizer import Span


@dataclass(frozen=True)
class LossWindow:
    """Some tokens of a held-out file, from the start of a line on."""

    path: str
    start: int
    """Offset in the file, in code points."""
    head: list[int]
    """Ids of what stands before it: the begin token and the file's header."""
    ids: list[int]
    project: list[bool]
    """Which of the tokens belong to a name that only other files of the project define."""
    after: str
    """The file's text after the window."""


@dataclass(frozen=True)
class WindowRow:
    """The loss of one arm over one window, in nats summed over tokens."""

    repository: str
    path: str
    start: int
    arm: str
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
    """Windows of held-out files in turn, each of ``n_tokens`` or, of a short file, fewer."""
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
    """Which tokens share a character with a name.

    Args:
        spans: code points of each token, counted from ``start``.
        uses: the names, in order.
        start: where the tokens' text begins in the file.
    """
    ends = [use.end for use in uses]
    found: list[bool] = []
    for first, last in spans:
        # The first name that ends behind the token's begin is the only one to be looked at.
        index = bisect_left(ends, start + first + 1)
        found.append(index < len(uses) and uses[index].start < start + last)
    return found


@torch.inference_mode()
def losses(loaded: LoadedModel, window: LossWindow, context: list[int], arm: Arm) -> Tensor:
    """Loss of each token of a window but, where nothing stands before it, the first: (S,), nats."""
    ids = insert(loaded.tokenizer, context, window.head) + window.ids
    batch = torch.tensor([ids], device=loaded.model.device)
    memory = arm.memory_for(window.path, window.after)
    view = None if memory is None else CompletionMemory(memory, None)
    output = loaded.model(
        batch,
        use_cache=False,
        last_context_length=len(ids),
        memory=view if arm.attends else None,
        logits_to_keep=len(window.ids) + 1,
    )
    logits = output.logits[0, :-1].float()
    copier = Copier.of(loaded.model.config, view) if arm.copies else None
    if copier is not None:
        logits = copier.mix_window(logits, ids[:-1])
    return cross_entropy(logits, batch[0, len(ids) - len(logits) :], reduction="none").cpu()


def window_row(
    loaded: LoadedModel,
    repository: str,
    window: LossWindow,
    name: str,
    arm: Arm,
    prompt_tokens: int,
) -> WindowRow:
    """The loss of one arm over a window, whose context has at most ``prompt_tokens``."""
    n_own = len(window.head) + len(window.ids)
    room = loaded.model.config.window - n_own
    context = arm.context_ids(window.path, (), min(prompt_tokens, room))
    if arm.marks is not None:
        context = _infill(loaded, arm.marks, window.after, room)
    values = losses(loaded, window, context, arm)
    mask = torch.tensor(window.project[len(window.project) - len(values) :], dtype=torch.bool)
    return WindowRow(
        repository=repository,
        path=window.path,
        start=window.start,
        arm=name,
        tokens=len(values),
        loss=float(values.sum()),
        project_tokens=int(mask.sum()),
        project_loss=float(values[mask].sum()),
        prompt_tokens=n_own + len(context),
    )


def _infill(loaded: LoadedModel, marks: InfillMarks, after: str, room: int) -> list[int]:
    """What stands between begin token and header, as in the prompt of a completion."""
    n_most = min(marks.suffix_tokens, room - marks.n_marks)  # without the marks themselves
    shown, _ = first_lines(after, loaded.tokenizer, n_most)
    return marks.head([], shown, []) if shown or marks.always else []


def _start(text: str, loaded: LoadedModel, n_tokens: int, rng: random.Random) -> int:
    """The start of a line with enough text behind it; 0 in a short file."""
    spans = loaded.tokenizer.offsets(text)[1]
    if len(spans) <= n_tokens:
        return 0
    last = spans[-n_tokens][0]
    starts = [0, *(at + 1 for at, char in enumerate(text[:last]) if char == "\n" and at < last)]
    return rng.choice(starts)
