"""The engine on the tiny model: what is encoded once, kept, loaded, replaced and forgotten."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.memory.storage.record_file import RecordFile
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.protocol import CompletionRequest, RememberResult
from tests.conftest import finish

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

BLOCKS = [f"def function_{n}(x):\n" + f"    x += {n}{n}\n" * 16 + "\n\n" for n in range(5)]
TEXT = "".join(BLOCKS)
N = len(BLOCKS)


def complete(engine: Engine, *, uses_memory: bool = True) -> str:
    request = CompletionRequest(
        "cursor.py", "def f(x):\n    x", "", max_tokens=24, uses_memory=uses_memory
    )
    return engine.complete(request, lambda: False).text


def counts(result: RememberResult) -> tuple[int, int, int]:
    return result.n_encoded, result.n_loaded, result.n_kept


def test_remembering(make_engine: MakeEngine, remember: Remember, tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    first = remember(engine, "a.py", TEXT)
    assert (counts(first), first.n_segments, first.n_tokens) == ((N, 0, 0), N, len(TEXT))
    assert counts(remember(engine, "a.py", TEXT)) == (0, 0, N)
    assert counts(remember(engine, "b.py", TEXT)) == (N, 0, 0)  # another header
    status = engine.status()
    assert (status.n_files, status.n_segments, status.n_tokens) == (2, 2 * N, 2 * len(TEXT))
    assert (status.encoded_segments, status.stored_segments) == (2 * N, 2 * N)
    assert status.memory_bytes > 0
    assert status.store_problem is None


def test_segments_are_those_of_a_path_in_its_workspace_folder(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path
) -> None:
    remember(make_engine(tmp_path), "a.py", TEXT)
    engine = make_engine(tmp_path)
    assert counts(finish(engine.remember("one/a.py", TEXT, "one/"))) == (0, N, 0)
    assert counts(finish(engine.remember("two/a.py", TEXT, "two/"))) == (0, 0, N)
    assert counts(finish(engine.remember("two/two/a.py", TEXT, "two/"))) == (N, 0, 0)
    assert engine.forget("one/a.py")
    assert counts(finish(engine.remember("two/a.py", TEXT, "two/"))) == (0, 0, N)
    assert engine.status().n_files == 2


def test_blank_files_hold_nothing(make_engine: MakeEngine, remember: Remember) -> None:
    engine = make_engine()
    for text in ("", "\n\n  \n"):
        assert remember(engine, "a.py", text) == RememberResult("a.py", 0, 0, 0, 0, 0)
        complete(engine)
    assert engine.forget("a.py")


def test_memory_changes_what_is_suggested(make_engine: MakeEngine, remember: Remember) -> None:
    engine, other = make_engine(), make_engine()
    without = complete(engine)
    remember(engine, "a.py", TEXT)
    remember(other, "a.py", TEXT.replace("x", "other_name"))
    texts = {without, complete(engine), complete(other)}
    assert len(texts) == 3
    assert complete(engine, uses_memory=False) == without
    engine.forget("a.py")
    assert complete(engine) == without


def test_another_engine_loads(make_engine: MakeEngine, remember: Remember, tmp_path: Path) -> None:
    first, second = make_engine(tmp_path), make_engine(tmp_path)
    remember(first, "a.py", TEXT)
    assert counts(remember(second, "a.py", TEXT)) == (0, N, 0)
    assert complete(second) == complete(first) != complete(make_engine())
    assert second.status().loaded_segments == N
    assert second.status().encoded_segments == 0


@pytest.mark.parametrize("number", range(N))
def test_an_edit_encodes_what_changed(
    make_engine: MakeEngine, remember: Remember, number: int
) -> None:
    engine, fresh = make_engine(), make_engine()
    remember(engine, "a.py", TEXT)
    edited = "".join(
        [*BLOCKS[:number], BLOCKS[number].replace("x +=", "x -="), *BLOCKS[number + 1 :]]
    )
    assert counts(remember(engine, "a.py", edited)) == (1, 0, N - 1)
    remember(fresh, "a.py", edited)
    assert complete(engine) == complete(fresh)
    assert engine.status().n_tokens == len(edited)


@pytest.mark.parametrize("n_steps", [1, 3, N])
def test_a_file_given_up_leaves_the_former(
    make_engine: MakeEngine, remember: Remember, n_steps: int
) -> None:
    """While it is encoded, and after its generator is closed, nothing of it is seen."""
    engine = make_engine()
    remember(engine, "a.py", TEXT)
    before, status = complete(engine), engine.status()
    work = engine.remember("a.py", TEXT.replace("x", "other_name"))
    for _ in range(n_steps):
        next(work)
        assert complete(engine) == before
    work.close()
    assert complete(engine) == before
    assert (engine.status().n_segments, engine.status().n_tokens) == (status.n_segments, len(TEXT))
    assert counts(remember(engine, "a.py", TEXT)) == (0, 0, N)


def test_stop_and_resume(make_engine: MakeEngine, remember: Remember, tmp_path: Path) -> None:
    engine, through = make_engine(tmp_path), make_engine()
    work = engine.remember("a.py", TEXT)
    for _ in range(3):
        next(work)
    work.close()
    assert engine.status().n_files == 0
    assert counts(remember(engine, "a.py", TEXT)) == (N - 3, 3, 0)
    remember(through, "a.py", TEXT)
    assert complete(engine) == complete(through)


def test_forgotten_between_two_steps(make_engine: MakeEngine, remember: Remember) -> None:
    """Segments that were kept from the former version are encoded again."""
    engine, fresh = make_engine(), make_engine()
    remember(engine, "a.py", TEXT)
    work = engine.remember("a.py", TEXT + "y = 1\n" * 99)
    next(work)
    engine.forget("a.py")
    list(work)
    remember(fresh, "a.py", TEXT + "y = 1\n" * 99)
    assert complete(engine) == complete(fresh)
    assert engine.status().n_tokens == fresh.status().n_tokens


def test_two_versions_at_once(make_engine: MakeEngine, remember: Remember) -> None:
    """The one that is complete last stays, whole."""
    engine, fresh = make_engine(), make_engine()
    one, other = engine.remember("a.py", TEXT), engine.remember("a.py", TEXT + BLOCKS[0])
    for _ in range(2):
        next(one)
        next(other)
    one.close()
    list(other)
    remember(fresh, "a.py", TEXT + BLOCKS[0])
    assert complete(engine) == complete(fresh)
    assert engine.status().n_tokens == fresh.status().n_tokens == len(TEXT)


def test_a_damaged_segment_is_encoded_again(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path
) -> None:
    first, second = make_engine(tmp_path), make_engine(tmp_path)
    remember(first, "a.py", TEXT)
    with (tmp_path / "records-0.bin").open("r+b") as records:
        records.write(b"?")
    assert counts(remember(second, "a.py", TEXT)) == (1, N - 1, 0)
    assert second.status().damaged_segments == 1
    assert complete(second) == complete(first)
    assert counts(remember(make_engine(tmp_path), "a.py", TEXT)) == (0, N, 0)


def no_space_left(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_store_that_fails_costs_no_suggestion(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, through = make_engine(tmp_path), make_engine()
    work = engine.remember("a.py", TEXT)
    next(work)
    monkeypatch.setattr(RecordFile, "write", no_space_left)
    list(work)
    remember(through, "a.py", TEXT)
    assert complete(engine) == complete(through)
    assert "No space left on device" in str(engine.status().store_problem)
    assert engine.status().stored_segments == 0


def test_a_manifest_that_fails_costs_no_status(make_engine: MakeEngine, tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    engine.close()
    assert "closed database" in str(engine.status().store_problem)


def test_open(tmp_path: Path, remember: Remember) -> None:
    engine = Engine.open(EngineOptions("tiny", tmp_path))
    remember(engine, "a.py", TEXT)
    engine.close()
    again = Engine.open(EngineOptions("tiny", tmp_path))
    assert counts(remember(again, "a.py", TEXT)) == (0, N, 0)
    again.close()


def test_open_without_a_store(tmp_path: Path, remember: Remember) -> None:
    (tmp_path / "file").write_text("")
    for cache, persist, problem in [
        (tmp_path / "file", True, "cannot hold the memory store"),
        (tmp_path, False, "persistence is off"),
    ]:
        engine = Engine.open(EngineOptions("tiny", cache, persist=persist))
        assert problem in str(engine.status().store_problem)
        assert counts(remember(engine, "a.py", TEXT)) == (N, 0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_the_store_knows_is_neither_cut_nor_encoded_again(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_engine(tmp_path)
    remember(first, "a.py", TEXT)
    monkeypatch.setattr(SegmentEncoder, "cut", None)
    monkeypatch.setattr(SegmentEncoder, "encode", None)
    again = make_engine(tmp_path)
    assert counts(remember(again, "a.py", TEXT)) == (0, N, 0)
    assert complete(again) == complete(first)


def test_another_engine_collects(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path
) -> None:
    """What this one has in memory goes on, and is put back where the other removed it."""
    engine, other, fresh = make_engine(tmp_path), make_engine(tmp_path), make_engine()
    for one in (engine, fresh):
        remember(one, "a.py", TEXT)
    remember(other, "b.py", TEXT)
    other.clear_store()
    assert complete(engine) == complete(fresh)
    for one in (engine, fresh):
        assert counts(remember(one, "c.py", BLOCKS[0])) == (1, 0, 0)
    assert complete(engine) == complete(fresh)
    assert engine.status().n_tokens == fresh.status().n_tokens
    assert counts(remember(make_engine(tmp_path), "a.py", TEXT)) == (0, N, 0)


def test_a_full_store_keeps_what_is_in_memory(
    tiny: LoadedModel, make_engine: MakeEngine, remember: Remember, tmp_path: Path
) -> None:
    limit = 3 * len(TEXT) * tiny.record_format.n_bytes
    engine, fresh = (
        Engine.create(tiny, SegmentStore(tmp_path, tiny.record_format.n_bytes, limit)),
        make_engine(),
    )
    for number in range(6):
        remember(engine, "a.py", TEXT.replace("function", f"function{number}"))
    remember(engine, "b.py", TEXT)
    remember(fresh, "b.py", TEXT)
    remember(fresh, "a.py", TEXT.replace("function", "function5"))
    assert 2 * N <= engine.status().stored_segments < 5 * N
    assert engine.status().n_tokens == fresh.status().n_tokens
    assert complete(engine) == complete(fresh)
    engine.close()


def test_a_store_that_fails_later_costs_nothing_that_was_remembered(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, through = make_engine(tmp_path), make_engine()
    for one in (engine, through):
        remember(one, "a.py", TEXT)
    monkeypatch.setattr(RecordFile, "write", no_space_left)
    for one in (engine, through):
        assert counts(remember(one, "b.py", BLOCKS[1])) == (1, 0, 0)
    (tmp_path / "records-0.bin").unlink()
    assert complete(engine) == complete(through)
    assert engine.forget("a.py")
    assert through.forget("a.py")
    assert complete(engine) == complete(through)
