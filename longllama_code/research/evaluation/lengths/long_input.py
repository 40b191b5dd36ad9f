"""One long input as in the original: windows go to memory, the last tokens stay local.

No repository memory and no segments: this is ``LongLlamaForCausalLM`` alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.modeling import LongLlamaForCausalLM

PIECE_TOKENS = 1024
"""Tokens of each piece of a local context."""


@torch.inference_mode()
def write_after(
    model: LongLlamaForCausalLM, ids: list[int], n_last: int, n_new: int
) -> tuple[list[int], int]:
    """Return what the model writes greedily after an input, and the bytes of its memory.

    Args:
        model: the model.
        ids: the input, of any length.
        n_last: tokens at its end that stay local.
        n_new: tokens to write; generation does not stop at the end of a document.
    """
    cache = LongLlamaCache(model.config)
    step, written = torch.tensor([ids], device=model.device), list[int]()
    for _ in range(n_new):
        output = model(
            step,
            past_key_values=cache,
            use_cache=True,
            last_context_length=n_last,
            logits_to_keep=1,
        )
        written.append(int(output.logits[0, -1].argmax()))
        step = torch.tensor([written[-1:]], device=model.device)
    return written, cache.memory.nbytes


@torch.inference_mode()
def last_losses(model: LongLlamaForCausalLM, ids: list[int], n_last: int, n_scored: int) -> Tensor:
    """Return loss of the last tokens of an input, nats: float32 (n_scored,).

    Args:
        model: the model.
        ids: the input, of any length.
        n_last: tokens at its end that stay local; more than are scored.
        n_scored: how many of them to score.
    """
    batch = torch.tensor([ids], device=model.device)
    output = model(batch, use_cache=False, last_context_length=n_last, logits_to_keep=n_scored + 1)
    return _losses(output.logits[0, :-1], batch[0, -n_scored:])


@torch.inference_mode()
def last_losses_locally(model: LongLlamaForCausalLM, ids: list[int], n_scored: int) -> Tensor:
    """Return these losses with the whole input as local context; it must fit in the window.

    The input is read in pieces, to bound the memory of activations.
    """
    cache = LongLlamaCache(model.config, spills=False)
    batch = torch.tensor([ids], device=model.device)
    kept = list[Tensor]()
    for piece in batch.split(PIECE_TOKENS, dim=1):
        output = model.model(
            piece, past_key_values=cache, use_cache=True, last_context_length=PIECE_TOKENS
        )
        kept = [*kept, output.last_hidden_state][-(2 + n_scored // PIECE_TOKENS) :]
    hidden = torch.cat(kept, dim=1)[:, -n_scored - 1 : -1]
    return _losses(model.lm_head(hidden)[0], batch[0, -n_scored:])


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits.float(), targets, reduction="none")
