"""What a row sees in training: exactly what the product's form of memory shows."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.errors import ConfigError
from longllama_code.generation.prompting.definition_layout import DefinitionLayout
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.cursor_rows.row import CursorRow
from longllama_code.research.cursor_rows.shards import Shard, ShardWriter, read_shard
from longllama_code.research.tuning.batch import PADDING, before_mask, collate, passes
from longllama_code.research.tuning.inputs import (
    HEAD,
    MODES,
    RowInput,
    draw,
    draw_negatives,
    row_input,
    rows_to_draw,
)
from longllama_code.research.tuning.model_pass import encoded, middle_logits
from longllama_code.research.tuning.options import TuneOptions
from tests.research.repositories import coder, rows_of_tree

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def model() -> LongLlamaForCausalLM:
    return coder().model


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    writer = ShardWriter(tmp_path_factory.mktemp("shards"), "train")
    for name in ("parcel", "letter"):
        writer.add(rows_of_tree(name))
    writer.flush()
    return read_shard(writer.paths[0])


def with_definitions(shard: Shard, n: int, kind: str = "") -> CursorRow:
    """The first row of so many definitions, cut to them."""
    rows = map(shard.row, range(shard.n_rows))
    row = next(r for r in rows if len(r.positives) >= n and r.kind.startswith(kind))
    return replace(row, positives=row.positives[:n])


def logits(model: LongLlamaForCausalLM, *inputs: RowInput) -> torch.Tensor:
    with torch.no_grad():
        return middle_logits(model, collate(inputs))


def plain_logits(model: LongLlamaForCausalLM, ids: tuple[int, ...], n_middle: int) -> torch.Tensor:
    """What an ordinary pass over a text predicts for its last tokens."""
    with torch.no_grad():
        found = model(torch.tensor([ids]), use_cache=False).logits[0]
    return found[len(ids) - n_middle - 1 : -1].float()


@pytest.mark.parametrize("mode", ["prompt", "nothing"])
def test_without_memory_a_row_is_an_ordinary_text(
    model: LongLlamaForCausalLM, shard: Shard, mode: str
) -> None:
    row = with_definitions(shard, 3)
    found = row_input(shard, row, "prompt" if mode == "prompt" else "nothing")
    for each in map(shard.definition, row.positives):
        text = each.ids[each.n_path :]
        assert (text in _parts(found.before, len(text))) == (mode == "prompt")
    expected = plain_logits(model, found.before + found.local, found.n_middle)
    assert torch.allclose(logits(model, found), expected, **CLOSE)


def test_memory_of_one_definition_is_an_ordinary_text(
    model: LongLlamaForCausalLM, shard: Shard
) -> None:
    row = with_definitions(shard, 1)
    found = row_input(shard, row, "memory")
    head, definition = shard.head(row.repository).ids, shard.definition(row.positives[0]).ids
    ids = (*head, *definition, *row.local, *row.middle)
    assert torch.allclose(logits(model, found), plain_logits(model, ids, len(row.middle)), **CLOSE)


def test_memory_of_several_is_what_the_form_says(model: LongLlamaForCausalLM, shard: Shard) -> None:
    """By one pass over all tokens, whose mask is written out token by token."""
    row = with_definitions(shard, 4)
    found = row_input(shard, row, "memory")
    owners = [*found.owners, *[-9] * len(found.local)]
    layout = DefinitionLayout.of(
        [*shard.head(row.repository).ids],
        [[*shard.definition(each).ids] for each in row.positives],
    )
    positions = [*layout.positions, *range(layout.top, layout.top + len(found.local))]
    n_tokens = len(owners)
    visible = torch.zeros(1, 1, n_tokens, n_tokens, dtype=torch.bool)
    for query, owner in enumerate(owners):
        for key in range(query + 1):
            is_local = owner == -9
            visible[0, 0, query, key] = is_local or owners[key] in (HEAD, owner)
    with torch.no_grad():
        hidden = model.model.embed_tokens(torch.tensor([found.before + found.local]))
        for _, output, _, _ in model.model.run_layers(hidden, torch.tensor([positions]), visible):
            hidden = output
        expected = model.lm_head(model.model.norm(hidden))[0, -found.n_middle - 1 : -1]
    assert torch.allclose(logits(model, found), expected, **CLOSE)


def test_a_changed_definition_changes_no_other_ones_keys(
    model: LongLlamaForCausalLM, shard: Shard
) -> None:
    row = with_definitions(shard, 3)
    found = row_input(shard, row, "memory")
    changed = [number for number, owner in enumerate(found.owners) if owner == 2]
    ids = [*found.before]
    for number in changed:
        ids[number] = (ids[number] + 1) % 256
    other = replace(found, before=tuple(ids))
    with torch.no_grad():
        before, after = (encoded(model, collate([each])) for each in (found, other))
    same = torch.tensor([owner != 2 for owner in found.owners])
    for one, two in zip(before, after, strict=True):
        for part, moved in zip(one, two, strict=True):
            assert torch.equal(part[:, :, same], moved[:, :, same])
            assert not torch.allclose(part[:, :, ~same], moved[:, :, ~same])
    assert not torch.allclose(logits(model, found), logits(model, other), **CLOSE)


def test_the_order_of_definitions_is_no_matter(model: LongLlamaForCausalLM, shard: Shard) -> None:
    row = with_definitions(shard, 4)
    turned = replace(row, positives=row.positives[::-1])
    one, other = (row_input(shard, each, "memory") for each in (row, turned))
    assert one.before != other.before
    assert torch.allclose(logits(model, one), logits(model, other), **CLOSE)


def test_no_row_of_a_batch_sees_another_one(model: LongLlamaForCausalLM, shard: Shard) -> None:
    rows = [with_definitions(shard, n, kind) for n, kind in ((4, "call"), (1, "member"), (2, ""))]
    inputs = [row_input(shard, row, mode) for row, mode in zip(rows, MODES, strict=True)]
    together = logits(model, *inputs)
    alone = torch.cat([logits(model, each) for each in inputs])
    assert torch.allclose(together, alone, **CLOSE)


def test_nothing_of_the_answer_reaches_its_first_token(
    model: LongLlamaForCausalLM, shard: Shard
) -> None:
    row = with_definitions(shard, 2, "call")
    other = replace(row, middle=tuple((each + 1) % 256 for each in row.middle))
    one, two = (logits(model, row_input(shard, each, "memory")) for each in (row, other))
    assert torch.equal(one[0], two[0])
    assert not torch.allclose(one[1:], two[1:], **CLOSE)


def test_a_row_without_a_head_or_definitions_runs(
    model: LongLlamaForCausalLM, shard: Shard
) -> None:
    row = with_definitions(shard, 1)
    found = RowInput((), (), (), row.local + row.middle, 0, len(row.middle))
    expected = plain_logits(model, row.local + row.middle, len(row.middle))
    assert torch.allclose(logits(model, found), expected, **CLOSE)


@given(st.lists(st.integers(1, 4), max_size=5), st.integers(0, 3), st.integers(0, 2))
def test_a_token_sees_the_head_and_its_own_definition(
    lengths: list[int], n_head: int, n_padding: int
) -> None:
    owners = [HEAD] * n_head
    for number, length in enumerate(lengths, 1):
        owners += [number] * length
    owners += [PADDING] * n_padding
    mask = before_mask(torch.tensor([owners], dtype=torch.int64).reshape(1, -1))[0, 0]
    for query, owner in enumerate(owners):
        for key, other in enumerate(owners):
            assert mask[query, key] == (key <= query and other in (HEAD, owner))


def test_negatives_are_seen_in_memory_alone_and_within_their_tokens(shard: Shard) -> None:
    options = TuneOptions(own_negative_tokens=300, foreign_negative_tokens=500)
    for number in range(shard.n_rows):
        row = shard.row(number)
        drawn = draw_negatives(shard, row, options, random.Random(number))
        own = [each for each in drawn if each.repository == row.repository]
        foreign = [each for each in drawn if each.repository != row.repository]
        assert sum(len(each.ids) for each in own) <= 300
        assert 0 < sum(len(each.ids) for each in foreign) <= 500
        needed = {shard.definition(each).ids for each in row.positives}
        assert needed.isdisjoint(each.ids for each in own)


def test_modes_have_their_shares_and_teachers_see_no_negatives(shard: Shard) -> None:
    options = TuneOptions(without_memory=0.25, in_prompt=0.25)
    drawn = [draw(shard, n % shard.n_rows, options, random.Random(n)) for n in range(400)]
    counts = {mode: sum(each.mode == mode for each in drawn) for mode in MODES}
    assert 160 < counts["memory"] < 240
    assert min(counts["prompt"], counts["nothing"]) > 60
    for number, each in enumerate(drawn):
        row = shard.row(number % shard.n_rows)
        taught = "nothing" if each.mode == "nothing" else "prompt"
        assert each.teacher == row_input(shard, row, taught)
        if each.mode == "memory":
            assert each.student.n_tokens > row_input(shard, row, "memory").n_tokens
        else:
            assert each.student == each.teacher


def test_rows_that_are_short_of_answers_or_too_long_are_left_out(shard: Shard) -> None:
    options = replace(TuneOptions(), least_middle_tokens=6, most_row_tokens=250)
    drawn = {row for _, row in rows_to_draw([shard], options)}
    assert 0 < len(drawn) < shard.n_rows
    for number in range(shard.n_rows):
        row = shard.row(number)
        short_enough = row_input(shard, row, "prompt").n_tokens <= 250
        assert (number in drawn) == (len(row.middle) >= 6 and short_enough)
    with pytest.raises(ConfigError, match="least_middle_tokens"):
        rows_to_draw([shard], replace(options, least_middle_tokens=1000))


def test_the_prompt_names_each_file_once(shard: Shard) -> None:
    row = with_definitions(shard, 3)
    found = row_input(shard, row, "prompt")
    paths = {shard.definition(n).ids[: shard.definition(n).n_path] for n in row.positives}
    for path in paths:
        assert _parts(found.before, len(path)).count(path) == 1
    best = shard.definition(row.positives[0])
    assert found.before[-len(best.ids) + best.n_path :] == best.ids[best.n_path :]


@settings(max_examples=60)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(1, 900))
def test_passes_hold_every_row_once_and_few_tokens(lengths: list[int], most: int) -> None:
    groups = [*passes(range(len(lengths)), lengths, most)]
    assert sorted(n for group in groups for n in group) == [*range(len(lengths))]
    for group in groups:
        longest = max(lengths[n] for n in group)
        assert len(group) == 1 or longest * len(group) <= most


def _parts(ids: tuple[int, ...], length: int) -> list[tuple[int, ...]]:
    return [ids[start : start + length] for start in range(len(ids) - length + 1)]
