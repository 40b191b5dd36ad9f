"""The best keys of memory: exact, whatever the pages."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.model.attention import softmax_attention
from longllama_code.model.memory_source import DenseView
from longllama_code.model.selection import best_scores, pick


@settings(deadline=None)
@given(n_keys=st.integers(1, 700), k=st.integers(1, 9), seed=st.integers(0, 1 << 16))
def test_best_scores_are_those_of_a_full_sort(n_keys: int, k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Rounded, so that equal scores occur.
    scores = torch.randn(2, 3, n_keys, generator=generator).mul(4).round()
    best, indices = best_scores(scores, k)
    expected = scores.sort(dim=-1, descending=True).values[..., :k]
    assert torch.equal(best, expected)
    assert torch.equal(scores.gather(-1, indices), expected)
    assert all(len(set(row.tolist())) == len(row) for row in indices.flatten(0, 1))


def memory_and_queries(n_keys: int, batch: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(n_keys)
    shapes = [(2, 3, 2, 5, 8), (2, 3, 4, 8), (2, 3, 4, 8), (batch, 3, n_keys, 8)]
    return tuple(torch.randn(*shape, generator=generator) for shape in (*shapes, shapes[-1]))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("n_keys", [7, 640])
def test_attention_to_the_best_keys_is_attention_with_the_others_masked(
    n_keys: int, batch: int
) -> None:
    k = 4
    queries, keys, values, memory_keys, memory_values = memory_and_queries(n_keys, batch)
    visible = torch.ones(2, 1, 5, 4, dtype=torch.bool)
    noted = []
    memory = DenseView(memory_keys, memory_values, observe=lambda *seen: noted.append(seen))
    ours = softmax_attention(queries, keys, values, visible, memory, k)
    scale = queries.shape[-1] ** -0.5
    local = torch.einsum("bgrsd,bgld->bgrsl", queries, keys) * scale
    expanded = memory_keys.expand(2, -1, -1, -1)
    remote = torch.einsum("bgrsd,bgmd->bgrsm", queries, expanded) * scale
    threshold = remote.sort(dim=-1, descending=True).values[..., k - 1 : k]
    remote = remote.masked_fill(remote < threshold, float("-inf"))
    weights = torch.cat((local, remote), dim=-1).softmax(-1)
    everything = torch.cat((values, memory_values.expand(2, -1, -1, -1)), dim=2)
    expected = torch.einsum("bgrsk,bgkd->bgrsd", weights, everything)
    assert torch.allclose(ours, expected, atol=1e-5)
    ((first, seen, indices),) = noted
    assert first == 0
    everywhere = torch.zeros_like(weights[..., 4:]).scatter(-1, indices, seen)
    assert torch.allclose(everywhere, weights[..., 4:], atol=1e-4)


def test_gradients_reach_the_best_keys_as_if_the_others_were_masked() -> None:
    k, n_keys = 4, 640
    queries, keys, values, memory_keys, memory_values = memory_and_queries(n_keys, 1)
    visible = torch.ones(2, 1, 5, 4, dtype=torch.bool)
    memory_queries = queries.roll(1, dims=-1)

    def gradients(masks: bool) -> list[torch.Tensor]:
        learnt = [
            t.clone().requires_grad_()
            for t in (queries, memory_queries, memory_keys, memory_values)
        ]
        scores = torch.einsum("bgrsd,bgmd->bgrsm", learnt[1], learnt[2].expand(2, -1, -1, -1))
        if masks:
            scores = scores * queries.shape[-1] ** -0.5
            threshold = scores.topk(k).values[..., -1:]
            local = torch.einsum("bgrsd,bgld->bgrsl", learnt[0], keys) * queries.shape[-1] ** -0.5
            masked = scores.masked_fill(scores < threshold, float("-inf"))
            weights = torch.cat((local, masked), dim=-1).softmax(-1)
            everything = torch.cat((values, learnt[3].expand(2, -1, -1, -1)), dim=2)
            mixed = torch.einsum("bgrsk,bgkd->bgrsd", weights, everything)
        else:
            memory = DenseView(learnt[2], learnt[3])
            mixed = softmax_attention(learnt[0], keys, values, visible, memory, k, learnt[1])
        return list(torch.autograd.grad(mixed.square().sum(), learnt))

    for ours, expected in zip(gradients(masks=False), gradients(masks=True), strict=True):
        assert torch.allclose(ours, expected, atol=1e-4)
        assert ours.abs().sum() > 0


def test_what_is_not_visible_is_not_seen_however_few_there_are() -> None:
    queries, keys, values, memory_keys, memory_values = memory_and_queries(640, 1)
    visible = torch.ones(2, 1, 5, 4, dtype=torch.bool)
    seen = torch.zeros(1, 1, 1, 640, dtype=torch.bool)
    seen[..., 7:9] = True
    few = DenseView(memory_keys[:, :, 7:9], memory_values[:, :, 7:9])
    expected = softmax_attention(queries, keys, values, visible, few)
    memory = DenseView(memory_keys, memory_values, seen)
    learnt = queries.clone().requires_grad_()
    ours = softmax_attention(learnt, keys, values, visible, memory, 4)
    assert torch.allclose(ours, expected, atol=1e-5)
    with torch.no_grad():
        best = softmax_attention(queries, keys, values, visible, memory, 4)
    assert torch.allclose(best, expected, atol=1e-5)


def test_more_keys_than_there_are_is_all_of_them() -> None:
    queries, keys, values, memory_keys, memory_values = memory_and_queries(6, 2)
    visible = torch.ones(2, 1, 5, 4, dtype=torch.bool)
    memory = DenseView(memory_keys, memory_values)
    everything = softmax_attention(queries, keys, values, visible, memory)
    assert torch.equal(softmax_attention(queries, keys, values, visible, memory, 6), everything)
    assert not torch.allclose(
        softmax_attention(queries, keys, values, visible, memory, 1), everything
    )


def test_pick_takes_rows_of_the_right_head() -> None:
    values = torch.arange(24.0).view(1, 2, 12, 1)
    indices = torch.tensor([3, 0]).expand(2, 2, 1, 1, 2)
    assert pick(values, indices)[1, :, 0, 0, :, 0].tolist() == [[3, 0], [15, 12]]
