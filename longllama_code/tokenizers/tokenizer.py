"""Text to token ids and back, with the span of each token in the text.

    ByteTokenizer   one token per byte of UTF-8; for the model ``tiny`` and for tests
    FastTokenizer   byte-level BPE from a ``tokenizer.json``
    (``sentencepiece.py``: the ``tokenizer.model`` of LLaMA and Code Llama)

Source code is data: ``<|endoftext|>`` in a file is thirteen characters, never the special token.
"""

from __future__ import annotations

import codecs
import json
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import tokenizers
from tokenizers.decoders import ByteLevel

from longllama_code.errors import CheckpointError

Span = tuple[int, int]
"""Index of a token's first code point, and of the one behind its last."""

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class Tokenizer(Protocol):
    """Interface of all tokenizers.

    ``decode(encode(text)) == text``, except for characters that the vocabulary has no bytes for
    (and lone surrogates, which UTF-8 cannot encode): each becomes one U+FFFD, so that offsets
    stay valid.
    """

    bos_id: int | None
    """Token that begins a document, if the model has one."""
    eos_id: int
    """Token that ends a document."""
    vocab_size: int
    """Number of token ids, special ones included."""
    special_ids: frozenset[int]
    """Ids that stand for no text, such as the begin and end of a document."""

    @abstractmethod
    def offsets(self, text: str) -> tuple[list[int], list[Span]]:
        """Return token ids and the span of each.

        Tokens that share the bytes of one character have that character's span.
        """

    @abstractmethod
    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for: none for a special token or an unused id."""

    def all_token_bytes(self) -> list[bytes]:
        """Return what ``token_bytes`` does for every id."""
        return [self.token_bytes(token) for token in range(self.vocab_size)]

    @cached_property
    def by_bytes(self) -> tuple[list[int], list[bytes]]:
        """Ids of all tokens that stand for bytes, and those bytes, in the order of the bytes."""
        spelt = self.all_token_bytes()
        ids = sorted(filter(spelt.__getitem__, range(len(spelt))), key=spelt.__getitem__)
        return ids, [spelt[token] for token in ids]

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without special tokens."""
        return self.offsets(text)[0]

    def encode_first(self, text: str) -> list[int]:
        """Return the token ids of a text that begins a document; ``bos_id`` is not among them.

        LLaMA's vocabulary encodes it as if a blank preceded it; others as any text.
        """
        return self.encode(text)

    def id_of(self, name: str) -> int | None:
        """Return the id of a special token by its name in the vocabulary, or None."""
        return None

    def encode_lines(self, lines: Sequence[str]) -> list[int]:
        """Return the number of tokens of each line, encoded alone."""
        return [len(self.encode(line)) for line in lines]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some tokens; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")


class ByteTokenizer(Tokenizer):
    """Tokenizer over the 256 bytes and two special tokens."""

    bos_id: int | None = 256
    eos_id = 257
    vocab_size = 258
    special_ids = frozenset((256, 257))

    def offsets(self, text: str) -> tuple[list[int], list[Span]]:
        """See ``Tokenizer.offsets``."""
        text = spell(text)
        spans = [(at, at + 1) for at, char in enumerate(text) for _ in char.encode()]
        return list(text.encode()), spans

    def token_bytes(self, token_id: int) -> bytes:
        """See ``Tokenizer.token_bytes``."""
        return bytes([token_id]) if token_id < 256 else b""


class FastTokenizer(Tokenizer):
    """Byte-level BPE, run by the Rust library ``tokenizers``.

    Args:
        backend: the tokenizer; it is modified.
        bos_id: the token that begins a document, if the model has one.
        eos_id: the token that ends a document.
    """

    def __init__(self, backend: tokenizers.Tokenizer, bos_id: int | None, eos_id: int) -> None:
        if not isinstance(backend.decoder, ByteLevel):
            raise CheckpointError(
                f"tokenizer with decoder {backend.decoder}; only byte-level BPE is read from a "
                "tokenizer.json: put the tokenizer.model of the checkpoint beside it."
            )
        added = backend.get_added_tokens_decoder()
        texts = {at for at, token in added.items() if not token.special and is_text(token.content)}
        marks = [token.content for at, token in added.items() if at not in texts]
        # Some files list special tokens as plain ones; only special tokens are told apart from
        # text that looks like them.
        cast("Any", backend).add_special_tokens(marks)
        backend.encode_special_tokens = True  # encode their names as ordinary characters
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.vocab_size = backend.get_vocab_size()
        self._backend = backend
        self.special_ids = frozenset(added) - texts
        self._texts = {at: added[at].content.encode() for at in texts}
        known = backend.token_to_id
        self._alphabet = bytes(byte for char, byte in _BYTE_OF.items() if known(char) is not None)

    @classmethod
    def from_folder(cls, folder: Path) -> FastTokenizer:
        """Load ``tokenizer.json``, and the special ids from ``config.json``, of a model folder.

        Raises:
            CheckpointError: a file is missing or damaged, or the tokenizer is of another kind.
        """
        try:
            config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
            backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises plain Exception
            raise CheckpointError(
                f"no tokenizer can be read from {folder} ({error}): the folder needs"
                " a config.json and a tokenizer.json"
            ) from error
        eos: int | list[int] = config["eos_token_id"]
        eos_id = eos[0] if isinstance(eos, list) else eos
        return cls(backend, config.get("bos_token_id"), eos_id)

    def offsets(self, text: str) -> tuple[list[int], list[Span]]:
        """See ``Tokenizer.offsets``."""
        encoding = self._backend.encode(spell(text, self._alphabet), add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def encode_lines(self, lines: Sequence[str]) -> list[int]:
        """See ``Tokenizer.encode_lines``; runs on all cores."""
        spelt = [spell(line, self._alphabet) for line in lines]
        return [len(e) for e in self._backend.encode_batch_fast(spelt, add_special_tokens=False)]

    def token_bytes(self, token_id: int) -> bytes:
        """See ``Tokenizer.token_bytes``."""
        if token_id in self._texts:
            return self._texts[token_id]
        token = None if token_id in self.special_ids else self._backend.id_to_token(token_id)
        return _bytes_of(token or "")

    def all_token_bytes(self) -> list[bytes]:
        """See ``Tokenizer.all_token_bytes``."""
        names = map(self._backend.id_to_token, range(self.vocab_size))
        found = _all_bytes_of([name or "" for name in names])
        apart = dict.fromkeys(self.special_ids, b"") | self._texts
        for token in apart.keys() & range(self.vocab_size):
            found[token] = apart[token]
        return found

    def id_of(self, name: str) -> int | None:
        """See ``Tokenizer.id_of``."""
        found = self._backend.token_to_id(name)
        return found if found in self.special_ids else None


def is_text(added: str) -> bool:
    """Whether a token that was added to a vocabulary, not as a special one, is text.

    DeepSeek's have letters that the merges never saw, others runs of blanks; what is longer is a
    mark, such as Qwen's ``<tool_call>``.
    """
    return len(added) == 1 or added.isspace()


def is_byte_level(folder: Path) -> bool:
    """Whether a model folder has a ``tokenizer.json`` of byte-level BPE."""
    try:
        fields: Any = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        return fields["decoder"]["type"] == "ByteLevel"
    except (OSError, ValueError, TypeError, KeyError):
        return False


class IncrementalDecoder:
    """Decodes tokens one by one; a character whose bytes span tokens appears with its last byte."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._token_bytes = tokenizer.token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """Return the characters that this token completes; maybe none."""
        return self._utf8.decode(self._token_bytes(token_id))

    def flush(self) -> str:
        """Return U+FFFD for the bytes of an unfinished character, or nothing."""
        return self._utf8.decode(b"", final=True)


def _bytes_of(spelt: str) -> bytes:
    """Return the bytes behind their stand-ins."""
    return spelt.translate(_BYTES_TABLE).encode("latin-1", "replace")


def _all_bytes_of(spelt: Sequence[str]) -> list[bytes]:
    """Return ``_bytes_of`` each text: all of a vocabulary in a fifth of the time."""
    codes = np.frombuffer("".join(spelt).encode("utf-32-le"), np.uint32)
    text = _BYTE_OF_CODE[np.minimum(codes, len(_BYTE_OF_CODE) - 1)].tobytes()
    ends = [*accumulate(map(len, spelt))]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _byte_of() -> dict[str, int]:
    """Return GPT-2's printable stand-in of each byte: itself, or the next one from U+0100 on.

    https://github.com/openai/gpt-2/blob/master/src/encoder.py
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    stand_ins = {chr(0x100 + at): byte for at, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | stand_ins


_BYTE_OF = _byte_of()
_BYTES_TABLE = {ord(char): byte for char, byte in _BYTE_OF.items()}
_BYTE_OF_CODE = np.array(
    [*_bytes_of("".join(map(chr, range(max(_BYTES_TABLE) + 1)))), *b"?"], np.uint8
)
"""Byte behind each code point; the last is that of all the others."""
BYTE_NAMES = tuple(sorted(_BYTE_OF, key=_BYTE_OF.__getitem__))
"""Stand-in of each byte in a byte-level vocabulary."""


def spell(text: str, alphabet: bytes = bytes(range(256))) -> str:
    """Return the text with U+FFFD for each character that has a byte outside the alphabet.

    BPE would drop such a byte silently. SmolLM2's vocabulary lacks the control characters
    04, 06, 13, 14, 16 and 1D, and the first byte of U+40000 to U+BFFFF.
    """
    if _can_spell(text, alphabet):
        return text
    return "".join(char if _can_spell(char, alphabet) else _UNKNOWN for char in text)


def _can_spell(text: str, alphabet: bytes) -> bool:
    try:
        return not text.encode().translate(None, delete=alphabet)
    except UnicodeEncodeError:  # a lone surrogate
        return False
