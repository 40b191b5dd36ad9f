"""Shares of attention by definition: beside weights that are computed plainly."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.definitions.chosen import Chosen
from longllama_code.generation.decoding.decoder import Decoder, PlacedText
from longllama_code.generation.engine import Engine
from longllama_code.generation.prompting.definition_layout import (
    DefinitionLayout,
    excerpt_ids,
)
from longllama_code.generation.prompting.prompt import Excerpt, PromptSource, build_prompt
from longllama_code.generation.prompting.shown_rows import ShownRows
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from lsp_server.suggestions.suggestion import SuggestionHistory, to_suggestion
from tests.code_model import TOKENIZER, code_model
from tests.generation.definition_memory.small import (
    EXCERPTS,
    HEAD,
    MARKS,
    OWN,
    decoder,
    encode,
    memory,
    torch_model,
)
from tests.server.suggestions.cursors import cursor

assert MARKS is not None
N_TOKENS = 3
WAYS = pytest.mark.parametrize("by_kernels", [False, True])
MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]


@torch.inference_mode()
def plain_shares(
    ids: list[int], positions: list[int], groups: list[int], bounds: Sequence[int], n_last: int
) -> list[float]:
    """Return shares of the last tokens' attention, from weights written out for every token.

    Args:
        ids: all tokens.
        positions: their positions.
        groups: 0 for the head, a number for each definition, -1 for the open file.
        bounds: of the segments.
        n_last: number of tokens whose attention counts.
    """
    of, model = torch.tensor(groups), torch_model().model
    sees = (of[None] == of[:, None]) | (of[None] == 0) | (of[:, None] == -1)
    sees &= torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    hidden = model.embed_tokens(torch.tensor([ids]))
    rotation = model.rotary(hidden, torch.tensor([positions])).local
    totals = torch.zeros(len(bounds) - 1)
    run = model.run_layers(hidden, torch.tensor([positions]), sees[None, None])
    for layer, (_, output, _, _) in zip(model.layers, run, strict=True):
        projected = layer.self_attn.project(layer.input_layernorm(hidden), rotation, None, 1.0)
        n_heads = projected.queries.shape[1] // projected.keys.shape[1]
        keys = projected.keys[0].repeat_interleave(n_heads, 0)
        scores = projected.queries[0] @ keys.mT / keys.shape[-1] ** 0.5
        weights = scores.masked_fill(~sees, -torch.inf).softmax(-1)[:, -n_last:]
        for number, (first, end) in enumerate(itertools.pairwise(bounds)):
            totals[number] += weights[..., first:end].sum(-1).mean()
        hidden = output
    return (totals / len(model.layers)).tolist()


def generated(
    of: Decoder, ids: list[int], placed: PlacedText | None, bounds: Sequence[int]
) -> list[int]:
    """Generate some tokens."""
    of.prefill(ids, None, lambda: False, placed)
    steps = of.steps(ids, None, lambda logits: int(logits.argmax()), None, bounds)
    return list(itertools.islice(steps, N_TOKENS))


@WAYS
def test_definitions_in_memory_have_the_attention_that_falls_on_them(by_kernels: bool) -> None:
    filled = memory(by_kernels=by_kernels)
    encode(filled, *EXCERPTS)
    placed = filled.placed("port", EXCERPTS, 1000)
    assert placed is not None
    chosen = sorted(EXCERPTS, key=lambda each: placed.starts[each])
    excerpts = [excerpt_ids(each.path, each.text, TOKENIZER, MARKS) for each in chosen]
    bounds = [*(placed.starts[each] for each in chosen), placed.n_rows]
    of = decoder(by_kernels=by_kernels)
    tokens = generated(of, [*HEAD, *OWN], placed, bounds)
    layout = DefinitionLayout.of(HEAD, excerpts)
    own = [*OWN, *tokens[:-1]]
    groups = [0] * len(HEAD) + [n for n, each in enumerate(excerpts, 1) for _ in each]
    wanted = plain_shares(
        [*HEAD, *itertools.chain(*excerpts), *own],
        [*layout.positions, *range(layout.top, layout.top + len(own))],
        groups + [-1] * len(own),
        bounds,
        N_TOKENS,
    )
    assert of.shares == pytest.approx(wanted, rel=0.05 if by_kernels else 1e-3)
    assert 0.02 < sum(wanted) < 0.98


@WAYS
def test_definitions_in_the_prompt_have_the_attention_that_falls_on_them(by_kernels: bool) -> None:
    shown = [excerpt_ids(each.path, each.text, TOKENIZER, MARKS) for each in EXCERPTS]
    ids = [*HEAD, *itertools.chain(*shown), *OWN]
    bounds = list(itertools.accumulate(map(len, shown), initial=len(HEAD)))
    of = decoder(by_kernels=by_kernels)
    tokens = generated(of, ids, None, bounds)
    every = [*ids, *tokens[:-1]]
    positions, groups = list(range(len(every))), [0] * len(every)
    wanted = plain_shares(every, positions, groups, bounds, N_TOKENS)
    assert of.shares == pytest.approx(wanted, rel=0.05 if by_kernels else 1e-3)


@WAYS
def test_what_is_watched_changes_nothing_of_what_is_written(by_kernels: bool) -> None:
    ids = [*HEAD, *OWN]
    found = [
        generated(decoder(by_kernels=by_kernels), ids, None, bounds) for bounds in ((), (1, 5, 9))
    ]
    assert found[0] == found[1]


def test_a_draft_that_is_rejected_has_no_share() -> None:
    """Shares are those of the tokens that were written, whatever else was tried."""

    class Wrong:
        """Guesses tokens that are never right."""

        def guess(self) -> list[int]:
            return [int(TOKENIZER.eos_id)] * 3

        def learn(self, n_guessed: int, n_right: int) -> None:
            assert n_guessed

    found = list[list[float]]()
    for drafter in (None, Wrong()):
        of, ids = decoder(by_kernels=True), [*HEAD, *OWN]
        of.prefill(ids, None, lambda: False)
        steps = of.steps(ids, None, lambda logits: int(logits.argmax()), drafter, (1, 5, 9))
        tokens = list(itertools.islice(steps, N_TOKENS))
        assert TOKENIZER.eos_id not in tokens
        found.append(of.shares)
    assert found[0] == pytest.approx(found[1], rel=1e-5)


names = st.sampled_from(["x", "dock", "class Harbour:", "def moor(a, b): ...", "é = 'ß'"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.lists(names, min_size=1, unique=True))))
def test_the_tokens_of_an_excerpt_are_divided_between_its_definitions(
    drawn: list[tuple[int, list[str]]],
) -> None:
    excerpts = tuple(
        Excerpt(
            f"file{path}.py",
            "\n".join(texts),
            tuple(
                Chosen(f"file{path}.py", text, "function", text, line, line, "", 0.0)
                for line, text in enumerate(texts, 100 * number)
            ),
        )
        for number, (path, texts) in enumerate(drawn)
    )
    rows, source = ShownRows(TOKENIZER, MARKS), PromptSource("own.py", "y", "", "port", excerpts)
    prompt = build_prompt(source, TOKENIZER, 4000, MARKS)
    found = rows.in_prompt("port", excerpts, len(prompt.ids))
    assert len(found.bounds) == (len(found.shown) + 1 if excerpts else 0)
    assert list(found.bounds) == sorted(found.bounds)
    assert not excerpts or found.bounds[0] == len(HEAD)
    written = dict.fromkeys(found.shown, "")
    for (first, end), shown in zip(itertools.pairwise(found.bounds), found.shown, strict=True):
        written[shown] += TOKENIZER.decode(prompt.ids[first:end])
    for excerpt in excerpts:
        for each in excerpt.chosen:
            assert isinstance(each, Chosen)
            assert each.shown in written[each.path, each.name, each.line]
    assert set(found.by_definition([1.0] * len(found.shown))) == set(written) - {None}


OFFICE = "from harbour.ship import Ship, moor\n\n\ndef arrive(name):\n    ship = Ship(name, 12)\n"
SHIP = "class Ship:\n    def dues(self, rate): ...\n\n\ndef moor(ship, berth): ...\n"
REQUEST = CompletionRequest(
    "office.py",
    OFFICE + "    return ship.",
    "\n",
    max_tokens=4,
    repository="port",
    timeout_ms=600_000,
)


def explained(result: CompletionResult) -> dict:
    history = SuggestionHistory()
    history.add(to_suggestion(result, cursor("return ship.|")))
    found = history.explain(None)
    assert found is not None
    return found


@pytest.mark.parametrize("form", ["memory", "definitions"])
def test_shares_of_definitions_and_of_the_rest_add_up_to_one(
    make_engine: MakeEngine, remember: Remember, form: str
) -> None:
    engine = make_engine(loaded=code_model())
    remember(engine, "harbour/ship.py", SHIP)
    request = replace(REQUEST, repository_context=form)
    result = engine.complete(request, lambda: False)
    shares = {each.name: each.share for each in result.definitions}
    assert {"Ship", "Ship.dues", "moor"} <= shares.keys()
    assert all(share is not None and 0 < share < 1 for share in shares.values())
    found = explained(result)
    drawn = [each["share"] for each in found["definitions"]]
    mass = sum(each["mass"] for each in found["sources"])
    assert sum(drawn) + mass + found["ownShare"] == pytest.approx(1, abs=1e-4)
    assert 0 < found["ownShare"] < 1
