"""The sentencepiece vocabulary of LLaMA, Code Llama and Mistral: ``tokenizer.model``.

Ids are those of the library. Added here: the span of each token, text that continues a document
without sentencepiece's leading blank, and text that is never encoded as a mark.
Sources: ``llama/tokenizer.py`` of Code Llama (``encode_infilling``); sentencepiece's
``sentencepiece_model.proto``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import sentencepiece

from longllama_code.errors import CheckpointError
from longllama_code.tokenizers.tokenizer import Span, Tokenizer, spell

MODEL_FILE = "tokenizer.model"
MARKS = ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
"""Code Llama's infilling marks, which are never text, whatever type the file gives them."""
_BLANK = "▁"
_WITHOUT_PREFIX = b"\x1a\x02\x18\x00"
"""``normalizer_spec {add_dummy_prefix: false}``; appended to a model, it overrides that field."""
_INSIDE_A_MARK = re.compile(r"(?<=<)(?=(?:PRE|SUF|MID|EOT)>)")


class SentencePieceTokenizer(Tokenizer):
    """A sentencepiece model with a piece for each byte.

    U+2581, which the library takes for a blank, is read back as one. A vocabulary that normalises
    text (OpenLLaMA's first merges runs of white space) reads back what it made of it.

    Args:
        model: content of a ``tokenizer.model``.
        bos_id: the token that begins a document; absent, the vocabulary's own.
        eos_id: the token that ends one; absent, the vocabulary's own.

    Raises:
        CheckpointError: this is no such model, or lacks the pieces for bytes or the end.
    """

    def __init__(self, model: bytes, bos_id: int | None = None, eos_id: int | None = None) -> None:
        self._first: Any = _processor(model)
        self._pieces: Any = _processor(model + _WITHOUT_PREFIX)
        self.vocab_size = int(self._pieces.get_piece_size())
        own_bos, own_eos = int(self._pieces.bos_id()), int(self._pieces.eos_id())
        self.bos_id = bos_id if bos_id is not None else _known(own_bos)
        eos_id = eos_id if eos_id is not None else _known(own_eos)
        if eos_id is None:
            raise CheckpointError(f"{MODEL_FILE} has no end of a document; name eos_token_id.")
        self.eos_id = eos_id
        self._bytes = [self._piece_bytes(token) for token in range(self.vocab_size)]
        text_of_bytes = {self._bytes[token] for token in self._byte_ids()}
        if len(text_of_bytes) < 256:
            raise CheckpointError(
                f"{MODEL_FILE} has pieces for {len(text_of_bytes)} of the 256 bytes; only "
                "vocabularies with byte fallback, as LLaMA's, are read."
            )
        silent = {token for token, spelt in enumerate(self._bytes) if not spelt}
        begin = set[int]() if self.bos_id is None else {self.bos_id}
        self.special_ids = frozenset(silent | begin | {self.eos_id})

    @classmethod
    def from_folder(cls, folder: Path) -> SentencePieceTokenizer:
        """Load ``tokenizer.model``, and the special ids from ``config.json``, of a model folder.

        Raises:
            CheckpointError: a file is missing or damaged, or the vocabulary is of another kind.
        """
        try:
            config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
            model = (folder / MODEL_FILE).read_bytes()
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"no tokenizer can be read from {folder} ({error}): the folder needs"
                f" a config.json and a {MODEL_FILE}"
            ) from error
        eos: int | list[int] | None = config.get("eos_token_id")
        return cls(model, config.get("bos_token_id"), eos[0] if isinstance(eos, list) else eos)

    def offsets(self, text: str) -> tuple[list[int], list[Span]]:
        """See ``Tokenizer.offsets``."""
        ids: list[int] = []
        spans: list[Span] = []
        for start, part in _parts(spell(text)):
            found = self._pieces.encode(part, return_type="offset_mapping")
            ids += found["ids"]
            spans += [(start + first, start + last) for first, last in found["offsets"]]
        return ids, self._whole_characters(ids, spans)

    def encode(self, text: str) -> list[int]:
        """See ``Tokenizer.encode``."""
        return [token for _, part in _parts(spell(text)) for token in self._pieces.encode(part)]

    def encode_first(self, text: str) -> list[int]:
        """See ``Tokenizer.encode_first``; adds sentencepiece's blank before a document."""
        (_, first), *rest = _parts(spell(text))
        ids: list[int] = self._first.encode(first)
        return ids + [token for _, part in rest for token in self._pieces.encode(part)]

    def token_bytes(self, token_id: int) -> bytes:
        """See ``Tokenizer.token_bytes``."""
        return self._bytes[token_id] if 0 <= token_id < self.vocab_size else b""

    def id_of(self, name: str) -> int | None:
        """See ``Tokenizer.id_of``."""
        found = int(self._pieces.piece_to_id(name))
        return found if self._pieces.id_to_piece(found) == name else None

    def _piece_bytes(self, token: int) -> bytes:
        pieces, name = self._pieces, str(self._pieces.id_to_piece(token))
        if pieces.is_byte(token):
            return bytes([int(name[3:5], 16)])
        if pieces.is_control(token) or pieces.is_unknown(token) or pieces.is_unused(token):
            return b""
        return b"" if name in MARKS else name.replace(_BLANK, " ").encode()

    def _byte_ids(self) -> Iterator[int]:
        return (token for token in range(self.vocab_size) if self._pieces.is_byte(token))

    def _whole_characters(self, ids: list[int], spans: list[Span]) -> list[Span]:
        """Give each byte of a character the span that its last byte has."""
        for at in range(len(ids) - 2, -1, -1):
            if spans[at][0] == spans[at][1] and self._pieces.is_byte(ids[at]):
                spans[at] = spans[at + 1]
        return spans


def _processor(model: bytes) -> Any:
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=model)
    except (RuntimeError, OSError, ValueError) as error:
        raise CheckpointError(f"{MODEL_FILE} is no sentencepiece model: {error}") from error


def _known(token: int) -> int | None:
    return token if token >= 0 else None


def _parts(text: str) -> list[tuple[int, str]]:
    """Start and text of parts between which no piece may reach: inside of what reads as a mark."""
    cuts = [0, *(found.start() for found in _INSIDE_A_MARK.finditer(text)), len(text)]
    return [(first, text[first:last]) for first, last in pairwise(cuts)]
