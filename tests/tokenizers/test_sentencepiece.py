"""LLaMA's vocabulary: sentencepiece's own ids, true offsets, no text that is a mark."""

import json
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models

from longllama_code.errors import CheckpointError
from longllama_code.tokenizers.loading import load_tokenizer
from longllama_code.tokenizers.sentencepiece import MARKS, SentencePieceTokenizer
from longllama_code.tokenizers.tokenizer import FastTokenizer, IncrementalDecoder
from tests.tokenizers.pieces import MERGES_BLANKS, vocabulary, write_vocabulary

TOKENIZER = SentencePieceTokenizer(vocabulary())
THEIRS = sentencepiece.SentencePieceProcessor(model_proto=vocabulary())
SOURCE = 'def π(x):\r\n\t# "𝔘😀" é\n    return 3.14159\x00\x1b[0m\n\n        if x:  pass\n'
pieces = st.sampled_from(["    ", " ", "\n", "\t", "def f(x)", "return", "é", "😀", "<PRE>", "12"])
code = st.one_of(st.text(), st.lists(st.one_of(pieces, st.text(max_size=3))).map("".join))


def plain(text: str) -> bool:
    """Whether nothing in a text reads as a mark or as the library's blank."""
    return "▁" not in text and not any(mark[1:] in text for mark in MARKS)


@settings(deadline=None)
@given(text=code.filter(plain))
def test_the_ids_are_the_librarys_own(text: str) -> None:
    """At the start of a document; and where text goes on, Code Llama's ``encode_infilling``."""
    assert TOKENIZER.encode_first(text) == THEIRS.encode(text)
    before = THEIRS.encode("☺")
    assert [*before, *TOKENIZER.encode(text)] == THEIRS.encode("☺" + text)


@settings(deadline=None)
@given(text=code)
def test_round_trip(text: str) -> None:
    decoded = TOKENIZER.decode(TOKENIZER.encode(text))
    assert decoded == text.replace("▁", " ")
    assert TOKENIZER.decode(TOKENIZER.encode_first(text)) in (decoded, " " + decoded)


@settings(deadline=None)
@given(parts=st.lists(code, max_size=4))
def test_lines_go_on_from_each_other(parts: list[str]) -> None:
    lines = [part.replace("▁", "") + "\n" for part in parts]
    ids = [token for line in lines for token in TOKENIZER.encode(line)]
    assert TOKENIZER.decode(ids) == "".join(lines)
    assert TOKENIZER.encode_lines(lines) == [len(TOKENIZER.encode(line)) for line in lines]


@settings(deadline=None)
@given(text=st.one_of(code, st.just(SOURCE)))
def test_offsets_cover_the_text_in_order(text: str) -> None:
    ids, spans = TOKENIZER.offsets(text)
    assert ids == TOKENIZER.encode(text)
    spelt, reached = text.replace("▁", " "), 0
    for token_id, (start, end) in zip(ids, spans, strict=True):
        assert start <= reached <= end
        assert start < end
        assert TOKENIZER.token_bytes(token_id) in spelt[start:end].encode()
        reached = end
    assert reached == len(text)


def test_the_bytes_of_a_character_have_its_span() -> None:
    ids, spans = TOKENIZER.offsets("x😀\n")
    assert [TOKENIZER.token_bytes(token) for token in ids[1:5]] == [
        bytes([b]) for b in "😀".encode()
    ]
    assert spans == [(0, 1), *[(1, 2)] * 4, (2, 3)]


@settings(deadline=None)
@given(text=code)
def test_incremental_decoding_gives_whole_characters(text: str) -> None:
    decoder, said, spelt = IncrementalDecoder(TOKENIZER), "", text.replace("▁", " ")
    for token_id in TOKENIZER.encode(text):
        said += decoder.push(token_id)
        assert spelt.startswith(said)
    assert said + decoder.flush() == spelt


@settings(deadline=None)
@given(parts=st.lists(st.one_of(st.sampled_from([*MARKS, "<PRE>", " <EOT>", "<s>"]), st.text())))
def test_no_text_is_a_mark(parts: list[str]) -> None:
    """Though the vocabulary of the library finds its own marks in text."""
    text = "".join(parts)
    for ids in (TOKENIZER.encode(text), TOKENIZER.encode_first(text)):
        assert not TOKENIZER.special_ids & {*ids}
    assert TOKENIZER.id_of("▁<PRE>") in THEIRS.encode("a <PRE>")


def test_special_tokens_stand_for_no_text() -> None:
    marks = [TOKENIZER.id_of(mark) for mark in MARKS]
    assert None not in marks
    assert {*marks, TOKENIZER.bos_id, TOKENIZER.eos_id} <= TOKENIZER.special_ids
    assert TOKENIZER.decode([1, *[mark for mark in marks if mark is not None], 2, 10**6]) == ""
    assert TOKENIZER.id_of("nonesuch") is None


def test_a_lone_surrogate_becomes_one_replacement_character() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud800b")) == "a\ufffdb"


@settings(deadline=None)
@given(text=code.filter(plain))
def test_a_vocabulary_that_merges_blanks(text: str) -> None:
    """It reads back what the library made of the text; offsets still lie inside of it, in order."""
    merging = SentencePieceTokenizer(vocabulary(**MERGES_BLANKS))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=vocabulary(**MERGES_BLANKS))
    assert merging.encode_first(text) == theirs.encode(text)
    ids, spans = merging.offsets(text)
    assert ids == merging.encode(text)
    assert all(0 <= first <= last <= len(text) for first, last in spans)
    assert spans == sorted(spans)


def folder_with(folder: Path, **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_from_folder(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    tokenizer = load_tokenizer(folder_with(tmp_path, bos_token_id=1, eos_token_id=[2, 5]))
    assert isinstance(tokenizer, SentencePieceTokenizer)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocab_size) == (1, 2, 640)
    assert tokenizer.encode(SOURCE) == TOKENIZER.encode(SOURCE)


def test_the_vocabularys_own_begin_and_end(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    tokenizer = load_tokenizer(folder_with(tmp_path))
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)


def test_byte_level_bpe_goes_before_sentencepiece(tmp_path: Path) -> None:
    """Other kinds of ``tokenizer.json``, such as LLaMA's, do not."""
    write_vocabulary(tmp_path)
    backend = tokenizers.Tokenizer(models.BPE({"a": 0}, []))
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    backend.save(str(folder_with(tmp_path, eos_token_id=0) / "tokenizer.json"))
    assert isinstance(load_tokenizer(tmp_path), SentencePieceTokenizer)
    backend.decoder = decoders.ByteLevel()
    backend.save(str(tmp_path / "tokenizer.json"))
    assert isinstance(load_tokenizer(tmp_path), FastTokenizer)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"needs a config\.json and a tokenizer\.model"):
        SentencePieceTokenizer.from_folder(folder_with(tmp_path, eos_token_id=2))
    (tmp_path / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\n")
    with pytest.raises(CheckpointError, match="no sentencepiece model"):
        load_tokenizer(tmp_path)
    write_vocabulary(tmp_path, byte_fallback=False)
    with pytest.raises(CheckpointError, match="0 of the 256 bytes"):
        load_tokenizer(tmp_path)
