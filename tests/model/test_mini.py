"""The embedded default model, as it was really pulled."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from longllama_code.model_sources import catalog
from longllama_code.tokenizers.tokenizer import FastTokenizer, IncrementalDecoder

pytestmark = pytest.mark.mini

# SmolLM2 has no token for these control characters, nor for the planes above, all unassigned.
SPELLABLE = st.characters(
    codec="utf-8", max_codepoint=0x3FFFF, exclude_characters="\x04\x06\x13\x14\x16\x1d"
)
CODE = "def read_config(path):\n    with open(path) as f:\n        return json.load(f)\n"


@pytest.fixture(scope="session")
def mini() -> Path:
    return catalog.pull("mini")


@pytest.fixture(scope="session")
def tokenizer(mini: Path) -> FastTokenizer:
    return FastTokenizer.from_folder(mini)


def test_ids_of_a_line_of_code(tokenizer: FastTokenizer) -> None:
    assert tokenizer.vocab_size == 49152
    # What transformers' own GGUF conversion gives.
    assert tokenizer.encode("def read_config(path):\n    with open(path) as f:\n") == [
        *(1604, 1012, 79, 3797, 24, 1537, 727, 472, 351, 1440, 24, 1537, 25, 347, 275, 42, 198)
    ]


@settings(deadline=None)
@given(text=st.text(SPELLABLE))
def test_round_trip(tokenizer: FastTokenizer, text: str) -> None:
    ids, spans = tokenizer.offsets(text)
    decoder = IncrementalDecoder(tokenizer)
    assert tokenizer.decode(ids) == "".join(map(decoder.push, ids)) == text
    assert all(
        tokenizer.token_bytes(token_id) in text[start:end].encode()
        for token_id, (start, end) in zip(ids, spans, strict=True)
    )


def test_weights_know_code(mini: Path, tokenizer: FastTokenizer) -> None:
    """A wrong row order of queries or keys would leave the loss above 5."""
    fields = json.loads((mini / "config.json").read_text())
    model = LlamaForCausalLM(LlamaConfig(**{**fields, "model_type": "llama"})).float().eval()
    model.load_state_dict(load_file(mini / "model.safetensors"), strict=False)
    model.tie_weights()
    ids = torch.tensor([tokenizer.encode(CODE)])
    with torch.no_grad():
        assert model(ids, labels=ids).loss < 2.5
