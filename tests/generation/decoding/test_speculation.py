"""Drafts change how many passes an answer takes, and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation import answer as answer_module
from longllama_code.generation import models
from longllama_code.generation.decoding.decoder import Decoder
from longllama_code.generation.decoding.speculation import (
    LEAST_DRAFT_TOKENS,
    MAX_DRAFT_TOKENS,
    MOST_MATCH_TOKENS,
    Drafter,
)
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.retrieval.ngrams import NgramIndex
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

TINY = models.load("tiny")
KNOWN = "def moor(vessel, berth):\n    berth.hold(vessel)\n    return vessel.name\n\n"
REQUEST = CompletionRequest("b.py", "x = 1\n\ndef moor(ves", "", 40, multiline=False)


class Script:
    """Guesses what it is told to."""

    def __init__(self, *guesses: list[int]) -> None:
        self._guesses: Iterator[list[int]] = iter(guesses)
        self.learned: list[tuple[int, int]] = []

    def guess(self) -> list[int]:
        return next(self._guesses, [])

    def learn(self, n_guessed: int, n_right: int) -> None:
        self.learned.append((n_guessed, n_right))


def greedy(n: int, drafter: object = None, last_id: int = 99) -> tuple[list[int], Decoder]:
    decoder = Decoder(TINY.model)
    steps = decoder.steps([last_id], None, lambda logits: int(logits.argmax()), drafter)
    return [next(steps) for _ in range(n)], decoder


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.booleans(), st.lists(st.integers(0, 255), max_size=3)),
        max_size=8,
    )
)
def test_whatever_is_guessed_the_tokens_are_the_same(plan):
    """Guesses that are right for a while, right to their end, or wrong at once."""
    wanted, _ = greedy(30)
    n_passes, at, guesses = 0, 0, []
    for n_right, _, wrong in plan:
        guess = wanted[at : at + n_right] + [token for token in wrong]
        guesses.append(guess)
        matching = next((n for n, token in enumerate(guess) if token != wanted[at + n]), len(guess))
        at += matching + 1
        n_passes += 1
        if at >= 18:
            break
    found, decoder = greedy(at, Script(*guesses)) if at else ([], None)
    assert found == wanted[:at]
    if decoder is not None:
        assert decoder.n_passes == n_passes


def test_a_guess_that_was_wrong_leaves_nothing_behind():
    wanted, plain = greedy(6)
    found, decoder = greedy(6, Script([wanted[0], 7, 7, 7], [8, 8], wanted[3:5]))
    assert found == wanted
    with torch.inference_mode():
        again = [one.prefill([99, *wanted], None, lambda: False) for one in (plain, decoder)]
    assert again == [6, 6]


def test_a_guess_stays_within_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TINY.model.config, "max_position_embeddings", 8)
    decoder = Decoder(TINY.model)
    decoder.prefill([1, 2, 3, 4, 5], None, lambda: False)
    script = Script([1] * 20)
    next(decoder.steps([1, 2, 3, 4, 5], None, lambda logits: 1, script))
    assert len(decoder._ids) <= 8


def complete(
    make_engine: MakeEngine,
    remember: Remember,
    loaded: LoadedModel,
    request: CompletionRequest,
) -> CompletionResult:
    engine = make_engine(loaded=loaded)
    remember(engine, "a.py", KNOWN)
    remember(engine, "c.py", KNOWN.replace("moor", "cast"))
    return engine.complete(request, lambda: False)


@pytest.mark.parametrize(
    "change",
    [{}, {"prefix": KNOWN + "y = 2\n" + KNOWN[:20]}, {"prefix": "x = "}, {"multiline": True},
     {"uses_memory": False, "prefix": KNOWN + KNOWN[:20]}, {"max_tokens": 3}],
)  # fmt: skip
def test_answers_and_sources_are_those_of_plain_decoding(
    make_engine: MakeEngine,
    remember: Remember,
    copying: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
) -> None:
    request = replace(REQUEST, **change)
    drafted = complete(make_engine, remember, copying, request)
    monkeypatch.setattr(answer_module, "Drafter", lambda view, context: None)
    plain = complete(make_engine, remember, copying, request)
    assert plain.timings.passes == plain.timings.generated_tokens
    assert (drafted.text, drafted.stop_reason) == (plain.text, plain.stop_reason)
    assert drafted.timings.generated_tokens == plain.timings.generated_tokens
    assert [(s.path, s.first_line) for s in drafted.sources] == [
        (s.path, s.first_line) for s in plain.sources
    ]
    for one, other in zip(drafted.sources, plain.sources, strict=True):
        assert one.mass == pytest.approx(other.mass, abs=1e-4)


def test_nothing_is_drafted_where_it_does_not_pay(
    make_engine: MakeEngine,
    remember: Remember,
    copying: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Decoder, "drafts_pay", False)
    result = complete(make_engine, remember, copying, REQUEST)
    assert result.text == "sel, berth):"
    assert result.timings.passes == result.timings.generated_tokens


def test_what_memory_repeats_takes_few_passes(
    make_engine: MakeEngine, remember: Remember, copying: LoadedModel
) -> None:
    result = complete(make_engine, remember, copying, REQUEST)
    assert result.text == "sel, berth):"
    assert result.timings.passes <= result.timings.generated_tokens / 2


def test_the_prompt_is_drafted_from_without_memory():
    context = [*b"berth.hold(vessel)\nberth.hold"]
    drafter = Drafter(None, context)
    assert bytes(drafter.guess()) == b"(v"
    context += [*b"(v"]
    assert bytes(drafter.guess()) == b"es"
    context += [*b"zz"]
    assert drafter.guess() == []


def test_it_guesses_further_as_it_is_right_and_shorter_as_it_is_wrong():
    drafter = Drafter(None, [*b"0123456789abcdefghijklmnopqrstuvwxyz 0123"])
    sizes = [len(drafter.guess())]
    for _ in range(3):
        drafter.learn(sizes[-1], sizes[-1])
        sizes.append(len(drafter.guess()))
    assert sizes == [2, 4, 8, MAX_DRAFT_TOKENS]
    drafter.learn(12, 5)
    assert len(drafter.guess()) == MAX_DRAFT_TOKENS
    drafter.learn(12, 0)
    assert len(drafter.guess()) == 6
    for _ in range(3):
        drafter.learn(3, 0)
    assert drafter.guess() == []  # a match of four is no longer long enough
    for _ in range(MOST_MATCH_TOKENS):
        drafter.learn(2, 0)
    assert drafter._n_tokens == LEAST_DRAFT_TOKENS


def test_a_draft_ends_with_its_segment():
    index = NgramIndex()
    for segment in ([1, 2, 3, 4], [5, 6]):
        index.add(torch.tensor(segment))
    assert index.following(1, 9) == [2, 3, 4]
    assert index.following(0, 2) == [1, 2]
    assert index.following(4, 9) == [5, 6]
