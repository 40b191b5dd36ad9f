"""Local contexts of several files, kept within bytes."""

from dataclasses import replace

import pytest

from longllama_code.generation.warm_decoders import WarmDecoders
from longllama_code.protocol import CompletionRequest

OWNER = object()
REQUEST = CompletionRequest("a.py", "def f(x):\n    return x * 12345\n" * 8, "", max_tokens=4)


class FakeDecoder:
    """Knows its size alone."""

    def __init__(self):
        self.nbytes = 100


def test_going_back_to_a_file_reads_nothing_again(make_engine):
    engine = make_engine()
    first = engine.complete(REQUEST, lambda: False)
    other = replace(REQUEST, path="b.py", prefix="class Other:\n    pass\n")
    engine.complete(other, lambda: False)
    again = engine.complete(REQUEST, lambda: False)
    assert first.timings.reused_tokens == 0
    assert again.timings.reused_tokens == again.timings.prompt_tokens - 1
    assert again.text == first.text


def test_an_engine_keeps_what_it_is_given_room_for(make_engine):
    engine = make_engine(context_bytes=1)
    for path, reused in (("a.py", False), ("a.py", True), ("b.py", False), ("a.py", False)):
        timings = engine.complete(replace(REQUEST, path=path), lambda: False).timings
        assert (timings.reused_tokens > 0) == reused


def test_the_files_used_longest_ago_go():
    decoders = WarmDecoders(FakeDecoder, max_bytes=250)
    a, b = decoders.of(OWNER, "a"), decoders.of(OWNER, "b")
    assert decoders.of(OWNER, "a") is a
    decoders.of(OWNER, "c")
    assert decoders.nbytes == 200
    assert decoders.of(OWNER, "a") is a
    assert decoders.of(OWNER, "b") is not b


def test_one_file_stays_however_large():
    decoders = WarmDecoders(FakeDecoder, max_bytes=1)
    first = decoders.of(OWNER, "a")
    assert decoders.of(OWNER, "a") is first


def test_owners_have_decoders_of_their_own_within_the_same_bytes():
    decoders, other = WarmDecoders(FakeDecoder, max_bytes=250), object()
    mine, theirs = decoders.of(OWNER, "a"), decoders.of(other, "a")
    assert mine is not theirs
    decoders.drop(OWNER)
    assert decoders.of(other, "a") is theirs
    assert decoders.of(OWNER, "a") is not mine
    decoders.of(other, "b")
    assert decoders.nbytes == 200


def test_typing_on_in_a_file_that_is_encoded_meanwhile_reads_nothing_again(make_engine, remember):
    engine, fresh = make_engine(), make_engine()
    text = REQUEST.prefix
    typed = replace(REQUEST, prefix=text + "y = 1")
    for each in (engine, fresh):
        remember(each, "b.py", "class Other:\n    size = 12\n" * 9)
    remember(engine, "a.py", text)
    engine.complete(REQUEST, lambda: False)
    for each in (engine, fresh):
        remember(each, "a.py", typed.prefix)
    found, expected = (each.complete(typed, lambda: False) for each in (engine, fresh))
    assert found.timings.reused_tokens > len(text) // 2
    assert expected.timings.reused_tokens == 0
    assert found.text == expected.text
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-5)
    remember(engine, "b.py", "class Another:\n    size = 13\n" * 9)  # that is seen
    assert engine.complete(typed, lambda: False).timings.reused_tokens == 0
