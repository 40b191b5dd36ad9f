"""Loss of the right answer, which tells models apart even if none of them writes it."""

from __future__ import annotations

from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.research.evaluation.lengths.needles import Needle
from longllama_code.research.evaluation.losses import token_losses, window_ids


def answer_loss(loaded: LoadedModel, hidden: Needle, memory: RepositoryMemory | None) -> float:
    """Return the loss of the answer after its question, in nats, summed over tokens."""
    space = "" if hidden.prefix.endswith(" ") else " "
    question_ids, _ = window_ids(loaded, hidden.question_path, hidden.prefix)
    ids, _ = window_ids(loaded, hidden.question_path, f"{hidden.prefix}{space}{hidden.answer}")
    # The question's last token may be encoded differently once the answer follows.
    n_same = next(
        (n for n, (a, b) in enumerate(zip(question_ids, ids, strict=False)) if a != b), None
    )
    n_question = len(question_ids) if n_same is None else n_same
    view = None if memory is None else CompletionMemory(memory, None)
    return float(token_losses(loaded, ids, n_question, view).sum())
