"""A random model with a code model's infill marks, in memory and as a folder."""

from pathlib import Path

import tokenizers
import torch

from longllama_code.config import LongLlamaConfig
from longllama_code.generation.models import LoadedModel, tiny_config
from longllama_code.generation.prompting.infill import QWEN_CODER
from longllama_code.memory.segments.segmenter import Limits
from longllama_code.model.modeling import LongLlamaForCausalLM
from tests.generation.prompting.test_infill_families import byte_level

NAMES = [
    QWEN_CODER.prefix,
    QWEN_CODER.suffix,
    QWEN_CODER.middle,
    str(QWEN_CODER.repository),
    str(QWEN_CODER.file),
]
TOKENIZER = byte_level("</s>", *NAMES)
"""Every byte is a token, and so is every mark."""


def code_model() -> LoadedModel:
    """The model, without a layer that attends to memory; always with the same weights."""
    fields = {
        **tiny_config().to_dict(),
        "vocab_size": TOKENIZER.vocab_size,
        "bos_token_id": None,
        "eos_token_id": 256,
        "mem_layers": [],
        "mem_heads": {},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = LongLlamaForCausalLM(LongLlamaConfig.from_dict(fields)).eval()
    return LoadedModel("coder", model, TOKENIZER, "coder", Limits(96, 480))


def write_code_model(folder: Path) -> Path:
    """Write the model into a folder, as a user's own checkpoint; return the folder."""
    code_model().model.save_pretrained(folder)
    backend = TOKENIZER._backend
    assert isinstance(backend, tokenizers.Tokenizer)
    backend.save(str(folder / "tokenizer.json"))
    return folder
