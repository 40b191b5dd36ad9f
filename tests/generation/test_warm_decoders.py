"""Local contexts of several files, kept within bytes."""

from dataclasses import replace

from longllama_code.generation.warm_decoders import WarmDecoders
from longllama_code.protocol import CompletionRequest

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


def test_the_files_used_longest_ago_go():
    decoders = WarmDecoders(FakeDecoder, max_bytes=250)
    a, b = decoders.of("a"), decoders.of("b")
    assert decoders.of("a") is a
    decoders.of("c")
    assert decoders.nbytes == 200
    assert decoders.of("a") is a
    assert decoders.of("b") is not b


def test_one_file_stays_however_large():
    decoders = WarmDecoders(FakeDecoder, max_bytes=1)
    first = decoders.of("a")
    assert decoders.of("a") is first
