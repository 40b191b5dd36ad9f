"""The examples of the original README, as written there, with our classes and random weights.

``trust_remote_code`` and the old name ``torch_dtype`` are part of what is written.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM, LlamaTokenizer, pipeline

from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.random_weights import write_random
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.tokenizers.loading import load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:.*torch_dtype.*:FutureWarning")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for ``syzymon/long_llama_3b``: its layers and names, small."""
    folder = tmp_path_factory.mktemp("family") / "long_llama_3b"
    write_random(FAMILY["3b"], folder, scale="small")
    return folder


@pytest.fixture(scope="module")
def tokenizer(model_path: Path) -> Any:
    return LlamaTokenizer.from_pretrained(model_path)


@pytest.fixture(scope="module")
def model(model_path: Path) -> Any:
    model = AutoModelForCausalLM.from_pretrained(
        model_path, torch_dtype=torch.float32, trust_remote_code=True
    )
    assert isinstance(model, LongLlamaForCausalLM)
    return model


def test_loading(model: Any, tokenizer: Any, model_path: Path) -> None:
    assert model.config.mem_layers == [6, 12, 18]
    assert model.dtype == torch.float32
    text = "My name is Julien and I like to"
    ours = load_tokenizer(model_path)
    assert tokenizer(text).input_ids == [ours.bos_id, *ours.encode_first(text)]


def test_input_handling_and_generation(model: Any, tokenizer: Any) -> None:
    prompt = "My name is Julien and I like to"
    input_ids = tokenizer(prompt, return_tensors="pt").input_ids
    outputs = model(input_ids=input_ids)
    assert outputs.logits.shape == (1, input_ids.shape[1], model.config.vocab_size)
    torch.manual_seed(60)
    generation_output = model.generate(
        input_ids=input_ids,
        max_new_tokens=256,
        num_beams=1,
        last_context_length=1792,
        do_sample=True,
        temperature=1.0,
    )
    # The small window holds 128 tokens: what was written went through memory.
    assert model.config.window < generation_output.shape[1] <= input_ids.shape[1] + 256
    assert tokenizer.decode(generation_output[0]).startswith("<s> My name is Julien")


@torch.no_grad()
def test_additional_configuration(model: Any, model_path: Path) -> None:
    bare = AutoModelForCausalLM.from_pretrained(
        model_path,
        torch_dtype=torch.float32,
        mem_layers=[],
        mem_dtype="bfloat16",
        trust_remote_code=True,
        mem_attention_grouping=(4, 2048),
    )
    assert (list(bare.config.mem_layers), bare.config.mem_dtype) == ([], "bfloat16")
    grouped = AutoModelForCausalLM.from_pretrained(
        model_path, torch_dtype=torch.float32, mem_attention_grouping=(4, 2048)
    )
    ids = torch.arange(700)[None] % 600
    whole = model(ids).logits
    assert (grouped(ids).logits - whole).abs().max() <= 1e-4
    assert (bare(ids).logits - whole).abs().max() > 1e-4


@torch.no_grad()
def test_drop_in_use(model: Any, model_path: Path) -> None:
    plain = LlamaForCausalLM.from_pretrained(model_path, torch_dtype=torch.float32)
    ids = torch.arange(100)[None]
    ours = model(ids, last_context_length=100).logits
    assert (ours - plain(ids).logits).abs().max() <= 1e-4


def test_passkey(model_path: Path, tokenizer: Any) -> None:
    """``examples/passkey.py``, at a length that a test can wait for."""
    model = AutoModelForCausalLM.from_pretrained(
        model_path,
        torch_dtype=torch.float32,
        trust_remote_code=True,
        mem_attention_grouping=(1, 2048),
    )
    prompt, answer = "The grass is green. " * 200 + "The pass key is", "12345"
    input_ids = tokenizer(prompt, return_tensors="pt").input_ids
    answer_ids = tokenizer(answer, return_tensors="pt").input_ids[:, 1:]  # drop BOS
    generation_output = model.generate(
        input_ids=input_ids,
        max_new_tokens=answer_ids.shape[-1],
        num_beams=1,
        last_context_length=1024,
        eos_token_id=None,
    )
    assert generation_output.shape[1] == input_ids.shape[1] + answer_ids.shape[1]


def test_pipeline(model: Any, tokenizer: Any) -> None:
    write = pipeline("text-generation", model=model, tokenizer=tokenizer)
    prompt = "def f(x):\n    return"
    (found,) = write(prompt, max_new_tokens=8, do_sample=False, return_tensors=True)
    (text,) = write(prompt, max_new_tokens=8, do_sample=False)
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    written = model.generate(ids, max_new_tokens=8, do_sample=False)
    assert found["generated_token_ids"] == written[0].tolist()
    # Not all of the text: the pipeline decodes what is new by itself, without a blank before it.
    assert text["generated_text"].startswith(prompt)
