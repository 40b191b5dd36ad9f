"""A name is written among some: whatever the model prefers, one of them is spelt."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from longllama_code.generation.decoding.healing import TokenHealer
from longllama_code.generation.decoding.name_choice import NameChoice
from longllama_code.generation.decoding.stopping import LineEnd
from longllama_code.generation.decoding.writer import Writer
from longllama_code.tokenizers.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
HEALER = TokenHealer(TOKENIZER)
NAMES = st.lists(st.from_regex(r"[a-c_é]{1,4}", fullmatch=True), min_size=1, max_size=5)


def writer(prompt: str = "", healed: str = "") -> Writer:
    ends = frozenset((TOKENIZER.eos_id,))
    ids = TOKENIZER.encode(prompt)
    return Writer(TOKENIZER, HEALER, ends, None, ids, healed, LineEnd(), 60)


def preferring(text: str, at: int) -> torch.Tensor:
    """Logits of a model that writes a text, and is as sure of the rest of the alphabet."""
    logits = torch.zeros(TOKENIZER.vocab_size)
    logits[TOKENIZER.eos_id] = -9
    if at < len(text.encode()):
        logits[text.encode()[at]] = 9
    return logits


def write(one: Writer, text: str, at: int = 0) -> str:
    """Let a model that prefers a text, from some byte on, write to the end."""
    for number in range(at, 80):
        if one.take(one.choose(preferring(text, number))):
            break
    return one.text


@given(NAMES, st.text("abc_(", max_size=8))
def test_one_of_the_names_is_spelt_to_its_end(names, wanted):
    choice = NameChoice(TOKENIZER, [name.encode() for name in names], frozenset())
    spelt = b""
    for at in range(20):
        token = int(choice.constrain(preferring(wanted, at)).argmax())
        spelt += TOKENIZER.token_bytes(token)
        if choice.took(token):
            break
    assert any(
        spelt[:-1] == name.encode() and not (chr(spelt[-1]).isalnum() or spelt[-1:] in (b"_",))
        for name in names
    )


@given(NAMES, st.text("ab (\n", max_size=6))
def test_what_the_model_prefers_among_them_is_spelt(names, behind):
    name = names[0]
    assume(not behind[:1].isalnum())
    one = writer()
    write(one, "zz(1)\n")
    one.go_back(0, names)
    assert write(one, f"{name}{behind}\n") == f"{name}{behind}".partition("\n")[0].rstrip()


def test_what_stands_before_the_name_stays_with_its_probabilities():
    one = writer("x = ")
    assert write(one, "cart.zz(1)\n") == "cart.zz(1)"
    sure = one.mean_probability
    one.go_back(5, ["total", "add"])
    assert one.text == "cart."
    assert one.context == TOKENIZER.encode("x = cart.")
    assert write(one, "cart.total(2)\n", 5) == "cart.total(2)"
    assert one.confidence == pytest.approx(sure, abs=0.05)
    assert one.stop_reason == "line"


def test_a_name_that_was_begun_before_the_cursor_goes_on():
    one = writer("cart.", "to")
    assert write(one, "tozz\n") == "zz"
    one.go_back(0, ["tal", "tals"])
    assert write(one, "totals(1)\n", 2) == "tals(1)"


def test_a_text_may_end_behind_a_name_alone():
    choice = NameChoice(TOKENIZER, [b"ab"], frozenset((TOKENIZER.eos_id,)))
    eager = torch.zeros(TOKENIZER.vocab_size)
    eager[TOKENIZER.eos_id] = 9
    spelt = b""
    for _ in range(3):
        token = int(choice.constrain(eager).argmax())
        spelt += TOKENIZER.token_bytes(token)
        is_done = choice.took(token)
    assert (spelt, is_done) == (b"ab", False)
    assert token == TOKENIZER.eos_id


def test_the_suggestion_may_end_before_the_line_of_a_name():
    one = writer()
    for letter in "a\nbb":
        one._text += letter
    one.end_before_line(2)
    assert (one.text, one.stop_reason) == ("a", "unknown_name")
    one.end_before_line(-3)
    assert one.text == ""
