"""Gradients reach all weights, through memory too, for any shape of model."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from longllama_code.model.modeling import LongLlamaForCausalLM
from tests.model.small import SHAPES, build, close, random_ids


@pytest.fixture(params=SHAPES, ids=str)
def model(request: pytest.FixtureRequest) -> LongLlamaForCausalLM:
    return build(**SHAPES[request.param])


# Newer releases of transformers say "activation checkpointing"; peft and older ones do not.
RENAMED = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


def gradients(model: LongLlamaForCausalLM, ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
    model.train().zero_grad()
    model(ids, labels=labels).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_reach_everything(model: LongLlamaForCausalLM) -> None:
    ids = random_ids(2, 40)
    found = gradients(model, ids, ids)
    assert found.keys() == dict(model.named_parameters()).keys()
    assert all(gradient.isfinite().all() and gradient.any() for gradient in found.values())


def test_gradients_flow_through_memory(model: LongLlamaForCausalLM) -> None:
    ids = random_ids(1, 40)
    ids[ids == 7], ids[0, 3] = 8, 7
    labels = torch.full_like(ids, -100)
    labels[0, -1] = ids[0, -1]
    embeddings = "model.embed_tokens.weight"
    assert gradients(model, ids, labels)[embeddings][7].abs().max() > 1e-7
    model.config.mem_layers = []
    if not model.config.tie_word_embeddings:
        assert not gradients(build(mem_layers=[]), ids, labels)[embeddings][7].any()


@RENAMED
def test_gradient_checkpointing_changes_no_gradient(model: LongLlamaForCausalLM) -> None:
    ids = random_ids(2, 40)
    plain = {name: grad.clone() for name, grad in gradients(model, ids, ids).items()}
    model.gradient_checkpointing_enable({"use_reentrant": False})
    checkpointed = gradients(model, ids, ids)
    assert all(close(checkpointed[name], grad) for name, grad in plain.items())


@RENAMED
def test_lora_trains(model: LongLlamaForCausalLM) -> None:
    ids = random_ids(2, 40)
    before = {name: p.clone() for name, p in model.named_parameters()}
    lora = LoraConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    tuned = get_peft_model(model, lora).train()
    trainable = [p for p in tuned.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-2)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(tuned(input_ids=ids, labels=ids).loss)
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    after = {name: p for name, p in tuned.get_base_model().named_parameters() if "lora" not in name}
    assert len(after) == len(before)
    for name, parameter in after.items():
        assert torch.equal(parameter, before[name.replace(".base_layer", "")])
