"""Text to tokens and back: nothing lost, nothing moved, nothing special."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from longllama_code.errors import CheckpointError
from longllama_code.tokenizers.tokenizer import (
    ByteTokenizer,
    FastTokenizer,
    IncrementalDecoder,
    Tokenizer,
)

MERGES = [("Ġ", "Ġ"), ("ĠĠ", "ĠĠ"), ("i", "n"), ("in", "t"), ("ð", "Ł"), ("č", "Ċ")]
UNSPELLABLE = "\x04\x1d\U00040000"
SOURCE = 'def π(x):\r\n\t# "𝔘😀" é\n    return 3.14159\x00\x1b[0m\n'


def bpe(missing: str = "", odd: Sequence[str] = ()) -> tokenizers.Tokenizer:
    """A byte-level BPE of a few merges and odd tokens, without some stand-ins of bytes."""
    alphabet = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(missing))
    vocab = ["<|endoftext|>", *alphabet, *(left + right for left, right in MERGES), *odd]
    backend = tokenizers.Tokenizer(models.BPE({t: at for at, t in enumerate(vocab)}, MERGES))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    return backend


FAST = FastTokenizer(bpe(), bos_id=None, eos_id=0)
# The stand-ins of bytes 04, 1D and F1, which SmolLM2 lacks too.
POOR = FastTokenizer(bpe(missing="\u0104\u011d\u00f1"), bos_id=0, eos_id=0)
TOKENIZERS = pytest.mark.parametrize("tokenizer", [ByteTokenizer(), FAST], ids=["byte", "fast"])


@TOKENIZERS
@settings(deadline=None)
@given(text=st.text())
def test_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@TOKENIZERS
@pytest.mark.parametrize("text", ["", SOURCE, "\r\n\r\n", "<|endoftext|>", "  in int"])
def test_round_trip_of_source(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@TOKENIZERS
@settings(deadline=None)
@given(text=st.one_of(st.text(), st.just(SOURCE)))
def test_offsets_cover_the_text_in_order(tokenizer: Tokenizer, text: str) -> None:
    ids, spans = tokenizer.offsets(text)
    assert ids == tokenizer.encode(text)
    reached = 0
    for token_id, (start, end) in zip(ids, spans, strict=True):
        assert start <= reached <= end
        assert tokenizer.token_bytes(token_id) in text[start:end].encode()
        reached = end
    assert reached == len(text)


@TOKENIZERS
@settings(deadline=None)
@given(text=st.text())
def test_incremental_decoding_gives_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    decoder = IncrementalDecoder(tokenizer)
    said = ""
    for token_id in tokenizer.encode(text):
        said += decoder.push(token_id)
        assert text.startswith(said)
    assert said + decoder.flush() == text


def test_incremental_decoding_waits_for_the_last_byte() -> None:
    decoder = IncrementalDecoder(ByteTokenizer())
    assert [decoder.push(byte) for byte in "é!".encode()] == ["", "é", "!"]


def test_incremental_decoding_flushes_an_unfinished_character() -> None:
    decoder = IncrementalDecoder(ByteTokenizer())
    assert decoder.push("😀".encode()[0]) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""


@TOKENIZERS
def test_lines_are_counted_alone(tokenizer: Tokenizer) -> None:
    lines = SOURCE.splitlines(keepends=True)
    assert tokenizer.encode_lines(lines) == [len(tokenizer.encode(line)) for line in lines]


def test_names_of_special_tokens_are_text() -> None:
    ids, spans = FAST.offsets("a<|endoftext|>")
    assert FAST.eos_id not in ids
    assert spans == [(at, at + 1) for at in range(len("a<|endoftext|>"))]
    assert FAST.decode([FAST.eos_id]) == ""


def test_special_tokens_listed_as_plain_ones_are_text_too() -> None:
    backend = bpe()
    backend.add_tokens([AddedToken("<|fim_prefix|>", special=False, normalized=False)])
    tokenizer = FastTokenizer(backend, bos_id=None, eos_id=0)
    assert tokenizer.vocab_size - 1 not in tokenizer.encode("<|fim_prefix|>")


@settings(deadline=None)
@given(text=st.text(alphabet=st.one_of(st.characters(), st.sampled_from(UNSPELLABLE + "\ud800"))))
def test_what_cannot_be_spelt_becomes_one_replacement_character(text: str) -> None:
    decoded = POOR.decode(POOR.encode(text))
    assert len(decoded) == len(text)
    for found, wanted in zip(decoded, text, strict=True):
        unspellable = wanted in "\x04\x1d" or "\U00040000" <= wanted <= "\U0007ffff"
        assert found == ("\ufffd" if unspellable or "\ud800" <= wanted <= "\udfff" else wanted)


def test_from_folder(tmp_path: Path) -> None:
    bpe().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 0}))
    tokenizer = FastTokenizer.from_folder(tmp_path)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 0)
    assert tokenizer.vocab_size == FAST.vocab_size
    assert tokenizer.encode(SOURCE) == FAST.encode(SOURCE)


def test_from_folder_without_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"eos_token_id": 0}')
    with pytest.raises(CheckpointError, match=r"needs a config\.json and a tokenizer\.json"):
        FastTokenizer.from_folder(tmp_path)


def test_other_kinds_of_tokenizer_are_refused() -> None:
    with pytest.raises(CheckpointError, match="only byte-level BPE"):
        FastTokenizer(tokenizers.Tokenizer(models.BPE({}, [])), bos_id=None, eos_id=0)


def test_all_bytes_are_those_of_each_token() -> None:
    odd = ["two words", "\u00ad\u0144\u20ac", "\N{GRINNING FACE}x"]  # no stand-ins of bytes
    backend = bpe(odd=odd)
    backend.add_tokens(["  ", "é", "\u4e2d"])
    backend.add_special_tokens(["<mark>"])
    tokenizer = FastTokenizer(backend, None, 0)
    found = tokenizer.all_token_bytes()
    assert found == [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    ids = [backend.token_to_id(name) for name in odd]
    assert [found[token] for token in ids if token] == [b"two words", b"\xad??", b"?x"]


@TOKENIZERS
def test_tokens_are_in_the_order_of_their_bytes(tokenizer: Tokenizer) -> None:
    ids, spelt = tokenizer.by_bytes
    assert spelt == sorted(spelt)
    assert spelt == [tokenizer.token_bytes(token) for token in ids]
    assert {*range(tokenizer.vocab_size)} - {*ids} == tokenizer.special_ids
