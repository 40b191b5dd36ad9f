"""The suggestion as it grows: how sure the model is of its first word."""

import math

import pytest
import torch

from longllama_code.generation.healing import TokenHealer
from longllama_code.generation.stopping import LineEnd
from longllama_code.generation.writer import Writer
from longllama_code.tokenizer import Span, Tokenizer

PIECES = [b".", b".get", b"get", b"put", b""]
END = 4


class FourPieces(Tokenizer):
    """A vocabulary in which a dot stands alone, or before a word."""

    bos_id = None
    eos_id = END
    vocab_size = len(PIECES)
    special_ids = frozenset((END,))

    def offsets(self, text: str) -> tuple[list[int], list[Span]]:
        return [PIECES.index(text.encode())], [(0, len(text))]

    def token_bytes(self, token_id: int) -> bytes:
        return PIECES[token_id]


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([math.log(each) if each else -math.inf for each in probabilities])


@pytest.fixture
def writer() -> Writer:
    """Behind a dot that healing took back."""
    tokenizer = FourPieces()
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    return Writer(*tools, [], ".", LineEnd(), 8)


def test_the_confidence_is_that_of_the_first_word_and_not_of_a_healed_dot(writer: Writer) -> None:
    first = writer.choose(logits(0.9, 0.05, 0, 0.05, 0))
    assert (first, writer.confidence) == (0, 0.0)
    writer.take(first)
    assert writer.choose(logits(0, 0, 0.6, 0.3, 0.1)) == 2
    assert writer.confidence == pytest.approx(0.6)
    assert [token for token, _ in writer.openings] == [2, 3, 4]


def test_a_token_that_heals_and_goes_on_has_the_confidence(writer: Writer) -> None:
    assert writer.choose(logits(0.2, 0.6, 0, 0.2, 0)) == 1
    assert writer.confidence == pytest.approx(0.75)  # of those that begin with the dot


def test_an_end_that_is_likely_is_an_opening(writer: Writer) -> None:
    writer.take(0)
    writer.choose(logits(0, 0, 0.2, 0.1, 0.7))
    assert writer.confidence == pytest.approx(0.7)
