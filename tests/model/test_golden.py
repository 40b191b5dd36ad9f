"""The original implementation's inputs and float32 outputs, reproduced.

``golden/{llama,code}`` hold a checkpoint in the published layout and ``cases.safetensors``: ids and
logits of the original ``LongLlamaForCausalLM`` (transformers 4.33) for each way of calling it.
"""

from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from longllama_code.checkpoints.loading import load_model
from longllama_code.model.modeling import LongLlamaForCausalLM
from tests.paths import GOLDEN

OVERRIDES: dict[str, dict[str, Any]] = {
    "long_bf16_memory": {"mem_dtype": "bfloat16"},
    "long_grouped": {"mem_attention_grouping": [2, 5]},
    "long_no_mem_positionals": {"mem_positionals": False},
    "short_no_memory": {"mem_layers": []},
}


@pytest.fixture(params=["llama", "code"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def cases(family: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / family / "cases.safetensors")


def load(family: str, **overrides: Any) -> LongLlamaForCausalLM:
    return load_model(GOLDEN / family / "checkpoint", dtype=torch.float32, **overrides)


def difference(ours: Tensor, golden: Tensor) -> float:
    return (ours - golden).abs().max().item()


@pytest.mark.parametrize(
    ("case", "tolerance"),
    [
        ("short", 1e-4),
        ("short_no_memory", 1e-4),
        ("long", 1e-4),
        ("long_grouped", 1e-4),
        ("long_no_mem_positionals", 1e-4),
        ("long_bf16_memory", 3e-2),
    ],
)
@torch.no_grad()
def test_logits(family: str, cases: dict[str, Tensor], case: str, tolerance: float) -> None:
    model = load(family, **OVERRIDES.get(case, {}))
    logits = model(cases[f"{case}.input_ids"]).logits
    assert difference(logits, cases[f"{case}.logits"]) <= tolerance


@torch.no_grad()
def test_last_context_length(family: str, cases: dict[str, Tensor]) -> None:
    model = load(family)
    names = [name for name in cases if name.startswith("long_last_context") and "logits" in name]
    assert len(names) == 3
    for name in names:
        length = int(name.removesuffix(".logits").rsplit("_", 1)[1])
        ids = cases[name.replace("logits", "input_ids")]
        assert difference(model(ids, last_context_length=length).logits, cases[name]) <= 1e-4


@torch.no_grad()
def test_left_padded_batch(family: str, cases: dict[str, Tensor]) -> None:
    model = load(family)
    mask = cases["padded.attention_mask"]
    logits = model(
        cases["padded.input_ids"],
        attention_mask=mask,
        position_ids=cases["padded.position_ids"],
    ).logits
    assert difference(logits, cases["padded.logits"]) <= 1e-4


@torch.no_grad()
def test_decoding_past_the_spill(family: str, cases: dict[str, Tensor]) -> None:
    model = load(family)
    outputs = model(cases["decode.prompt_ids"], use_cache=True)
    logits = [outputs.logits]
    for step in cases["decode.step_ids"].split(1, dim=1):
        outputs = model(step, past_key_values=outputs.past_key_values, use_cache=True)
        logits.append(outputs.logits)
    assert difference(torch.cat(logits, dim=1), cases["decode.logits"]) <= 1e-4
    for layer in model.config.mem_layers:
        keys, values = outputs.past_key_values.memory.keys_and_values(layer)
        assert difference(keys, cases[f"decode.memory_keys.{layer}"]) <= 1e-4
        assert difference(values, cases[f"decode.memory_values.{layer}"]) <= 1e-4


@pytest.mark.parametrize("torch_attention", [False, True])
def test_greedy_generation(family: str, cases: dict[str, Tensor], torch_attention: bool) -> None:
    model = load(family, torch_attention=torch_attention)
    ids, golden = cases["greedy.input_ids"], cases["greedy.output_ids"]
    n_new = golden.shape[1] - ids.shape[1]
    output = model.generate(ids, max_new_tokens=n_new, do_sample=False, eos_token_id=None)
    assert output.tolist() == golden.tolist()


def test_auto_classes_run_no_code_of_the_checkpoint(family: str) -> None:
    folder = GOLDEN / family / "checkpoint"
    assert not list(folder.glob("*.py"))
    assert type(AutoConfig.from_pretrained(folder)).__module__ == "longllama_code.config"
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert isinstance(model, LongLlamaForCausalLM)
