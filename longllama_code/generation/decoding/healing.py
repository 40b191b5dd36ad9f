"""Token healing: generation continues the text before the cursor, not its last token.

A cursor inside a word or an indentation splits what the tokenizer would keep together. The last
token is removed from the prompt, and the generated tokens must begin with its text.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import torch
from torch import Tensor

from longllama_code.tokenizers.tokenizer import Tokenizer


class TokenHealer:
    """Index of a tokenizer's vocabulary by the tokens' bytes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids, self._bytes = tokenizer.by_bytes

    def allowed(self, remainder: bytes) -> list[int]:
        """Return the tokens that may come first in a text that must begin with ``remainder``.

        These are the tokens that begin with all of it: a word is not spelt in smaller tokens, which
        the model has rarely seen. Blanks may be split, because the last one often belongs to the
        next word, and so may a text that no token begins with.
        """
        begin = self._beginning_with(remainder)
        if begin and not remainder.isspace():
            return begin
        heads = (remainder[:length] for length in range(1, len(remainder)))
        return begin + [token for head in heads for token in self._spelling(head)]

    def _begins(self, remainder: bytes, token: int) -> bool:
        """Whether a text begins with a token."""
        head = self._tokenizer.token_bytes(token)
        return bool(head) and remainder.startswith(head)

    def _beginning_with(self, remainder: bytes) -> list[int]:
        """Return the tokens that begin with a text."""
        size = len(remainder)
        first = bisect_left(self._bytes, remainder)
        end = bisect_right(self._bytes, remainder, first, key=lambda spelt: spelt[:size])
        return self._ids[first:end]

    def _spelling(self, text: bytes) -> list[int]:
        """Return the token that a text is, if there is one; the last one of several."""
        at = bisect_right(self._bytes, text) - 1
        return [self._ids[at]] if at >= 0 and self._bytes[at] == text else []

    def constrain(self, logits: Tensor, remainder: bytes, spelt: Sequence[int] = ()) -> Tensor:
        """Return logits (V,) with minus infinity for every token that may not come next.

        Args:
            logits: the prediction, (V,).
            remainder: text with which the next tokens must begin.
            spelt: tokens with which memory continues; those of them with which the remainder begins
                are allowed as well.
        """
        heads = [token for token in spelt if self._begins(remainder, token)]
        allowed = self.allowed(remainder) + heads
        if not allowed:
            return logits
        places = torch.tensor(allowed, device=logits.device)  # tens of thousands behind a blank
        constrained = torch.full_like(logits, float("-inf"))
        constrained[places] = logits[places]
        return constrained
