"""How unlikely the right answer is: tells models apart that never write it."""

from __future__ import annotations

from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.research.evaluation.lengths.needles import Needle
from longllama_code.research.evaluation.losses import token_losses, window_ids


def answer_loss(loaded: LoadedModel, hidden: Needle, memory: RepositoryMemory | None) -> float:
    """Loss of all tokens of the answer behind its question, in nats (a sum, not per token)."""
    space = "" if hidden.prefix.endswith(" ") else " "
    asked, _ = window_ids(loaded, hidden.asking_path, hidden.prefix)
    ids, _ = window_ids(loaded, hidden.asking_path, f"{hidden.prefix}{space}{hidden.answer}")
    # The last token of the question may be spelled otherwise once the answer follows.
    n_same = next((n for n, (a, b) in enumerate(zip(asked, ids, strict=False)) if a != b), None)
    n_question = len(asked) if n_same is None else n_same
    view = None if memory is None else CompletionMemory(memory, None)
    return float(token_losses(loaded, ids, n_question, view).sum())
