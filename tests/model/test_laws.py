"""Laws of the model that hold for any weights: random ones, in float32, in several shapes."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from longllama_code.model.attention import LayerInputs
from longllama_code.model.generation_cache import GenerationCache
from longllama_code.model.memory_source import DenseView
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.scoring import mix, scores_of
from tests.model.small import (
    SEAMLESS,
    SHAPES,
    WINDOW,
    FixedMemory,
    build,
    close,
    in_chunks,
    padded,
    random_ids,
)


@pytest.fixture(params=SHAPES, ids=str)
def model(request: pytest.FixtureRequest) -> LongLlamaForCausalLM:
    return build(**SHAPES[request.param])


@torch.no_grad()
def test_memory_has_no_order(model: LongLlamaForCausalLM) -> None:
    ids, remembered = random_ids(2, 9), random_ids(1, 30, seed=2)
    orders = torch.arange(30), torch.randperm(30, generator=torch.Generator().manual_seed(3))
    first, second = (model(ids, memory=FixedMemory(model, remembered, o)).logits for o in orders)
    assert close(first, second)
    assert not close(first, model(ids).logits)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_windowing_is_one_causal_pass(data: st.DataObject) -> None:
    model = build(**SEAMLESS)
    sizes = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=4), "chunks")
    ids = random_ids(2, sum(sizes))
    whole = model(ids, last_context_length=len(ids[0])).logits
    model.config.max_position_embeddings = data.draw(st.integers(1, 20), "window")
    n_last = data.draw(st.integers(1, 90), "last_context_length")
    with torch.no_grad():
        assert close(model(ids, last_context_length=n_last).logits, whole)
    assert close(in_chunks(model, ids, sizes), whole)


@torch.no_grad()
def test_windowing_matters_otherwise(model: LongLlamaForCausalLM) -> None:
    ids = random_ids(1, 12)
    assert not close(model(ids).logits, model(ids, last_context_length=12).logits)


@pytest.mark.parametrize("grouping", [[1, 1], [2, 5], [4, 3], [8, 100]], ids=str)
@torch.no_grad()
def test_grouping_changes_nothing(model: LongLlamaForCausalLM, grouping: list[int]) -> None:
    """Neither for a long input, nor where each query sees another part of memory."""
    ids, order = random_ids(2, 40), torch.arange(30)
    visible = torch.rand(1, 1, 6, 30, generator=torch.Generator().manual_seed(3)) > 0.5
    memory = FixedMemory(model, random_ids(1, 30, seed=2), order, visible)
    long, masked = model(ids).logits, model(ids[:, :6], memory=memory).logits
    model.config.mem_attention_grouping = grouping
    assert close(model(ids).logits, long)
    assert close(model(ids[:, :6], memory=memory).logits, masked)


@pytest.mark.parametrize("most", [1, 100, 10_000])
@torch.no_grad()
def test_scores_are_bounded_whatever_the_grouping(
    model: LongLlamaForCausalLM, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, held = random_ids(2, 40), list[int]()

    def spying(*arguments: Any) -> Tensor:
        scores = scores_of(*arguments)
        held.append(scores.numel())
        return scores

    wanted = model(ids).logits
    model.config.mem_attention_grouping = [8, 100]
    monkeypatch.setattr("longllama_code.model.attention.MAX_SCORES", most)
    monkeypatch.setattr("longllama_code.model.memory_source.scores_of", spying)
    assert close(model(ids).logits, wanted)
    row = 2 * model.config.num_attention_heads // model.config.n_kv_heads * 40
    assert max(held) <= max(most, row)


@pytest.mark.parametrize("most", [1, 100, 1 << 18])
@torch.no_grad()
def test_memory_in_a_smaller_type_is_spread_out_in_blocks(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    queries, weights = torch.randn(2, 3, 2, 5, 8), torch.rand(2, 3, 2, 5, 30)
    memory = torch.randn(2, 3, 30, 8).bfloat16()
    visible = torch.rand(2, 1, 1, 30) > 0.5
    wanted = scores_of(queries, memory.float(), visible), mix(weights, memory.float())
    monkeypatch.setattr("longllama_code.model.scoring.BLOCK_NUMBERS", most)
    assert close(scores_of(queries, memory, visible), wanted[0])
    assert close(mix(weights, memory), wanted[1])


@pytest.mark.parametrize("kept", [1, 12, 13, 40, 99])
@torch.no_grad()
def test_the_last_states_are_those_of_all(
    model: LongLlamaForCausalLM, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more than a window of embeddings is there at once."""
    ids = random_ids(2, 40)
    whole, sizes, embed = model(ids).logits, list[int](), model.model.embed_tokens.forward

    def spying(part: Tensor) -> Tensor:
        sizes.append(part.shape[1])
        return embed(part)

    monkeypatch.setattr(model.model.embed_tokens, "forward", spying)
    assert close(model(ids, logits_to_keep=kept).logits, whole[:, -kept:])
    assert max(sizes) <= model.config.window
    assert model.model(ids, hidden_to_keep=kept).last_hidden_state.shape[1] == min(kept, 40)


@torch.no_grad()
def test_torch_attention_changes_nothing(model: LongLlamaForCausalLM) -> None:
    batch = padded(40, 9)
    seen = batch["attention_mask"].bool()
    logits = model(**batch).logits
    model.config.torch_attention = True
    assert close(model(**batch).logits[seen], logits[seen])


@pytest.mark.parametrize("sizes", [[1] * WINDOW, [5, 7, 4], [15, 1]], ids=str)
@torch.no_grad()
def test_cached_is_uncached_within_a_window(model: LongLlamaForCausalLM, sizes: list[int]) -> None:
    ids = random_ids(2, WINDOW)
    whole = model(ids, last_context_length=WINDOW).logits
    assert close(in_chunks(model, ids, sizes, last_context_length=WINDOW), whole)


@torch.no_grad()
def test_a_truncated_cache_goes_on_as_a_fresh_one(model: LongLlamaForCausalLM) -> None:
    ids, others = random_ids(2, 12), random_ids(2, 12, seed=2)
    cache = model(ids[:, :8], use_cache=True, last_context_length=WINDOW).past_key_values
    model(others[:, 8:], past_key_values=cache)
    cache.truncate(8)
    logits = model(ids[:, 8:], past_key_values=cache).logits
    assert close(logits, model(ids, last_context_length=WINDOW).logits[:, 8:])
    assert cache.get_seq_length() == 12


@torch.no_grad()
def test_a_cache_to_fill_reads_a_long_input_as_none_does(model: LongLlamaForCausalLM) -> None:
    """``generate`` brings an empty cache; the windows of its prompt are those of ``forward``."""
    ids, new = random_ids(1, 12), random_ids(1, 3, seed=2)
    filled = GenerationCache(model.config)
    outputs = model(ids, past_key_values=filled)
    assert close(outputs.logits, model(ids).logits)
    assert filled.get_seq_length() == 12
    resumed = model(ids, use_cache=True).past_key_values
    assert torch.equal(
        model(new, past_key_values=filled).logits, model(new, past_key_values=resumed).logits
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 5e-3), ("bfloat16", 5e-2)])
@torch.no_grad()
def test_memory_in_half_precision_is_close(dtype: str, tolerance: float) -> None:
    ids = random_ids(2, 40)
    exact, rounded = build()(ids).logits, build(mem_dtype=dtype)(ids).logits
    assert close(rounded, exact, tolerance)
    assert not torch.equal(rounded, exact)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@torch.no_grad()
def test_computing_in_half_precision_is_close(
    model: LongLlamaForCausalLM, dtype: torch.dtype
) -> None:
    batch = padded(40, 9)
    seen = batch["attention_mask"].bool()
    exact = model(**batch).logits[seen]
    rounded = model.to(dtype)(**batch).logits[seen].float()
    assert (rounded - exact).abs().mean() < 0.05 * exact.abs().mean()


SCALINGS = {
    "default": None,
    "linear": {"rope_type": "linear", "factor": 2.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": WINDOW},
}


@pytest.mark.parametrize("shape", ["plain", "grouped", "biases"])
@pytest.mark.parametrize("scaling", SCALINGS)
@torch.no_grad()
def test_without_memory_it_is_a_llama(shape: str, scaling: str) -> None:
    ours = build(
        **{**SHAPES[shape], "mem_layers": [], "rope_scaling": SCALINGS[scaling]},
        max_position_embeddings=64,
    )
    fields = ours.config.to_dict()
    llama = LlamaForCausalLM(LlamaConfig(**{**fields, "model_type": "llama"})).eval()
    llama.load_state_dict(ours.state_dict())
    ids = random_ids(2, 40)
    assert close(ours(ids, last_context_length=64).logits, llama(ids).logits)
    assert fields["rope_parameters"]["rope_type"] == scaling


@pytest.mark.parametrize("shape", [(1, 4), (2, 5)], ids=str)
def test_a_mask_of_the_wrong_shape_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"attention_mask has shape .* \(1, 5\)"):
        build()(random_ids(1, 5), attention_mask=torch.ones(shape))


@torch.no_grad()
def test_with_a_fixed_position_memory_answers_alike_anywhere_in_the_window() -> None:
    def alone_at(position: int, **fields: Any) -> Tensor:
        model = build(**fields)
        attention = model.model.layers[1].self_attn
        generator = torch.Generator().manual_seed(3)
        hidden = torch.randn(1, 1, 32, generator=generator)
        keys, values = torch.randn(2, 1, 2, 9, 8, generator=generator)
        rotary = model.model.rotary
        rotation = rotary(hidden, torch.tensor([[position]]))
        visible = torch.ones(1, 1, 1, 1, dtype=torch.bool)
        memory = DenseView(keys, values)
        scale = rotary.position_zero_scale
        return attention(hidden, LayerInputs(rotation, scale, visible, memory=memory))[0]

    assert close(alone_at(2, mem_query_position=5), alone_at(11, mem_query_position=5))
    assert close(alone_at(5, mem_query_position=5), alone_at(5))
    assert not close(alone_at(2), alone_at(11))
