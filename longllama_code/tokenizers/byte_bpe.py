"""Tokenizers from the metadata of a GGUF file.

    tokenizer.ggml.model  gpt2  ──▶ tokenizer.json    byte-level BPE; ``pre`` names what splits text
                          llama ──▶ tokenizer.model   sentencepiece, with a piece for each byte

For a byte-level vocabulary, GGUF holds tokens and merges, but only a name for the rule that splits
text before merging: the rules below are those of the published ``tokenizer.json`` files.

Text is not normalised, as in llama.cpp (Qwen2's own ``tokenizer.json`` applies NFC): source
code is read byte for byte, and decoding gives the text that was encoded. For text in NFC, as
nearly all code is, ids are the same.

Sources: ``llama-vocab.cpp`` (names and rules), ``sentencepiece_model.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from gguf import TokenType
from numpy import ndarray
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

from longllama_code.errors import CheckpointError
from longllama_code.gguf.header import plain_entry
from longllama_code.json_text import as_json
from longllama_code.tokenizers.sentencepiece import MODEL_FILE
from longllama_code.tokenizers.tokenizer import BYTE_NAMES, is_text

TOKENIZER_FILE = "tokenizer.json"
_ALPHABET = frozenset(BYTE_NAMES)
_TEXTLESS = (TokenType.CONTROL, TokenType.UNUSED, TokenType.UNKNOWN)
"""Types of tokens that text is never encoded to."""

_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = _ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+"
_BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_FIRST_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_THEN_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_FIRST_UPPER}*{_THEN_LOWER}+"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_FIRST_UPPER}+{_THEN_LOWER}*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_BLANKS}"
)
_CASED_LETTERS = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-"
    "\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-"
    "\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15"
    "\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"
    "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d"
    "\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183"
    "\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b"
    "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-"
    "\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb"
    "\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
"""Cased letters in DeepSeek LLM's rule, copied exactly; it lacks some newer letters."""
_EAST_ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


def _split(*patterns: str, digits: bool = False) -> PreTokenizer:
    """Return a pre-tokenizer that splits text by each pattern in turn."""
    steps: list[PreTokenizer] = [Split(Regex(pattern), "isolated") for pattern in patterns]
    if digits:
        steps.append(Digits(individual_digits=True))
    return Sequence([*steps, ByteLevel(add_prefix_space=False, use_regex=False)])


def _digits_apart() -> PreTokenizer:
    return Sequence([Digits(individual_digits=True), ByteLevel(False)])


_SPLITS = {
    "qwen2": lambda: _split(rf"{_WORDS}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_BLANKS}"),
    "llama-bpe": lambda: _split(
        rf"{_WORDS}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_BLANKS}"
    ),
    "seed-coder": lambda: _split(rf"{_WORDS}|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_BLANKS}"),
    "tekken": lambda: _split(_TEKKEN),
    "deepseek-coder": lambda: _split(
        r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _EAST_ASIAN, digits=True
    ),
    "deepseek-llm": lambda: _split(
        r"[\r\n]",
        rf"\s?[{_CASED_LETTERS}]+",
        "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
        r"\s+$",
        _EAST_ASIAN,
        digits=True,
    ),
    "smollm": _digits_apart,
    "gpt-2": lambda: ByteLevel(add_prefix_space=False),
    "default": lambda: _split(r"[\p{P}\$\+<=>\^~\|]+", _GPT_2, r"\p{N}+", "[0-9][0-9][0-9]"),
}
_SAME_SPLIT = {
    "deepseek-r1-qwen": "qwen2",
    "llama3": "llama-bpe",
    "llama-v3": "llama-bpe",
    "falcon3": "llama-bpe",
    "starcoder": "smollm",
    "refact": "smollm",
    "codeshell": "smollm",
    "mellum": "gpt-2",
}
_WHOLE_WORDS_FIRST = ("llama-bpe", "tekken")
"""Rules whose vocabularies have words that no merges produce."""


def write_tokenizer(metadata: Mapping[str, Any], source: Path, folder: Path) -> None:
    """Write the ``tokenizer.json`` or ``tokenizer.model`` that the metadata describe.

    Args:
        metadata: metadata of a GGUF file.
        source: the file, for messages.
        folder: where to write.

    Raises:
        CheckpointError: the metadata are incomplete, or describe a tokenizer of another kind.
    """
    check_tokenizer(metadata, source)
    if plain_entry(metadata, "tokenizer.ggml.model") == "gpt2":
        byte_level_tokenizer(metadata, source).save(str(folder / TOKENIZER_FILE))
    else:
        (folder / MODEL_FILE).write_bytes(sentencepiece_model(metadata, source))


def check_tokenizer(metadata: Mapping[str, Any], source: Path) -> None:
    """Refuse a tokenizer of a kind that is not read, by its names alone.

    Raises:
        CheckpointError: one of its names is unknown.
    """
    kind = plain_entry(metadata, "tokenizer.ggml.model")
    if kind == "gpt2":
        _split_name(metadata, source)
    elif kind != "llama":
        raise CheckpointError(
            f"{source} has tokenizer.ggml.model {as_json(kind)}; only gpt2 (byte-level BPE) and "
            "llama (sentencepiece) are read. Take a model with one of them."
        )


def byte_level_tokenizer(metadata: Mapping[str, Any], source: Path) -> Tokenizer:
    """Return the byte-level BPE tokenizer that the metadata of a GGUF file describe.

    Control tokens, unused tokens and user-defined marks become special: they have an id by
    name, and text is never encoded to them. User-defined letters and blanks stay text.

    Raises:
        CheckpointError: the metadata are incomplete, or ``tokenizer.ggml.pre`` names an unknown
            rule for splitting text before BPE.
    """
    split = _split_name(metadata, source)
    tokens, types = _tokens(metadata, source)
    special, text = _added(tokens, types)
    vocab = _vocabulary(tokens, frozenset((*special, *text)))
    if len(vocab) < len(tokens):
        raise CheckpointError(f"{source} has tokens twice: {len(vocab)} names, {len(tokens)} ids.")
    merges = _texts(metadata, "merges", source)
    try:
        pairs = [_pair(merge) for merge in merges]
        model = BPE(vocab=vocab, merges=pairs, ignore_merges=split in _WHOLE_WORDS_FIRST)
    except Exception as error:  # the library raises plain Exception
        raise CheckpointError(f"{source} has merges that lead nowhere: {error}") from error
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _SPLITS[split]()
    tokenizer.decoder = ByteLevelDecoder()
    library = cast("Any", tokenizer)
    library.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    library.add_tokens([AddedToken(token, normalized=False) for token in text])
    return tokenizer


def _added(tokens: list[str], types: list[int]) -> tuple[list[str], list[str]]:
    """Return the tokens that no merges produce: special ones, and those matched in any text."""
    special, text = list[str](), list[str]()
    for token, kind in zip(tokens, types, strict=True):
        if kind == TokenType.USER_DEFINED:
            (text if is_text(token) else special).append(token)
        elif kind in _TEXTLESS:
            special.append(token)
    return special, text


def sentencepiece_model(metadata: Mapping[str, Any], source: Path) -> bytes:
    """Return the content of a ``tokenizer.model`` with the pieces of a GGUF file.

    Raises:
        CheckpointError: the metadata are incomplete.
    """
    tokens, types = _tokens(metadata, source)
    scores = metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, ndarray) or len(scores) != len(tokens):
        raise CheckpointError(
            f"{source} has no tokenizer.ggml.scores for its {len(tokens)} tokens. Take another."
        )
    pieces = zip(tokens, scores.tolist(), _piece_types(metadata, tokens, types), strict=True)
    return b"".join(
        (
            *(_message(1, _piece(*piece)) for piece in pieces),
            _message(2, _varint_field(3, 2) + _varint_field(35, 1)),  # BPE, bytes for the rest
            _message(3, _normalizer(metadata)),
        )
    )


def _piece_types(metadata: Mapping[str, Any], tokens: list[str], types: list[int]) -> list[int]:
    """Return piece types for sentencepiece: one unknown piece, and no mark that text matches.

    Older converters wrote unused ids as unknown pieces, and marks such as ``</s>`` as user-defined
    ones, which the library would match in any text.
    """
    marks = [plain_entry(metadata, f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos")]
    unknown = plain_entry(metadata, "tokenizer.ggml.unknown_token_id", 0)
    found = list[int]()
    for index, (token, kind) in enumerate(zip(tokens, types, strict=True)):
        is_mark = index in marks or (token.startswith("<") and token.endswith(">"))
        if kind == TokenType.USER_DEFINED and is_mark:
            kind = TokenType.CONTROL
        elif kind == TokenType.UNKNOWN:
            kind = TokenType.UNUSED
        found.append(TokenType.UNKNOWN if index == unknown else int(kind))
    return found


def _split_name(metadata: Mapping[str, Any], source: Path) -> str:
    pre = plain_entry(metadata, "tokenizer.ggml.pre")
    split = _SAME_SPLIT.get(str(pre), str(pre))
    if split not in _SPLITS:
        known = ", ".join(sorted({*_SPLITS, *_SAME_SPLIT}))
        raise CheckpointError(
            f"{source} has tokenizer.ggml.pre {as_json(pre)}; only {known} are read. Take a "
            "model with one of them, or convert it anew with a current llama.cpp if the entry is "
            "missing."
        )
    return split


def _tokens(metadata: Mapping[str, Any], source: Path) -> tuple[list[str], list[int]]:
    """Return the tokens in the order of their ids, and their types."""
    tokens = _texts(metadata, "tokens", source)
    types = metadata.get("tokenizer.ggml.token_type")
    if not isinstance(types, ndarray) or len(types) != len(tokens):
        raise CheckpointError(
            f"{source} has no tokenizer.ggml.token_type for its {len(tokens)} tokens. It was not "
            "written for llama.cpp: take another."
        )
    return tokens, [int(kind) for kind in types.tolist()]


def _texts(metadata: Mapping[str, Any], name: str, source: Path) -> list[str]:
    found = metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(found, list):
        raise CheckpointError(
            f"{source} has no tokenizer.ggml.{name}. Take a model with its tokenizer."
        )
    return cast("list[str]", found)


def _vocabulary(tokens: Iterable[str], added: frozenset[str]) -> dict[str, int]:
    """Return tokens in byte-level BPE's spelling; a few files have plain text instead."""
    return {
        token if token in added or _ALPHABET.issuperset(token) else _spelt(token): index
        for index, token in enumerate(tokens)
    }


def _spelt(text: str) -> str:
    return "".join(BYTE_NAMES[byte] for byte in text.encode())


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _normalizer(metadata: Mapping[str, Any]) -> bytes:
    """Return a normalizer that only replaces blanks and adds one before a document."""
    prefix = bool(plain_entry(metadata, "tokenizer.ggml.add_space_prefix", True))
    fewer = bool(plain_entry(metadata, "tokenizer.ggml.remove_extra_whitespaces", False))
    return _varint_field(3, prefix) + _varint_field(4, fewer) + _varint_field(5, 1)


def _piece(token: str, score: float, kind: int) -> bytes:
    numbered = b"\x15" + struct.pack("<f", score)  # field 2, four bytes
    return _message(1, token.encode()) + numbered + _varint_field(3, kind)


def _message(field: int, content: bytes) -> bytes:
    """Encode a protobuf field that holds a message or a text."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint_field(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    """Encode a number as a varint: seven bits per byte, lowest first; the top bit means more."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))
