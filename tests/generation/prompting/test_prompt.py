"""The local context: where it begins, and what healing takes back; healing against brute force."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation.decoding.healing import TokenHealer
from longllama_code.generation.prompting.prompt import (
    ANCHOR_STEP_CHARS,
    PromptSource,
    anchor,
    build_prompt,
)
from longllama_code.memory.segments.identity import path_header
from longllama_code.model_sources import catalog
from longllama_code.tokenizers.tokenizer import ByteTokenizer, FastTokenizer, Tokenizer

BYTES = ByteTokenizer()
line = st.sampled_from(["x = 1", "    return é", "", "\tpass", "word " * 30, "y" * 3000, "😀"])
documents = st.lists(st.tuples(line, st.sampled_from(["\n", "\r\n"])).map("".join), max_size=90)
texts = st.builds(
    str.__add__, documents.map("".join), st.sampled_from(["", " ", "ab", "    ", "😀"])
)


@settings(deadline=None)
@given(prefix=texts)
def test_anchor(prefix: str) -> None:
    start = anchor(prefix)
    assert 0 <= start <= len(prefix)
    assert len(prefix) - start < 2 * ANCHOR_STEP_CHARS
    at_line = start == 0 or prefix[start - 1] == "\n"
    step = (len(prefix) // ANCHOR_STEP_CHARS - 1) * ANCHOR_STEP_CHARS
    assert at_line or (start == step and "\n" not in prefix[step - 1 : step + ANCHOR_STEP_CHARS])
    left = ANCHOR_STEP_CHARS - len(prefix) % ANCHOR_STEP_CHARS - 1
    for typed in ("y" * left, "\n" * left, "z"[:left]):
        assert anchor(prefix + typed) == start


def test_anchor_moves_on() -> None:
    text = "x = 1\n" * 1000
    assert [anchor(text[:length]) for length in (0, 1023, 2047, 2048, 3071)] == [
        0,
        0,
        0,
        1026,
        1026,
    ]
    assert anchor(text[:3072]) == 2052


def check_prompt(tokenizer: Tokenizer, prefix: str, max_tokens: int) -> None:
    prompt = build_prompt(PromptSource("src/a.py", prefix), tokenizer, max_tokens)
    head = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    head += tokenizer.encode(path_header("src/a.py"))
    assert prompt.ids[: len(head)] == head
    assert len(prompt.ids) <= max(max_tokens, len(head))
    assert prefix.endswith(prompt.healed)
    local = prefix[prompt.start : len(prefix) - len(prompt.healed)]
    body = prompt.ids[len(head) :]
    assert local.encode().endswith(b"".join(map(tokenizer.token_bytes, body)))
    if len(prompt.ids) < max_tokens:
        assert tokenizer.decode(body) == local
    if prefix and not prefix.endswith(("\n", "\r")):
        assert prompt.healed


@settings(deadline=None)
@given(prefix=texts, max_tokens=st.sampled_from([40, 400, 10_000]))
def test_prompt_of_bytes(prefix: str, max_tokens: int) -> None:
    check_prompt(BYTES, prefix, max_tokens)


@pytest.mark.parametrize(
    ("prefix", "healed"),
    [
        ("", ""),
        ("x\n", ""),
        ("ab", "b"),
        ("é", "é"),
        ("x = 😀", "😀"),
        ("x =   ", "   "),
        ("x\n    ", "    "),
        ("    ", "    "),
        ("x\t", "\t"),
        ("x\r\n", ""),
    ],
)
def test_healing_of_bytes(prefix: str, healed: str) -> None:
    assert build_prompt(PromptSource("a.py", prefix), BYTES, 400).healed == healed


@pytest.fixture(scope="session")
def mini() -> Path:
    return catalog.pull("mini")


@pytest.fixture(scope="session")
def fast(mini: Path) -> FastTokenizer:
    return FastTokenizer.from_folder(mini)


@pytest.fixture(scope="session")
def healer(fast: FastTokenizer) -> TokenHealer:
    return TokenHealer(fast)


@pytest.mark.mini
@settings(deadline=None, max_examples=50)
@given(prefix=texts, max_tokens=st.sampled_from([40, 400, 10_000]))
def test_prompt_of_the_default_model(fast: FastTokenizer, prefix: str, max_tokens: int) -> None:
    check_prompt(fast, prefix, max_tokens)


@pytest.mark.mini
@pytest.mark.parametrize(
    "remainder", ["ret", " sel", "    ", "\n   ", "é", "😀", "x", "zqxj", "  a"]
)
def test_allowed_tokens(fast: FastTokenizer, healer: TokenHealer, remainder: str) -> None:
    """Against every token there is: words whole where possible, blanks in any pieces."""
    owed = remainder.encode()
    spelt = [fast.token_bytes(token) for token in range(fast.vocab_size)]
    whole = {part for part in spelt if part.startswith(owed)}
    pieces = {part for part in spelt if part and owed.startswith(part)}
    allowed = healer.allowed(owed)
    expected = whole if whole and remainder.strip() else whole | pieces
    assert {spelt[token] for token in allowed} == expected
    assert len(set(allowed)) == len(allowed) > 0


@pytest.mark.mini
def test_constrained_logits(fast: FastTokenizer, healer: TokenHealer) -> None:
    logits = torch.randn(fast.vocab_size, generator=torch.Generator().manual_seed(0))
    constrained = healer.constrain(logits, b" ret")
    allowed = healer.allowed(b" ret")
    assert torch.equal(constrained[allowed], logits[allowed])
    assert constrained.isfinite().sum() == len(allowed)
    assert fast.eos_id not in allowed


@pytest.mark.mini
def test_what_memory_spells_otherwise_is_allowed(fast: FastTokenizer, healer: TokenHealer) -> None:
    letter, other = (fast.encode(text)[0] for text in ("P", "Q"))
    logits = torch.zeros(fast.vocab_size)
    assert healer.constrain(logits, b"PI")[letter] == float("-inf")
    spelt = healer.constrain(logits, b"PI", [letter, other])
    assert spelt[letter] == 0
    assert spelt[other] == float("-inf")


def test_a_word_in_the_middle_is_healed(fast: FastTokenizer, healer: TokenHealer) -> None:
    """` sel` is a token, taken back; ` self` is one more that generation may choose instead."""
    prompt = build_prompt(PromptSource("a.py", "def f(self):\n    return sel"), fast, 400)
    (whole,) = fast.encode(" self")
    assert prompt.healed == " sel"
    assert whole in healer.allowed(prompt.healed.encode())


def test_a_prompt_cut_to_fit_says_where_its_text_begins() -> None:
    tokenizer = ByteTokenizer()
    prefix = "".join(f"line {number}\n" for number in range(40))
    prompt = build_prompt(PromptSource("a.py", prefix), tokenizer, 60)
    assert len(prompt.ids) == 60
    assert tokenizer.decode(prompt.ids).endswith(prefix[prompt.start :])
    assert 0 < len(prefix) - prompt.start < 60


def test_a_long_path_leaves_room_for_the_text() -> None:
    tokenizer = ByteTokenizer()
    prompt = build_prompt(PromptSource("folder/" * 100, "x = 1\n"), tokenizer, 40)
    assert len(prompt.ids) <= 40
    assert tokenizer.decode(prompt.ids).endswith("\nx = 1\n")
