"""The loss: of the middle alone, and with the model's own probabilities as its target."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.cursor_rows.shards import Shard, ShardWriter, read_shard
from longllama_code.research.tuning.inputs import Drawn, draw
from longllama_code.research.tuning.low_rank import add_updates, base_alone, parameters
from longllama_code.research.tuning.objective import (
    pass_loss,
    row_losses,
    teacher_log_probabilities,
)
from longllama_code.research.tuning.options import TuneOptions
from tests.research.repositories import coder, rows_of_tree


@pytest.fixture
def model() -> LongLlamaForCausalLM:
    return coder().model


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    writer = ShardWriter(tmp_path_factory.mktemp("shards"), "train")
    writer.add(rows_of_tree())
    writer.flush()
    return read_shard(writer.paths[0])


def rows(shard: Shard, n: int = 4, **shares: float) -> list[Drawn]:
    options = TuneOptions(**shares)  # type: ignore[arg-type]
    return [draw(shard, number, options, random.Random(number)) for number in range(n)]


def with_random_updates(model: LongLlamaForCausalLM, lowest_layer: int = 0) -> LongLlamaForCausalLM:
    add_updates(model, 4, 8, lowest_layer, seed=1)
    torch.manual_seed(2)
    with torch.no_grad():
        for each in parameters(model).values():
            each.normal_(std=0.05)
    return model


def texts(drawn: Sequence[Drawn], model: LongLlamaForCausalLM) -> torch.Tensor:
    """Log-probabilities of the teachers' texts, by ordinary passes."""
    found = list[torch.Tensor]()
    for each in drawn:
        ids = torch.tensor([each.teacher.before + each.teacher.local])
        with torch.no_grad():
            logits = model(ids, use_cache=False).logits[0, -each.teacher.n_middle - 1 : -1]
        found.append(logits.float().log_softmax(-1))
    return torch.cat(found)


def test_the_target_is_the_models_own_probabilities_without_updates(
    model: LongLlamaForCausalLM, shard: Shard
) -> None:
    drawn = rows(shard)
    expected = texts(drawn, model)
    tuned = with_random_updates(model)
    target = teacher_log_probabilities(tuned, [each.teacher for each in drawn])
    assert torch.allclose(target, expected, atol=1e-4)
    assert torch.allclose(target.exp().sum(-1), torch.ones(len(target)), atol=1e-4)
    assert not torch.allclose(texts(drawn, tuned), expected, atol=1e-2)  # the updates do something


def test_the_base_is_back_only_for_a_while(model: LongLlamaForCausalLM, shard: Shard) -> None:
    tuned = with_random_updates(model)
    inputs = [each.student for each in rows(shard)]
    before = row_losses(tuned, inputs)
    with base_alone(tuned):
        base = row_losses(tuned, inputs)
    assert row_losses(tuned, inputs) == before
    assert base != pytest.approx(before, abs=1e-3)
    assert base == pytest.approx(row_losses(coder().model, inputs), abs=1e-3)


def test_a_student_that_is_its_teacher_has_no_divergence(
    model: LongLlamaForCausalLM, shard: Shard
) -> None:
    add_updates(model, 4, 8, 0, seed=1)
    drawn = rows(shard, without_memory=0.0, in_prompt=1.0)
    found = pass_loss(model, drawn, 1.0, definition_gradients=True)
    assert found.divergence == pytest.approx(0.0, abs=1e-4)
    seen = pass_loss(
        model, rows(shard, without_memory=0.0, in_prompt=0.0), 1.0, definition_gradients=True
    )
    assert seen.divergence > 0.01


def test_the_loss_is_of_the_middle_alone(model: LongLlamaForCausalLM, shard: Shard) -> None:
    add_updates(model, 4, 8, 0, seed=1)
    drawn = rows(shard, without_memory=1.0, in_prompt=0.0)
    found = pass_loss(model, drawn, 0.0, definition_gradients=True)
    expected = 0.0
    for each in drawn:
        ids = torch.tensor([each.student.before + each.student.local])
        n = each.student.n_middle
        logits = model(ids, use_cache=False).logits[0, -n - 1 : -1]
        expected += float(cross_entropy(logits, ids[0, -n:], reduction="sum").detach())
    assert float(found.total.detach()) == pytest.approx(expected, rel=1e-4)
    assert found.cross_entropy["nothing"] == pytest.approx(expected, rel=1e-4)
    assert found.n_tokens["nothing"] == sum(each.student.n_middle for each in drawn)


def gradients(model: LongLlamaForCausalLM, drawn: list[Drawn], **how: bool) -> dict[str, float]:
    found = pass_loss(model, drawn, 0.5, **how)  # type: ignore[arg-type]
    found.total.backward()
    norms = {
        name: 0.0 if each.grad is None else float(each.grad.norm())
        for name, each in parameters(model).items()
    }
    model.zero_grad()
    return norms


def test_gradients_reach_definitions_unless_they_must_not(
    model: LongLlamaForCausalLM, shard: Shard
) -> None:
    tuned = with_random_updates(model)
    drawn = rows(shard, without_memory=0.0, in_prompt=0.0)
    whole = gradients(tuned, drawn, definition_gradients=True)
    part = gradients(tuned, drawn, definition_gradients=False)
    assert all(norm > 0 for norm in (*whole.values(), *part.values()))
    assert whole != pytest.approx(part, rel=1e-3)


def test_only_the_layers_asked_for_are_changed(model: LongLlamaForCausalLM, shard: Shard) -> None:
    tuned = with_random_updates(model, lowest_layer=2)
    assert {name.split(".")[2] for name in parameters(tuned)} == {"2"}
    trained = [name for name, each in tuned.named_parameters() if each.requires_grad]
    assert len(trained) == len(parameters(tuned))
    assert all(
        norm > 0 for norm in gradients(tuned, rows(shard), definition_gradients=True).values()
    )


def test_gradient_checkpointing_changes_nothing(shard: Shard) -> None:
    found = list[dict[str, float]]()
    for is_on in (False, True):
        tuned = with_random_updates(coder().model).train()
        if is_on:
            tuned.activation_checkpointing_enable()
        found.append(gradients(tuned, rows(shard), definition_gradients=True))
    assert found[1] == pytest.approx(found[0], rel=1e-4)


def test_bfloat16_is_close(model: LongLlamaForCausalLM, shard: Shard) -> None:
    drawn = rows(shard)
    inputs = [each.student for each in drawn]
    exact = row_losses(model, inputs)
    half = model.to(torch.bfloat16)
    add_updates(half, 4, 8, 0, seed=1)
    assert all(each.dtype == torch.float32 for each in parameters(half).values())
    assert row_losses(half, inputs) == pytest.approx(exact, rel=0.05)
    found = pass_loss(half, [replace(drawn[0])], 0.5, definition_gradients=True)
    found.total.backward()
    assert all(each.grad is not None for each in parameters(half).values())
