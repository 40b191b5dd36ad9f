"""The suggestion as it grows: how sure the model is of its first word."""

import math

import pytest
import torch

from longllama_code.generation.decoding.healing import TokenHealer
from longllama_code.generation.decoding.stopping import LineEnd, stop_rule
from longllama_code.generation.decoding.writer import Writer
from longllama_code.tokenizers.tokenizer import Span, Tokenizer

PIECES = [b".", b".get", b"get", b"put", b""]
END = 4


LINES = [b"a", b"b", b"\n", b"c", b""]


class FourPieces(Tokenizer):
    """A vocabulary in which a dot stands alone, or before a word."""

    bos_id = None
    eos_id = END
    vocab_size = len(PIECES)
    special_ids = frozenset((END,))

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def offsets(self, text: str) -> tuple[list[int], list[Span]]:
        found = [(self._pieces.index(text.encode()), (0, len(text)))] if text else []
        return [token for token, _ in found], [span for _, span in found]

    def token_bytes(self, token_id: int) -> bytes:
        return self._pieces[token_id]


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([math.log(each) if each else -math.inf for each in probabilities])


@pytest.fixture
def writer() -> Writer:
    """Behind a dot that healing took back."""
    tokenizer = FourPieces(PIECES)
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    return Writer(*tools, [], ".", LineEnd(), 8)


def test_the_confidence_is_that_of_the_first_word_and_not_of_a_healed_dot(writer: Writer) -> None:
    first = writer.choose(logits(0.9, 0.05, 0, 0.05, 0))
    assert (first, writer.confidence) == (0, 0.0)
    writer.take(first)
    assert writer.choose(logits(0, 0, 0.6, 0.3, 0.1)) == 2
    assert writer.confidence == pytest.approx(0.6)


def test_a_token_that_heals_and_goes_on_has_the_confidence(writer: Writer) -> None:
    assert writer.choose(logits(0.2, 0.6, 0, 0.2, 0)) == 1
    assert writer.confidence == pytest.approx(0.75)  # of those that begin with the dot


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        (logits(0.01, 0.01, 0.01, 0.01, 0.96), "end_of_text"),
        (logits(0.3, 0, 0, 0.3, 0.4), "unsure"),
    ],
)
def test_the_only_token_that_heals_and_goes_on_is_certain(
    following: torch.Tensor, reason: str
) -> None:
    tokenizer = FourPieces(PIECES)
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    writer = Writer(*tools, [], ".", LineEnd(), 8, min_confidence=0.5)
    assert not writer.take(writer.choose(logits(0, 0.4, 0.3, 0.3, 0)))
    assert writer.take(writer.choose(following))
    assert (writer.text, writer.stop_reason, writer.probability) == ("get", reason, 1.0)


def test_an_end_that_is_likely_has_the_confidence(writer: Writer) -> None:
    writer.take(0)
    writer.choose(logits(0, 0, 0.2, 0.1, 0.7))
    assert writer.confidence == pytest.approx(0.7)


def test_of_a_block_the_lines_stay_that_were_complete_before_the_model_became_unsure() -> None:
    tokenizer = FourPieces(LINES)
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    block = stop_rule("", "", multiline=True)
    writer = Writer(*tools, [], "", block, 8, min_confidence=0.5)
    sure = [logits(0.8, 0.1, 0.1, 0, 0), logits(0.1, 0.1, 0.8, 0, 0), logits(0.8, 0.1, 0.1, 0, 0)]
    for each in sure:
        assert not writer.take(writer.choose(each))
    assert writer.text == "a\na"
    assert writer.take(writer.choose(logits(0.4, 0.3, 0.3, 0, 0)))
    assert (writer.text, writer.stop_reason) == ("a", "unsure")
    assert writer.probability == pytest.approx(0.8)
    assert writer.mean_probability == pytest.approx((0.8**3 * 0.4) ** 0.25)


@pytest.mark.parametrize(
    ("writing_ms", "text"), [(0, "a"), (3_600_000, "a\nb\nc"), (None, "a\nb\nc")]
)
def test_a_block_that_took_too_long_ends_with_a_whole_line(
    writing_ms: int | None, text: str
) -> None:
    """Its first line is whole in any case."""
    tokenizer = FourPieces(LINES)
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    block = stop_rule("", "", multiline=True)
    writer = Writer(*tools, [], "", block, 8, writing_ms=writing_ms)
    for token in (0, 2, 1, 2, 3, END):  # a line feed is the third piece
        writer.choose(logits(*(float(piece == token) for piece in range(5))))
        if writer.take(token):
            break
    assert writer.text == text


@pytest.mark.parametrize(
    ("after", "tokens", "text", "reason"),
    [
        ("", [0, 2, 1], "a\nb", "end_of_text"),
        ("", [0, 2, 3], "a", "fence"),
        ("", [3], "", "fence"),
        ("\nb\n", [0, 2, 1], "a", "repeats_suffix"),
    ],
)
def test_the_end_of_a_text_ends_its_last_line(
    after: str, tokens: list[int], text: str, reason: str
) -> None:
    """What would end a suggestion before a line feed ends it before the end, too."""
    tokenizer = FourPieces([b"a", b"b", b"\n", b"```", b""])
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    writer = Writer(*tools, [], "", stop_rule("", after, multiline=True), 8)
    assert [writer.take(token) for token in (*tokens, END)] == [False] * len(tokens) + [True]
    assert (writer.text, writer.stop_reason) == (text, reason)


def written(writer: Writer, *steps: torch.Tensor) -> bool:
    """Choose and take a token for each prediction; return whether the last one ended the text."""
    return [writer.take(writer.choose(each)) for each in steps][-1]


def test_other_texts_leave_a_text_where_they_are_likeliest() -> None:
    tokenizer = FourPieces(LINES)
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    writer = Writer(*tools, [7], "", LineEnd(), 8)
    end = logits(0.05, 0.04, 0.91, 0, 0)
    assert written(writer, logits(0.9, 0.1, 0, 0, 0), logits(0, 0.6, 0, 0.4, 0), end)
    # "ac" is likelier than "b", and that than "aba".
    other, another = writer.asides(2)
    assert [each.context for each in writer.asides(8)] == [[7, 0], [7], [7, 0, 1]]
    assert (other.context, other.text, another.text) == ([7, 0], "a", "")
    assert not other.take(other.choose(logits(0, 0.6, 0, 0.4, 0)))
    assert written(other, end)
    assert (other.text, other.stop_reason) == ("ac", "line")
    assert other.probability == pytest.approx(0.9 * 0.4)
    assert not written(another, logits(0.9, 0.1, 0, 0, 0))
    assert (another.text, another.confidence) == ("b", pytest.approx(0.1))
    assert (writer.text, writer.context) == ("ab", [7, 0, 1, 2])
    assert writer.confidence == pytest.approx(0.9)


def test_a_text_is_not_left_for_what_the_model_does_not_expect() -> None:
    tokenizer = FourPieces(LINES)
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    writer = Writer(*tools, [], "", LineEnd(), 8)
    assert written(writer, logits(0.981, 0.019, 0, 0, 0), logits(0, 0, 0.979, 0.021, 0))
    assert [each.context for each in writer.asides(8, 0.02)] == [[0]]
    assert len(writer.asides(8)) == 2


def test_other_texts_keep_what_is_healed(writer: Writer) -> None:
    assert written(writer, logits(0, 0.6, 0, 0.4, 0), logits(0, 0, 0, 0, 1))
    assert writer.text == "get"
    assert not writer.asides(8)  # the only token that goes on with the dot has no second


def test_after_a_healed_dot_other_texts_begin_behind_it(writer: Writer) -> None:
    steps = logits(0.9, 0.1, 0, 0, 0), logits(0, 0, 0.6, 0.4, 0), logits(0, 0, 0, 0, 1)
    assert written(writer, *steps)
    [other] = writer.asides(8)
    assert (other.context, other.text) == ([0], "")
    assert not written(other, logits(0, 0, 0.6, 0.4, 0))
    assert other.text == "put"


def test_the_same_text_in_other_pieces_is_no_other_text() -> None:
    tokenizer = FourPieces([b"a", b"ab", b"\n", b"\n\n", b""])
    tools = tokenizer, TokenHealer(tokenizer), frozenset((END,)), None
    writer = Writer(*tools, [], "", LineEnd(), 8)
    assert written(writer, logits(0.6, 0.4, 0, 0, 0), logits(0, 0, 0.5, 0.4, 0.1))
    assert not writer.asides(8)
