"""Tokenizers from GGUF metadata: the ids of those who wrote the vocabulary."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import sentencepiece
from gguf import TokenType
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from longllama_code.errors import CheckpointError
from longllama_code.model_sources import catalog
from longllama_code.tokenizers.byte_bpe import (
    byte_level_tokenizer,
    sentencepiece_model,
    write_tokenizer,
)
from longllama_code.tokenizers.sentencepiece import MARKS, SentencePieceTokenizer
from longllama_code.tokenizers.tokenizer import FastTokenizer
from tests.gguf.writing import small_model, write_model
from tests.paths import ROOT
from tests.tokenizers.pieces import vocabulary

SOURCES = sorted((ROOT / "longllama_code").glob("*.py")) + sorted(ROOT.glob("*.md"))
CONTROL = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]
USER_DEFINED = ["<tool_call>", "<|repo_name|>", "<|file_sep|>", "<｜fim▁begin｜>"]
TYPES = {**dict.fromkeys(CONTROL, TokenType.CONTROL)}
TYPES |= {**dict.fromkeys(USER_DEFINED, TokenType.USER_DEFINED), "[PAD]": TokenType.UNUSED}
READ_BY_TRANSFORMERS = ("qwen2", "llama-bpe", "tekken", "gpt-2")
"""Whose rule it applies; others it splits as GPT-2."""
FILE = Path("model.gguf")

PIECES_OF_CODE = [
    "    ",
    " ",
    "\n",
    "\r\n",
    "\t",
    "def f(x)",
    "return self.",
    "I'LL",
    "é",
    "e\u0301",
]
PIECES_OF_CODE += [
    "😀",
    "12345",
    "HTTPServer",
    "snake_case",
    "==",
    "// ",
    "π²",
    "中文",
    "日本",
    " \n \n",
]
PIECES_OF_CODE += ["\u3000", "½", "…)"]
pieces = st.sampled_from(PIECES_OF_CODE)
code = st.one_of(st.text(), st.lists(st.one_of(pieces, st.text(max_size=3))).map("".join))
WITHOUT_MARKS = code.filter(lambda text: "<" not in text)


@cache
def trained() -> dict[str, Any]:
    """A byte-level vocabulary of this repository's code, as GGUF has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    cast("Any", tokenizer).train_from_iterator((path.read_text() for path in SOURCES), trainer)
    vocab = tokenizer.get_vocab()
    tokens = [*sorted(vocab, key=vocab.__getitem__), *TYPES]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    types = [int(TYPES.get(token, TokenType.NORMAL)) for token in tokens]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array(types),
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
    }


END: int = trained()["tokenizer.ggml.tokens"].index(CONTROL[0])


@cache
def ours(pre: str) -> FastTokenizer:
    backend = byte_level_tokenizer({**trained(), "tokenizer.ggml.pre": pre}, FILE)
    return FastTokenizer(backend, None, END)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], PreTrainedTokenizerFast]:
    """What transformers reads from a file with the same metadata."""
    folder = tmp_path_factory.mktemp("theirs")

    @cache
    def read(pre: str) -> PreTrainedTokenizerFast:
        metadata = {**trained(), "tokenizer.ggml.pre": pre}
        entries = {key.replace(".", "__"): value for key, value in metadata.items()}
        entries["tokenizer__ggml__token_type"] = metadata["tokenizer.ggml.token_type"].tolist()
        for name in ("bos", "eos"):
            entries[f"tokenizer__ggml__{name}_token_id"] = END
        model = small_model(vocab_size=len(metadata["tokenizer.ggml.tokens"]))
        write_model(model, folder / f"{pre}.gguf", **entries)
        return AutoTokenizer.from_pretrained(folder, gguf_file=f"{pre}.gguf")

    return read


@settings(deadline=None, max_examples=60)
@given(text=WITHOUT_MARKS)
@pytest.mark.parametrize("pre", READ_BY_TRANSFORMERS)
def test_ids_are_transformers_own(
    pre: str, theirs: Callable[[str], PreTrainedTokenizerFast], text: str
) -> None:
    assert ours(pre).encode(text) == theirs(pre).encode(text, add_special_tokens=False)


@pytest.mark.parametrize("pre", READ_BY_TRANSFORMERS)
def test_ids_of_real_files_are_transformers_own(
    pre: str, theirs: Callable[[str], PreTrainedTokenizerFast]
) -> None:
    for path in SOURCES:
        text = path.read_text().replace("<", "(")
        assert ours(pre).encode(text) == theirs(pre).encode(text, add_special_tokens=False)


NASTY = "I'll DON'T x=12345;\r\n\n  \tfooBar(é中文，½) ===  // ²…\n "
SPLITS = {
    "qwen2": "I|'ll| DON|'T| x|=|1|2|3|4|5|;\r\n\n|  |\tfooBar|(é中文|，|½|)| ===| | //| |²|…\n| ",
    "llama-bpe": "I|'ll| DON|'T| x|=|123|45|;\r\n\n|  |\tfooBar|(é中文|，|½|)| ===| | //| |²|…\n| ",
    "seed-coder": "I|'ll| DON|'T| x|=|1|2|3|4|5|;|\r\n\n|  |\t"
    "fooBar|(é中文|，|½|)| ===| | //| |²|…|\n| ",
    "tekken": "I|'ll| DON|'T| x|=|1|2|3|4|5|;\r\n\n|  |\t"
    "foo|Bar|(é中文|，|½|)| ===| | //| |²|…\n| ",
    "deepseek-coder": "I|'|ll| DON|'|T| x|=|1|2|3|4|5|;|\r|\n|\n|  |\t"
    "fooBar|(|é|中文|，|½|)| === | //| |²|…|\n| ",
    "deepseek-llm": "I|'|ll| DON|'|T| x|=|1|2|3|4|5|;|\r|\n|\n|  |\t"
    "fooBar|(|é|中文|，|½|)| ===| | //| |²|…|\n| ",
    "smollm": "I|'ll| DON|'|T| x|=|1|2|3|4|5|;|\r\n\n  |\t|"
    "fooBar|(|é中文|，|½|)| ===| | //| |²|…|\n ",
    "gpt-2": "I|'ll| DON|'|T| x|=|12345|;|\r\n\n  |\t|fooBar|(|é中文|，|½|)| ===| | //| ²|…|\n ",
    "default": "I|'|ll| DON|'|T| x|=|123|45|;|\r\n\n  |\t|"
    "fooBar|(|é中文|，|½|)| |===|  |//| |²|…|\n ",
}
SAME = {
    "qwen2": ["deepseek-r1-qwen"],
    "llama-bpe": ["llama3", "llama-v3", "falcon3"],
    "smollm": ["starcoder", "refact", "codeshell"],
    "gpt-2": ["mellum"],
}


@pytest.mark.parametrize("pre", SPLITS)
def test_text_is_split_as_when_the_vocabulary_was_made(pre: str) -> None:
    """Where llama.cpp splits this text, and the published ``tokenizer.json``."""
    for name in (pre, *SAME.get(pre, [])):
        tokenizer = byte_level_tokenizer({**trained(), "tokenizer.ggml.pre": name}, FILE)
        split = cast("Any", tokenizer.pre_tokenizer).pre_tokenize_str(NASTY)
        assert "|".join(NASTY[first:last] for _, (first, last) in split) == SPLITS[pre]


@settings(deadline=None)
@given(text=code, pre=st.sampled_from(sorted(SPLITS)))
def test_what_is_decoded_is_what_was_encoded(text: str, pre: str) -> None:
    """In whatever normal form it is; and the tokens' bytes lie where their offsets say."""
    tokenizer = ours(pre)
    ids, spans = tokenizer.offsets(text)
    assert tokenizer.decode(ids) == text
    assert not tokenizer.special_ids & set(ids)
    at = 0
    for token, (first, last) in zip(ids, spans, strict=True):
        n_bytes = len(tokenizer.token_bytes(token))
        before = len(text[:first].encode())
        assert before <= at
        assert at + n_bytes <= before + len(text[first:last].encode())
        at += n_bytes


def test_text_in_another_normal_form_is_not_changed() -> None:
    assert ours("qwen2").encode("e\u0301") != ours("qwen2").encode("é")


def test_marks_have_ids_by_their_names_and_no_text_is_one() -> None:
    tokenizer, tokens = ours("qwen2"), trained()["tokenizer.ggml.tokens"]
    for name in TYPES:
        assert tokenizer.id_of(name) == tokens.index(name)
        assert tokenizer.token_bytes(tokens.index(name)) == b""
        assert tokenizer.decode(tokenizer.encode(name)) == name
    assert tokenizer.special_ids == {tokens.index(name) for name in TYPES}
    assert tokenizer.vocab_size == len(tokens)


def test_letters_that_users_defined_are_text() -> None:
    """DeepSeek's vocabularies have letters that the merges never saw."""
    metadata = trained()
    tokens = ["unused" if token == "ß" else token for token in metadata["tokenizer.ggml.tokens"]]
    types = [*metadata["tokenizer.ggml.token_type"], *[TokenType.USER_DEFINED] * 2]
    changed = {"tokens": [*tokens, "ß", "   "], "token_type": np.array(types)}
    own = {**metadata, **{f"tokenizer.ggml.{key}": value for key, value in changed.items()}}
    backend = byte_level_tokenizer({**own, "tokenizer.ggml.pre": "deepseek-coder"}, FILE)
    tokenizer = FastTokenizer(backend, None, 0)
    assert len(tokens) in tokenizer.encode("Straße")
    assert len(tokens) + 1 in tokenizer.encode("   return")
    assert tokenizer.decode(tokenizer.encode("   Straße\n")) == "   Straße\n"
    assert not {len(tokens), len(tokens) + 1} & tokenizer.special_ids


def test_llama_3_has_words_that_no_merges_lead_to() -> None:
    metadata = {**trained(), "tokenizer.ggml.merges": []}
    token = max(
        (t for t in trained()["tokenizer.ggml.tokens"] if t.isascii() and t.isalpha()), key=len
    )
    found = {}
    for pre in ("llama-bpe", "qwen2"):
        backend = byte_level_tokenizer({**metadata, "tokenizer.ggml.pre": pre}, FILE)
        found[pre] = len(FastTokenizer(backend, None, 0).encode(token))
    assert found == {"llama-bpe": 1, "qwen2": len(token)}


def test_plain_words_among_the_tokens_keep_their_bytes() -> None:
    metadata = trained()
    tokens = [*metadata["tokenizer.ggml.tokens"], "日本"]
    types = np.array([*metadata["tokenizer.ggml.token_type"], TokenType.NORMAL])
    own = {**metadata, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    backend = byte_level_tokenizer({**own, "tokenizer.ggml.pre": "qwen2"}, FILE)
    assert FastTokenizer(backend, None, 0).token_bytes(len(tokens) - 1) == "日本".encode()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"model": "bert"}, 'tokenizer.ggml.model "bert"; only gpt2'),
    "no kind": ({"model": None}, "tokenizer.ggml.model null"),
    "an unknown rule": ({"pre": "chatglm-bpe"}, 'tokenizer.ggml.pre "chatglm-bpe"; only codeshell'),
    "no rule": ({"pre": None}, "tokenizer.ggml.pre null"),
    "no tokens": ({"tokens": None}, "no tokenizer.ggml.tokens"),
    "no types": ({"token_type": None}, "no tokenizer.ggml.token_type"),
    "fewer types": ({"token_type": np.array([1, 1])}, "no tokenizer.ggml.token_type"),
    "no merges": ({"merges": None}, "no tokenizer.ggml.merges"),
    "merges of nothing": ({"merges": ["zz qq"]}, "merges that lead nowhere"),
    "a token twice": (
        {"tokens": ["a", "a"], "token_type": np.array([1, 1]), "merges": []},
        "tokens twice",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_metadata_that_are_no_tokenizer_are_refused(name: str, tmp_path: Path) -> None:
    entries, message = WRONG[name]
    own = {f"tokenizer.ggml.{key}": value for key, value in entries.items()}
    with pytest.raises(CheckpointError, match=message):
        write_tokenizer({**trained(), "tokenizer.ggml.pre": "qwen2", **own}, FILE, tmp_path)
    assert not list(tmp_path.iterdir())


# sentencepiece

LIBRARY = sentencepiece.SentencePieceProcessor(model_proto=vocabulary())


@cache
def sentencepieces(**entries: Any) -> dict[str, Any]:
    """The vocabulary of ``pieces.py``, as llama.cpp's converter has it."""
    kinds: dict[TokenType, Callable[[int], bool]] = {
        TokenType.UNKNOWN: LIBRARY.is_unknown,
        TokenType.CONTROL: LIBRARY.is_control,
        TokenType.UNUSED: LIBRARY.is_unused,
        TokenType.BYTE: LIBRARY.is_byte,
    }
    every = range(LIBRARY.get_piece_size())
    names = [LIBRARY.id_to_piece(token) for token in every]
    types = [
        next((kind for kind, holds in kinds.items() if holds(token)), TokenType.NORMAL)
        for token in every
    ]
    types = [
        TokenType.USER_DEFINED if name in MARKS else kind
        for name, kind in zip(names, types, strict=True)
    ]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.scores": np.array(
            [LIBRARY.get_score(token) for token in every], np.float32
        ),
        "tokenizer.ggml.token_type": np.array(types),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


PIECES = SentencePieceTokenizer(sentencepiece_model(sentencepieces(), FILE))
ORIGINAL = SentencePieceTokenizer(vocabulary())


@settings(deadline=None)
@given(text=code)
def test_a_written_sentencepiece_model_is_the_original(text: str) -> None:
    assert PIECES.encode_first(text) == ORIGINAL.encode_first(text)
    assert PIECES.offsets(text) == ORIGINAL.offsets(text)


def test_what_is_known_of_the_pieces_is_the_same_too() -> None:
    assert PIECES.vocab_size == ORIGINAL.vocab_size
    assert (PIECES.bos_id, PIECES.eos_id) == (1, 2)
    assert PIECES.special_ids == ORIGINAL.special_ids
    for token in range(ORIGINAL.vocab_size):
        assert PIECES.token_bytes(token) == ORIGINAL.token_bytes(token)
    assert all(PIECES.id_of(mark) == ORIGINAL.id_of(mark) for mark in MARKS)


def test_a_document_without_a_blank_before_it() -> None:
    plain = {**sentencepieces(), "tokenizer.ggml.add_space_prefix": False}
    tokenizer = SentencePieceTokenizer(sentencepiece_model(plain, FILE))
    assert tokenizer.encode_first("return x") == tokenizer.encode("return x")
    assert PIECES.encode_first("return x") != PIECES.encode("return x")


def test_marks_and_fillers_of_older_converters() -> None:
    """``</s>`` as if users had defined it, and ids without a token as unknown ones."""
    metadata = sentencepieces()
    tokens = [*metadata["tokenizer.ggml.tokens"], "<|im_start|>", "[PAD1]", "[PAD2]"]
    added = [TokenType.USER_DEFINED, TokenType.UNKNOWN, TokenType.UNKNOWN]
    types = np.array([*metadata["tokenizer.ggml.token_type"], *added])
    types[2] = TokenType.USER_DEFINED
    scores = np.array([*metadata["tokenizer.ggml.scores"], 0, 0, 0], np.float32)
    entries = {"tokens": tokens, "token_type": types, "scores": scores}
    old = {**metadata, **{f"tokenizer.ggml.{key}": value for key, value in entries.items()}}
    tokenizer = SentencePieceTokenizer(sentencepiece_model(old, FILE), 1, 2)
    for mark in ("</s>", "<|im_start|>"):
        assert tokenizer.id_of(mark) in tokenizer.special_ids
        assert tokenizer.id_of(mark) not in tokenizer.encode(f"x {mark} y")
        assert tokenizer.decode(tokenizer.encode(mark)) == mark
    assert tokenizer.vocab_size == len(tokens)


@pytest.mark.parametrize("scores", [None, np.zeros(3, np.float32), ["high"]])
def test_pieces_without_scores_are_refused(scores: Any) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer\.ggml\.scores for its 640 tokens"):
        sentencepiece_model({**sentencepieces(), "tokenizer.ggml.scores": scores}, FILE)


# The real thing


def test_the_default_models_own_tokens() -> None:
    """Where it was pulled: ids that its publisher's tokenizer gives."""
    folder = catalog.folder_of(catalog.CATALOG["coder-0.5b"])
    if folder is None:
        pytest.skip("needs `longllama pull coder-0.5b`")
    tokenizer = FastTokenizer.from_folder(folder)
    assert tokenizer.vocab_size == 151936
    marks = {"<|endoftext|>": 151643, "<|fim_prefix|>": 151659, "<|fim_middle|>": 151660}
    marks |= {"<|fim_suffix|>": 151661, "<|repo_name|>": 151663, "<|file_sep|>": 151664}
    assert {name: tokenizer.id_of(name) for name in marks} == marks
    ids = tokenizer.encode("def read_config(path):\n    with open(path) as f:\n")
    assert ids == [750, 1349, 5332, 5581, 982, 262, 448, 1787, 5581, 8, 438, 282, 510]
