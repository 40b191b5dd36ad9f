"""What ``generate`` writes depends on each prompt alone: not on beams, padding or drafts."""

import pytest
import torch

from longllama_code.model.modeling import LongLlamaForCausalLM
from tests.model.small import SEAMLESS, SHAPES, WINDOW, build, close, in_chunks, padded, random_ids


@pytest.fixture(params=SHAPES, ids=str)
def model(request: pytest.FixtureRequest) -> LongLlamaForCausalLM:
    return build(**SHAPES[request.param])


GREEDY = {"do_sample": False, "max_new_tokens": 20}


def test_beams_keep_their_own_memory(model: LongLlamaForCausalLM) -> None:
    """Scores of beams that spilled and were reordered are those of a pass over each alone."""
    prompt = random_ids(2, 12)
    beams = model.generate(
        prompt,
        **{**GREEDY, "num_beams": 3, "num_return_sequences": 3, "length_penalty": 0.0},
        attention_mask=torch.ones_like(prompt),
        output_scores=True,
        return_dict_in_generate=True,
    )
    logits = in_chunks(model, beams.sequences, [12] + [1] * 20)[:, 11:-1]
    logprobs = logits.log_softmax(-1).gather(2, beams.sequences[:, 12:, None])
    assert close(logprobs.sum(dim=(1, 2)), beams.sequences_scores, 1e-3)
    assert len({tuple(row) for row in beams.sequences.tolist()}) == 6


@pytest.mark.parametrize("n_new", [4, 20])
def test_padding_changes_no_token(n_new: int) -> None:
    """Within a window for any model; past it, padding moves the spill, so for a seamless one."""
    model = build() if n_new == 4 else build(**SEAMLESS)
    batch = padded(12, 7)
    settings = {**GREEDY, "max_new_tokens": n_new}
    rows = model.generate(**batch, **settings)
    alone = batch["input_ids"][1:, 5:]
    expected = model.generate(alone, attention_mask=torch.ones_like(alone), **settings)
    assert rows[1, 12:].tolist() == expected[0, 7:].tolist()


def test_refused_drafts_leave_no_trace(model: LongLlamaForCausalLM) -> None:
    """Prompt lookup proposes tokens and takes refused ones back (``crop``)."""
    model.config.last_context_length = WINDOW  # a draft moves what of a prompt is last
    prompt = random_ids(1, 4).repeat(1, 2)
    settings = {**GREEDY, "max_new_tokens": 4, "attention_mask": torch.ones_like(prompt)}
    drafted = model.generate(prompt, prompt_lookup_num_tokens=2, **settings)
    assert drafted.tolist() == model.generate(prompt, **settings).tolist()
