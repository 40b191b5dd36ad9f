"""Loss of a model over a window of tokens, beside a memory or without one."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longllama_code.generation.models import LoadedModel
from longllama_code.memory.encoder import path_header
from longllama_code.model.memory import MemorySource


def window_ids(loaded: LoadedModel, path: str, text: str) -> tuple[list[int], int]:
    """Token ids of a window as a completion would see it, and how many stand before the text."""
    tokenizer = loaded.tokenizer
    head = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    head += tokenizer.encode(path_header(path))
    return head + tokenizer.encode(text), len(head)


@torch.inference_mode()
def token_losses(
    loaded: LoadedModel, ids: list[int], n_head: int, memory: MemorySource | None
) -> Tensor:
    """Loss of each token after the head, in nats: float32 (S - head,)."""
    batch = torch.tensor([ids], device=loaded.model.device)
    output = loaded.model(batch, use_cache=False, last_context_length=len(ids), memory=memory)
    losses = cross_entropy(output.logits[0, :-1].float(), batch[0, 1:], reduction="none")
    return losses[max(n_head - 1, 0) :]
