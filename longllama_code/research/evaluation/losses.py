"""Windows of tokens, and a model's loss over one, with or without memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longllama_code.generation.decoding.copying import Copier
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.segments.identity import path_header


@dataclass(frozen=True)
class Window:
    """Token ids of a file to predict; the first ``n_head`` are not part of its text."""

    path: str
    start: int
    """Index of its first token in the file."""
    ids: list[int]
    n_head: int


def windows_of(loaded: LoadedModel, path: str, text: str, n_tokens: int) -> Iterator[Window]:
    """Yield all windows of a file that do not overlap; each begins as a completion's would."""
    head, n_head = window_ids(loaded, path, "")
    ids = loaded.tokenizer.encode(text)
    for start in range(0, len(ids) - n_tokens + 1, n_tokens):
        yield Window(path, start, [*head, *ids[start : start + n_tokens]], n_head)


def window_ids(loaded: LoadedModel, path: str, text: str) -> tuple[list[int], int]:
    """Return the token ids of a window as in a completion, and how many precede the text."""
    tokenizer = loaded.tokenizer
    head = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    head += tokenizer.encode_first(path_header(path))
    return head + tokenizer.encode(text), len(head)


@torch.inference_mode()
def token_losses(
    loaded: LoadedModel, ids: list[int], n_head: int, memory: CompletionMemory | None
) -> Tensor:
    """Return loss of each token after the head, in nats: float32 (S - head,)."""
    batch = torch.tensor([ids], device=loaded.model.device)
    output = loaded.model(batch, use_cache=False, last_context_length=len(ids), memory=memory)
    logits = output.logits[0, max(n_head - 1, 0) : -1].float()
    copier = Copier.of(loaded.model.config, memory)
    if copier is not None:
        logits = copier.mix_window(logits, ids[:-1])
    return cross_entropy(logits, batch[0, len(ids) - len(logits) :], reduction="none")
