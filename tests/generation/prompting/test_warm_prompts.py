"""Local contexts of several files, kept within bytes."""

from dataclasses import replace

import pytest

from longllama_code.generation.prompting.warm_prompts import (
    MAX_BYTES,
    MOST_BYTES,
    WarmReadings,
    bytes_for,
)
from longllama_code.protocol import CompletionRequest

OWNER = object()
REQUEST = CompletionRequest("a.py", "def f(x):\n    return x * 12345\n" * 8, "", max_tokens=4)


class FakeReading:
    """Knows the size and the times of its places alone."""

    def __init__(self):
        self.nbytes = 100
        self.used = 0
        self.left = []

    def leave_place(self):
        self.left.append(self.used)
        self.nbytes += 100

    @property
    def left_first(self):
        return min(self.left, default=None)

    def forget_place(self):
        self.left.remove(self.left_first)
        self.nbytes -= 100


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
    readings = WarmReadings(FakeReading, max_bytes=250)
    a, b = readings.of(OWNER, "a"), readings.of(OWNER, "b")
    assert readings.of(OWNER, "a") is a
    readings.of(OWNER, "c")
    assert readings.nbytes == 200
    assert readings.of(OWNER, "a") is a
    assert readings.of(OWNER, "b") is not b


def test_the_places_left_longest_ago_go_whatever_their_file():
    readings = WarmReadings(FakeReading, max_bytes=400)
    a = readings.of(OWNER, "a")
    a.leave_place()
    b = readings.of(OWNER, "b")
    b.leave_place()
    readings.of(OWNER, "c")  # a's place was left first
    assert (a.left, len(b.left), readings.nbytes) == ([], 1, 400)
    readings.of(OWNER, "c").leave_place()
    readings.of(OWNER, "c")  # then a itself was used before b's place was left
    assert (len(b.left), readings.nbytes) == (1, 400)
    assert readings.of(OWNER, "a") is not a
    assert readings.of(OWNER, "b") is b


def test_a_machine_with_much_free_memory_keeps_more():
    assert bytes_for(None) == bytes_for(1 << 30) == MAX_BYTES
    assert bytes_for(8 << 30) == 512 << 20
    assert bytes_for(256 << 30) == MOST_BYTES


def test_one_file_stays_however_large():
    readings = WarmReadings(FakeReading, max_bytes=1)
    first = readings.of(OWNER, "a")
    assert readings.of(OWNER, "a") is first


def test_owners_have_readings_of_their_own_within_the_same_bytes():
    readings, other = WarmReadings(FakeReading, max_bytes=250), object()
    mine, theirs = readings.of(OWNER, "a"), readings.of(other, "a")
    assert mine is not theirs
    readings.drop(OWNER)
    assert readings.of(other, "a") is theirs
    assert readings.of(OWNER, "a") is not mine
    readings.of(other, "b")
    assert readings.nbytes == 200


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
