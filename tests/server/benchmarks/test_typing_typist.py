"""Typing: laws of typing one session into any system."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.systems.system import SystemGoneError
from lsp_server.benchmarks.typing.person import POLICIES, Person
from lsp_server.benchmarks.typing.rhythm import Rhythm, count_keys
from lsp_server.benchmarks.typing.session import Session
from lsp_server.benchmarks.typing.typist import Typist
from tests.server.benchmarks.written_system import FAST, WrittenSystem, perfect

VERY_FAST = Rhythm(slowdown=1e-6)
TYPED = "first = square.area()\n    return first, first"
CODE = st.text("ab_( )\n\t", min_size=1, max_size=24)


def session_of(typed, before="def f(square):\n    ", after="\n", **fields):
    return Session("r", "a.py", before, typed, after, "c" * 40, date(2024, 1, 1), **fields)


def type_into(answer, session, person):
    """Type a session into a system, and return both."""

    async def run():
        system = WrittenSystem(answer)
        await system.open(session.file, session.opened)
        typist = Typist(system, session, person)
        await typist.type()
        return system, typist

    return asyncio.run(run())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_perfect_system_saves_all_keys_but_two(policy):
    session = session_of(TYPED)
    system, typist = type_into(perfect(session), session, Person(policy, FAST))
    assert typist.n_pressed == 2
    assert system.text == typist.text == session.target
    (key,) = typist.keys
    assert (key.accepted, key.saved) == (len(TYPED) - 1, count_keys(TYPED) - 2)
    assert key.right_to_end
    assert not key.is_interruption


@pytest.mark.parametrize("answer", ["", "  \n", None, RuntimeError("the model did not answer")])
def test_a_system_without_suggestions_saves_nothing(answer):
    session = session_of(TYPED)
    system, typist = type_into(lambda *_: answer, session, Person("word", FAST))
    assert typist.n_pressed == count_keys(TYPED)
    assert system.text == session.target
    assert [key.shown for key in typist.keys] == [""] * (typist.n_pressed - 1)
    assert all(key.overtaken == (answer is None) for key in typist.keys)
    assert all(key.failed == isinstance(answer, RuntimeError) for key in typist.keys)
    assert system.n_cancelled == (typist.n_pressed - 1 if answer is None else 0)


def test_wrong_suggestions_interrupt_and_save_nothing():
    session = session_of(TYPED)
    _, typist = type_into(lambda *_: "Zwrong", session, Person("word", FAST))
    assert typist.n_pressed == count_keys(TYPED)
    assert all(key.is_interruption for key in typist.keys)


def test_a_right_first_word_is_accepted_by_who_accepts_words():
    session = session_of("measure_it(square)")

    def answer(_text, offset):
        return "easure_it(circle)" if offset == len(session.before) + 1 else ""

    _, whole = type_into(answer, session, Person("whole", FAST))
    system, word = type_into(answer, session, Person("word", FAST))
    assert (whole.n_pressed, word.n_pressed) == (18, 10)
    assert word.keys[0] == replace(word.keys[0], accepted=9, saved=8, right_for_a_word=True)
    assert not word.keys[0].is_interruption
    assert system.text == session.target


def test_what_is_cut_off_is_right_and_the_session_ends_there():
    session = session_of("return x", rest=" + y")
    system, typist = type_into(lambda *_: "eturn x + y", session, Person("whole", FAST))
    assert (typist.n_pressed, system.text) == (2, session.target)


def test_a_system_that_is_gone_is_no_missing_suggestion():
    session = session_of(TYPED)
    with pytest.raises(SystemGoneError):
        type_into(lambda *_: SystemGoneError("ended"), session, Person("whole", FAST))


@given(
    CODE,
    st.lists(st.tuples(st.integers(0, 30), CODE | st.just("")), max_size=30),
    st.lists(st.sampled_from(["answer", "late", "fail"]), min_size=1, max_size=5),
    st.sampled_from(POLICIES),
    CODE,
)
def test_the_document_ends_as_the_target_whatever_is_suggested(typed, answers, ways, policy, rest):
    session = session_of(typed, rest=rest)
    number = iter(range(10_000))

    def answer(_text, offset):
        n = next(number)
        way = ways[n % len(ways)]
        if way == "late":
            return None
        if way == "fail":
            return RuntimeError("the model did not answer")
        length, noise = answers[n % len(answers)] if answers else (0, "")
        at = offset - len(session.before)
        return (typed + rest)[at : at + length] + noise

    system, typist = type_into(answer, session, Person(policy, VERY_FAST))
    assert system.text == typist.text == session.target
    assert len(typist.keys) == typist.n_pressed - 1
    saved = sum(key.saved for key in typist.keys)
    assert typist.n_pressed + saved == count_keys(typed)
    assert all(key.accepted == 0 or key.right_for_a_word for key in typist.keys)
