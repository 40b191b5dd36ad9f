"""Laws of cross-batch attention: who sees whom, and that nothing leaks."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from longllama_code.errors import ConfigError
from longllama_code.generation import models
from longllama_code.generation.models import LoadedModel
from longllama_code.model.layer_stack import causal_mask
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.training.cross_batch import (
    PUBLISHED_7B,
    CrossBatchMemory,
    CrossBatchPlan,
    NegativeBank,
    growing_negatives,
    plan_rows,
)

N_ROWS, N_TOKENS = 5, 12
REPOSITORIES = st.lists(st.integers(0, 3), min_size=1, max_size=16)
SHARES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def model() -> LongLlamaForCausalLM:
    return models.load("tiny").model


def run(model: LongLlamaForCausalLM, ids: Tensor, plan: CrossBatchPlan, *, chained: bool) -> Tensor:
    """Hidden states of a batch whose rows see each other."""
    heads = {layer: model.config.memory_heads(layer) for layer in model.config.mem_layers}
    alone = None if chained else model.model.encode_memory(ids)
    memory = CrossBatchMemory(heads, plan, torch.ones_like(ids, dtype=torch.bool), alone)
    positions = torch.arange(ids.shape[1])[None]
    visible = causal_mask(torch.ones_like(ids, dtype=torch.bool), ids.shape[1])
    embeds = model.model.embed_tokens(ids)
    *_, last = model.model.run_layers(embeds, positions, visible, memory=memory)
    return last[1]


def random_ids(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (N_ROWS, N_TOKENS), generator=generator)


@torch.no_grad()
def test_chained_rows_never_feel_a_later_one(model: LongLlamaForCausalLM) -> None:
    """Through two memory layers a row would read its continuation, were later rows visible."""
    plan = CrossBatchPlan(torch.ones(N_ROWS, N_ROWS, dtype=torch.bool).tril(-1))
    ids = random_ids(1)
    before = run(model, ids, plan, chained=True)
    changed = ids.clone()
    changed[3] = random_ids(2)[3]
    after = run(model, changed, plan, chained=True)
    assert torch.equal(before[:3], after[:3])
    assert not torch.allclose(before[4], after[4])


@torch.no_grad()
def test_order_free_rows_feel_exactly_the_rows_they_see(model: LongLlamaForCausalLM) -> None:
    sees = torch.zeros(N_ROWS, N_ROWS, dtype=torch.bool)
    sees[0, 3] = sees[3, 1] = sees[1, 0] = True  # 3 reaches 1 through 0 if rows were chained
    ids = random_ids(1)
    before = run(model, ids, CrossBatchPlan(sees), chained=False)
    changed = ids.clone()
    changed[3] = random_ids(2)[3]
    after = run(model, changed, CrossBatchPlan(sees), chained=False)
    moved = [not torch.allclose(b, a, atol=1e-5) for b, a in zip(before, after, strict=True)]
    assert moved == [True, False, False, True, False]


@torch.no_grad()
def test_a_row_sees_what_repository_memory_would_show_it(tiny: LoadedModel) -> None:
    """Cross-batch and inference are one attention: same keys, same output."""
    model, ids = tiny.model, random_ids(4)
    sees = torch.zeros(N_ROWS, N_ROWS, dtype=torch.bool)
    sees[0, [1, 2]] = True
    trained = run(model, ids, CrossBatchPlan(sees), chained=False)[:1]

    heads = {layer: model.config.memory_heads(layer) for layer in model.config.mem_layers}
    alone = model.model.encode_memory(ids[1:3])
    others = CrossBatchPlan(torch.ones(2, 2, dtype=torch.bool))
    stored = torch.ones_like(ids[1:3], dtype=torch.bool)
    memory = CrossBatchMemory(heads, others, stored, alone)
    output = model.model(ids[:1], memory=_FirstRow(memory), use_cache=False).last_hidden_state
    assert torch.allclose(model.model.norm(trained), output, atol=1e-5)


class _FirstRow:
    """What a batch of one row sees of a cross-batch memory."""

    def __init__(self, memory: CrossBatchMemory) -> None:
        self._memory = memory

    def layer_view(self, layer_idx: int, input_keys: object = None) -> object:
        view = self._memory.layer_view(layer_idx, lambda: (torch.empty(0), torch.empty(0)))
        assert view is not None
        return type(view)(view.keys, view.values)


def test_gradients_reach_the_rows_seen(model: LongLlamaForCausalLM) -> None:
    heads = {layer: model.config.memory_heads(layer) for layer in model.config.mem_layers}
    plan = CrossBatchPlan(torch.ones(N_ROWS, N_ROWS, dtype=torch.bool).tril(-1))
    memory = CrossBatchMemory(heads, plan, torch.ones(N_ROWS, N_TOKENS, dtype=torch.bool))
    ids = random_ids(5)
    embeds = model.model.embed_tokens(ids).detach().requires_grad_()
    positions = torch.arange(N_TOKENS)[None]
    visible = causal_mask(torch.ones_like(ids, dtype=torch.bool), N_TOKENS)
    *_, last = model.model.run_layers(embeds, positions, visible, memory=memory)
    last[1][4].sum().backward()
    assert embeds.grad is not None
    reached = embeds.grad.abs().sum(dim=(1, 2)) > 0
    assert reached.tolist() == [True] * N_ROWS


def test_chained_rows_that_see_later_ones_are_refused() -> None:
    plan = CrossBatchPlan(torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ConfigError, match="earlier rows alone"):
        CrossBatchMemory({1: (0,)}, plan, torch.ones(2, 4, dtype=torch.bool))


@settings(deadline=None)
@given(REPOSITORIES, SHARES, st.integers(), st.booleans(), st.none() | st.integers(1, 8))
def test_plans(
    repositories: list[int],
    shares: list[tuple[int, int]],
    seed: int,
    chained: bool,
    block: int | None,
) -> None:
    plan = plan_rows(
        repositories, shares, random.Random(seed), chained=chained, cross_batch_range=block
    )
    most = max(positives for positives, _ in shares), max(negatives for _, negatives in shares)
    for row, seen in enumerate(plan.sees):
        others = torch.nonzero(seen).flatten().tolist()
        assert row not in others
        assert not chained or all(other < row for other in others)
        assert block is None or all(other // block == row // block for other in others)
        same = sum(repositories[other] == repositories[row] for other in others)
        assert same <= most[0]
        assert len(others) - same <= most[1]


def test_shares_go_to_quarters_of_the_batch() -> None:
    repositories = [number // 8 for number in range(32)]
    plan = plan_rows(repositories, PUBLISHED_7B, random.Random(0), chained=False)
    found = sorted(
        (int(same.sum()), int(seen.sum() - same.sum()))
        for row, seen in enumerate(plan.sees)
        for same in [seen & (torch.tensor(repositories) == repositories[row])]
    )
    assert found == sorted(PUBLISHED_7B * 8)


def test_bad_shares_are_named() -> None:
    with pytest.raises(ConfigError, match=r"\[1, -1\]"):
        plan_rows([0, 1], [(1, -1)], random.Random(0), chained=True)


def test_negatives_grow_but_rows_without_memory_stay() -> None:
    assert growing_negatives(PUBLISHED_7B, 10, 0.0) == list(PUBLISHED_7B)
    assert growing_negatives(PUBLISHED_7B, 10, 1.0) == [(0, 0), (1, 12), (2, 15), (3, 14)]


def test_the_bank_keeps_the_newest_stored_tokens() -> None:
    bank, heads = NegativeBank(5), {3: (1,)}
    stored = torch.tensor([[False, True, True], [False, True, False]])
    for number in (1.0, 2.0):
        keys = torch.full((2, 2, 3, 4), number)
        bank.add({3: (keys, -keys)}, heads, stored)
    keys, values = bank.entries()[3]
    assert keys.shape == (1, 5, 4)
    assert keys[0, :, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 2.0]
    assert torch.equal(keys, -values)
    other = NegativeBank(5)
    other.load_state_dict(bank.state_dict())
    assert torch.equal(other.entries()[3][0], keys)


@torch.no_grad()
def test_bank_rows_are_seen_by_rows_with_memory_alone() -> None:
    sees = torch.tensor([[False, True], [False, False]])
    stored = torch.tensor([[False, True], [True, True]])
    part = torch.zeros(2, 1, 2, 4)
    bank = {0: (torch.ones(1, 3, 4), torch.ones(1, 3, 4))}
    memory = CrossBatchMemory({0: (0,)}, CrossBatchPlan(sees), stored, {0: (part, part)}, bank)
    view = memory.layer_view(0, lambda: (part, part))
    assert view is not None
    assert view.visible is not None
    seen = view.visible[:, 0, 0].int().tolist()
    assert seen == [[0, 0, 1, 1, 1, 1, 1], [0] * 7]
