"""A small sentencepiece vocabulary of Code Llama's kind, trained here."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece

from longllama_code.tokenizers.sentencepiece import MARKS, MODEL_FILE
from tests.paths import ROOT

SOURCES = ROOT / "longllama_code"
CODE_LLAMA = {
    "model_type": "bpe",
    "vocab_size": 640,
    "byte_fallback": True,
    "character_coverage": 0.9999,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "allow_whitespace_only_pieces": True,
    "split_digits": True,
    "user_defined_symbols": list(MARKS),
}
MERGES_BLANKS = {"normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True}
"""As OpenLLaMA's first vocabulary does."""


@cache
def _trained(options: str) -> bytes:
    lines = [line for path in sorted(SOURCES.glob("*.py")) for line in path.read_text().split("\n")]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, minloglevel=2, **json.loads(options)
    )
    return model.getvalue()


def vocabulary(**options: Any) -> bytes:
    """The content of a ``tokenizer.model``, with some of the trainer's options changed."""
    return _trained(json.dumps({**CODE_LLAMA, **options}))


def write_vocabulary(folder: Path, **options: Any) -> None:
    """Put a ``tokenizer.model`` into a model's folder."""
    (folder / MODEL_FILE).write_bytes(vocabulary(**options))
