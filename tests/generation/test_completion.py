"""Completion on the tiny model: what is reused, what stops it, and what a failure leaves behind."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from longllama_code.errors import Cancelled
from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

PREFIX = "def function(x):\n    return x\n\n\n" * 15 + "def other(y):\n    value = y"
REQUEST = CompletionRequest("cursor.py", PREFIX, "\n", max_tokens=12)
N_PREFILL_STEPS = -(-len(PREFIX) // PREFILL_STEP_TOKENS)


def complete(engine: Engine, **changes: Any) -> CompletionResult:
    return engine.complete(replace(REQUEST, **changes), lambda: False)


class StopAt:
    """Says that a request is no longer wanted the n-th time that it is asked."""

    def __init__(self, n: int) -> None:
        self.n, self.asked = n, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked >= self.n


@pytest.mark.parametrize(
    ("prefix", "least_reused"),
    [
        (PREFIX, len(PREFIX)),
        (PREFIX + "z", len(PREFIX)),
        (PREFIX + " + 1\n    return ", len(PREFIX)),
        (PREFIX[:-20], len(PREFIX) - 25),
        (PREFIX.replace("value", "number"), len(PREFIX) - 25),
        ("x = ", 5),
    ],
)
def test_the_cache_of_the_last_request(
    make_engine: MakeEngine, prefix: str, least_reused: int
) -> None:
    engine, fresh = make_engine(), make_engine()
    complete(engine)
    again, first = complete(engine, prefix=prefix), complete(fresh, prefix=prefix)
    assert (again.text, again.stop_reason) == (first.text, first.stop_reason)
    assert again.timings.reused_tokens >= least_reused
    assert first.timings.reused_tokens == 0
    assert again.timings.prompt_tokens == first.timings.prompt_tokens


def test_nothing_is_reused_after_memory_changed(
    make_engine: MakeEngine, remember: Remember
) -> None:
    engine, fresh = make_engine(), make_engine()
    complete(engine)
    for one in (engine, fresh):
        remember(one, "a.py", PREFIX)
    again = complete(engine)
    assert again.timings.reused_tokens == 0
    assert again.text == complete(fresh).text
    assert complete(engine).timings.reused_tokens > 0
    assert complete(engine, uses_memory=False).timings.reused_tokens == 0


@pytest.mark.parametrize("n", [1, 3, N_PREFILL_STEPS, N_PREFILL_STEPS + 1, N_PREFILL_STEPS + 4])
def test_cancellation(make_engine: MakeEngine, n: int) -> None:
    """At once, in the prefill and in decoding; what was computed serves the next request."""
    engine, fresh = make_engine(), make_engine()
    stop = StopAt(n)
    with pytest.raises(Cancelled, match="cancelled"):
        engine.complete(REQUEST, stop)
    assert stop.asked == n
    after = complete(engine)
    assert after.text == complete(fresh).text
    n_read = min(n - 1, N_PREFILL_STEPS) * PREFILL_STEP_TOKENS
    assert min(n_read, len(PREFIX)) <= after.timings.reused_tokens


def test_the_text_is_told_as_it_grows(make_engine: MakeEngine) -> None:
    told: list[str] = []
    result = make_engine().complete(REQUEST, lambda: False, told.append)
    assert len(told) == result.timings.generated_tokens - 1
    assert all(result.text.startswith(text.rstrip()) for text in told)
    assert told == sorted(told, key=len)


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("n_passes", [0, 2, N_PREFILL_STEPS + 2])
def test_a_failure_in_a_layer_leaves_the_cache_whole(
    make_engine: MakeEngine, tiny: LoadedModel, layer: int, n_passes: int
) -> None:
    """Some layers have taken the tokens in by then, others have not."""
    engine, fresh = make_engine(), make_engine()
    passes = iter(range(n_passes))

    def run_out_of_memory(*_: object) -> None:
        if next(passes, None) is None:
            raise MemoryError

    hook = tiny.model.model.layers[layer].mlp.register_forward_hook(run_out_of_memory)
    with pytest.raises(MemoryError):
        complete(engine)
    hook.remove()
    assert complete(engine).text == complete(fresh).text
    assert complete(engine, prefix=PREFIX + "z").text == complete(fresh, prefix=PREFIX + "z").text


def test_the_most_tokens(make_engine: MakeEngine) -> None:
    engine = make_engine()
    limits = (1, 5, 12)
    results = [complete(engine, prefix="class A:\n", max_tokens=n, suffix="") for n in limits]
    assert [result.timings.generated_tokens for result in results] == [1, 5, 12]
    assert {result.stop_reason for result in results} == {"max_tokens"}
    assert results[2].text.startswith(results[1].text.rstrip("\ufffd"))


def test_more_tokens_than_the_window(make_engine: MakeEngine, tiny: LoadedModel) -> None:
    """A limit without sense takes half of the window; the other half is the prompt's."""
    result = complete(make_engine(), prefix="y" * 2047, max_tokens=10**6)
    assert result.timings.prompt_tokens == tiny.model.config.window // 2 - 1
    assert result.timings.generated_tokens <= tiny.model.config.window // 2


def test_what_was_read_until_the_deadline_is_not_read_again(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine comes through in the end, and says how far it was."""
    now = itertools.count(step=0.4)  # seconds: each look at the clock is so much later
    monkeypatch.setattr("longllama_code.generation.completer.time.perf_counter", lambda: next(now))
    engine, reused = make_engine(), list[int]()
    for _ in range(20):
        result = complete(engine, prefix="y" * 1000, timeout_ms=1000)
        reused.append(result.timings.reused_tokens)
        if reused[-1] >= result.timings.prompt_tokens - PREFILL_STEP_TOKENS:
            break
    assert 4 < len(reused) < 20
    assert reused == sorted(set(reused))


def test_the_deadline(make_engine: MakeEngine) -> None:
    engine = make_engine()
    unread = complete(engine, timeout_ms=0)
    assert (unread.text, unread.stop_reason, unread.empty_reason) == ("", "deadline", "deadline")
    complete(engine)
    read = complete(engine, timeout_ms=0)
    assert read.stop_reason == "deadline"
    assert read.timings.generated_tokens == 1
    assert len(complete(engine).text) > len(read.text)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        " ",
        "    ",
        "\n",
        "\t\t",
        "\r\n",
        "x = '😀",
        "x = '😀'",
        "é",
        "\ud83d",
        "x\x00",
        "\u2028",
    ],
)
def test_any_text_at_the_cursor(make_engine: MakeEngine, prefix: str) -> None:
    engine = make_engine()
    for suffix in ("", prefix, "\r\n", "\n" + prefix):
        result = complete(engine, prefix=prefix, suffix=suffix)
        assert result.text == result.text.rstrip()
        assert (result.empty_reason is None) == bool(result.text)
        assert result.timings.generated_tokens >= 1


def test_a_lone_surrogate_is_read_as_a_replacement_character(make_engine: MakeEngine) -> None:
    engine = make_engine()
    lone, replaced = (complete(engine, prefix=f"x = {char}") for char in "\ud83d\ufffd")
    assert lone.text == replaced.text


@torch.no_grad()
def test_the_suggestion_is_what_greedy_decoding_gives(
    make_engine: MakeEngine, tiny: LoadedModel
) -> None:
    """Against one uncached forward a token, of a prompt put together by hand."""
    prefix = "def f(x):\n    return (x)\n"  # nothing to heal at a line's start
    text = complete(
        make_engine(), prefix=prefix, suffix="", uses_memory=False, multiline=False
    ).text
    ids = [256, *f"# cursor.py\n{prefix}".encode()]
    for _ in range(12):
        ids.append(int(tiny.model(torch.tensor([ids])).logits[0, -1].argmax()))
    said = bytes(token for token in ids[-12:] if token < 256).decode("utf-8", "ignore")
    assert text.replace("\ufffd", "") == said.partition("\n")[0].rstrip().replace("\ufffd", "")
    assert text


def test_sources_come_from_what_is_remembered(make_engine: MakeEngine, remember: Remember) -> None:
    engine = make_engine()
    alone = complete(engine)
    assert (alone.sources, alone.memory_share) == ([], 0.0)
    assert complete(engine, uses_memory=False).memory_share is None
    remember(engine, "a.py", PREFIX)
    remember(engine, "b.py", "y = 1\n" * 50)
    result = complete(engine)
    assert 0 < result.memory_share <= 1
    sources = result.sources
    assert 0 < len(sources) <= 8
    assert {source.path for source in sources} <= {"a.py", "b.py"}
    assert 0 < sum(source.mass for source in sources) <= 1.0001
    for source in sources:
        n_lines = {"a.py": PREFIX.count("\n") + 1, "b.py": 50}[source.path]
        assert 1 <= source.first_line <= source.last_line <= n_lines
