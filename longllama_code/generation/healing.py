"""Token healing: generation continues the text before the cursor, not its last token.

A cursor inside a word or an indentation splits what the tokenizer would keep together. The split
token is taken back and generation may choose any token that begins with its text.
"""

from bisect import bisect_left

import torch
from torch import Tensor

from longllama_code.tokenizer import Tokenizer


class TokenHealer:
    """Finds the tokens that agree with a text; built once for a tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        pairs = [(tokenizer.token_bytes(token), token) for token in range(tokenizer.vocab_size)]
        self._sorted = sorted(pair for pair in pairs if pair[0])
        self._by_bytes = dict(self._sorted)

    def allowed(self, remainder: bytes) -> list[int]:
        """Tokens that begin with the remainder, or that it begins with."""
        allowed = [
            self._by_bytes[remainder[:length]]
            for length in range(1, len(remainder))
            if remainder[:length] in self._by_bytes
        ]
        index = bisect_left(self._sorted, (remainder, -1))
        while index < len(self._sorted) and self._sorted[index][0].startswith(remainder):
            allowed.append(self._sorted[index][1])
            index += 1
        return allowed

    def constrain(self, logits: Tensor, remainder: bytes) -> Tensor:
        """Logits (V,) with every token that contradicts the remainder at minus infinity."""
        allowed = self.allowed(remainder)
        if not allowed:
            return logits
        constrained = torch.full_like(logits, float("-inf"))
        constrained[allowed] = logits[allowed]
        return constrained
