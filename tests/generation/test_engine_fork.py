"""Engines beside one another: one model, one store, a repository for each."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.storage.record_file import RecordFile
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

BLOCKS = [f"def function_{n}(x):\n" + f"    x += {n}{n}\n" * 16 + "\n\n" for n in range(5)]
TEXT, OTHER = "".join(BLOCKS[:3]), "".join(BLOCKS[2:])


def complete(engine: Engine, end: str = "    x") -> CompletionResult:
    request = CompletionRequest("cursor.py", f"def f(x):\n{end}", "", max_tokens=24)
    return engine.complete(request, lambda: False)


def test_each_completes_as_if_it_were_alone(make_engine: MakeEngine, remember: Remember) -> None:
    alone = make_engine()
    remember(alone, "a.py", TEXT)
    expected = complete(alone)
    host = make_engine()
    one, other = host.fork(), host.fork()
    remember(one, "a.py", TEXT)
    remember(other, "b.py", OTHER)
    foreign = complete(other)
    found = complete(one)
    assert (found.text, found.sources) == (expected.text, expected.sources)
    assert {source.path for source in foreign.sources} == {"b.py"}
    assert (one.status().n_files, other.status().n_files, host.status().n_files) == (1, 1, 0)
    assert one.status().n_tokens == len(TEXT)


def test_what_one_encoded_the_other_loads(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path
) -> None:
    host = make_engine(tmp_path)
    one, other = host.fork(), host.fork()
    assert remember(one, "a.py", TEXT).n_encoded == 3
    assert remember(other, "a.py", TEXT).n_loaded == 3
    assert (one.status().encoded_segments, other.status().encoded_segments) == (3, 0)


def test_typing_in_one_keeps_what_the_other_read(
    make_engine: MakeEngine, remember: Remember
) -> None:
    host = make_engine()
    one, other = host.fork(), host.fork()
    for engine in (one, other):
        assert complete(engine).timings.reused_tokens == 0
    for engine in (one, other):
        assert complete(engine).timings.reused_tokens > 0
    one.release()
    assert complete(other).timings.reused_tokens > 0


def test_a_collection_leaves_what_any_of_them_holds(
    tiny: LoadedModel, remember: Remember, tmp_path: Path
) -> None:
    limit = 4 * len(BLOCKS[0]) * tiny.record_format.n_bytes
    host = Engine.create(tiny, SegmentStore(tmp_path, tiny.record_format.n_bytes, limit))
    one, other = host.fork(), host.fork()
    remember(one, "a.py", TEXT)
    expected = complete(one).text
    remember(other, "b.py", OTHER)  # the store is full now
    assert other.status().stored_segments == 6
    assert remember(one, "a.py", TEXT).n_kept == 3
    assert complete(one).text == expected
    one.release()
    cleared = other.clear_store()
    assert (cleared.n_segments, cleared.n_bytes) == (3, cleared.kept_bytes)
    assert other.status().stored_segments == 3
    assert complete(other).sources
    host.close()


@pytest.mark.parametrize("persists", [True, False])
def test_who_leaves_takes_its_repository_out(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path, persists: bool
) -> None:
    host = make_engine(tmp_path if persists else None)
    one, other = host.fork(), host.fork()
    remember(one, "a.py", TEXT)
    remember(other, "b.py", OTHER)
    expected = complete(other)
    one.release()
    assert complete(other).text == expected.text
    # In RAM nothing is left of it; on disk its segments wait for it.
    again = remember(host.fork(), "a.py", TEXT)
    assert (again.n_loaded, again.n_encoded) == ((3, 0) if persists else (0, 3))


def test_one_that_leaves_while_another_remembers(make_engine: MakeEngine) -> None:
    host = make_engine()
    one, other = host.fork(), host.fork()
    work = one.remember("a.py", TEXT)
    next(work)
    other.release()  # what is in RAM and in no memory goes, this one's first segment too
    result = None
    while result is None:
        try:
            next(work)
        except StopIteration as end:
            result = end.value
    assert result.n_tokens == len(TEXT)
    assert one.status().n_tokens == len(TEXT)


def test_a_full_disk_is_full_for_all(
    make_engine: MakeEngine,
    remember: Remember,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = make_engine(tmp_path)
    one, other = host.fork(), host.fork()
    remember(one, "a.py", TEXT)
    expected = complete(one).text

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(RecordFile, "write", full)
    assert remember(other, "b.py", OTHER).n_encoded == 3
    assert complete(one).text == expected
    for engine in (one, other, host.fork()):
        assert "no space left" in str(engine.status().store_problem)
