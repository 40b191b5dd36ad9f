"""Choice of a name among some: tokens that spell none of them are not generated."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from longllama_code.tokenizers.tokenizer import Tokenizer

N_LIKELIEST = 256
"""Number of the likeliest tokens that may end a name and go on behind it."""


class NameChoice:
    """Rule for the next tokens until they have spelt one of some names, and what is behind it.

    Args:
        tokenizer: the model's.
        names: the names in UTF-8, each with what must precede it.
        ends: tokens that end every suggestion.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        names: Sequence[bytes],
        ends: Collection[int],
    ) -> None:
        self._tokenizer = tokenizer
        self._names, self._ends = frozenset(names), ends
        self._spelt = b""

    def constrain(self, logits: Tensor) -> Tensor:
        """Return logits (V,) with minus infinity for every token that spells none of the names."""
        likeliest = logits.topk(min(N_LIKELIEST, len(logits))).indices.tolist()
        allowed = {token for token in likeliest if self._fits(token)}
        for name in self._names:
            if len(name) > len(self._spelt) and name.startswith(self._spelt):
                rest = name[len(self._spelt) :].decode("utf-8", "replace")
                allowed.update(filter(self._fits, self._tokenizer.encode(rest)[:1]))
        constrained = torch.full_like(logits, float("-inf"))
        chosen = sorted(allowed)
        constrained[chosen] = logits[chosen]
        return constrained if chosen else logits

    def took(self, token: int) -> bool:
        """Note that a token was generated; return whether a name is complete."""
        self._spelt += self._tokenizer.token_bytes(token)
        return not any(name.startswith(self._spelt) for name in self._names)

    def _fits(self, token: int) -> bool:
        if token in self._ends:
            return self._spelt in self._names
        spelt = self._spelt + self._tokenizer.token_bytes(token)
        return len(spelt) > len(self._spelt) and any(
            name.startswith(spelt) or (spelt.startswith(name) and not _is_word(spelt[len(name)]))
            for name in self._names
        )


def _is_word(byte: int) -> bool:
    """Whether a byte may be part of an identifier; all of those beyond ASCII may."""
    return byte >= 0x80 or chr(byte).isalnum() or byte == ord("_")
