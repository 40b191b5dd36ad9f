"""Facts that are kept on disk: the same as fresh ones, whatever happened to the file."""

import multiprocessing
import sqlite3
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from longllama_code.definitions.fact_cache import (
    FILE,
    FactCache,
    cached_facts,
    from_json,
    to_json,
)
from longllama_code.definitions.files import FreshFacts
from longllama_code.definitions.languages.facts import FileFacts
from longllama_code.definitions.languages.python.reader import PYTHON
from tests.paths import ROOT

SOURCE = ROOT / "longllama_code" / "definitions" / "index.py"
TEXT = SOURCE.read_text("utf-8")
FRESH = FreshFacts().read("index.py", TEXT)


@pytest.fixture
def n_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that the reader was given since."""
    texts = list[str]()

    def counted(text: str) -> FileFacts:
        texts.append(text)
        return PYTHON.read(text)

    language = replace(PYTHON, read=counted)
    monkeypatch.setattr("longllama_code.definitions.fact_cache.language_of", lambda _: language)
    return texts


def kept(folder: Path, path: str = "index.py", text: str = TEXT) -> FileFacts:
    facts = FactCache(folder)
    found = facts.read(path, text)
    facts.close()
    return found


def test_what_was_read_once_is_not_read_again(tmp_path: Path, n_reads: list[str]) -> None:
    assert kept(tmp_path) == FRESH
    assert kept(tmp_path) == FRESH
    assert n_reads == [TEXT]


def test_another_text_is_read(tmp_path: Path, n_reads: list[str]) -> None:
    kept(tmp_path)
    assert kept(tmp_path, text="def other(): ...") != FRESH
    assert len(n_reads) == 2


def test_other_readers_read_anew(
    tmp_path: Path, n_reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path)
    readers = "longllama_code.definitions.fact_cache._readers"
    monkeypatch.setattr(readers, lambda: b"of another version")
    assert kept(tmp_path) == FRESH
    assert len(n_reads) == 2


@pytest.mark.parametrize(
    "content", [b"", b"no database " * 400, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_damaged_file_is_built_again(tmp_path: Path, content: bytes, n_reads: list[str]) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert kept(tmp_path) == FRESH
    assert kept(tmp_path) == FRESH
    assert len(n_reads) == 1


def test_a_file_that_is_cut_is_built_again(tmp_path: Path) -> None:
    facts = FactCache(tmp_path)
    for number in range(200):
        facts.read("index.py", TEXT + f"\nx{number} = {number}\n")
    facts.close()
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for _ in range(2):
        assert kept(tmp_path) == FRESH


def test_a_schema_that_is_no_utf8_is_built_again(tmp_path: Path) -> None:
    kept(tmp_path)
    file = tmp_path / FILE
    damaged = file.read_bytes().replace(b"CREATE TABLE", b"CREATE T\x80BLE")  # SQLite quotes it
    assert damaged != file.read_bytes()
    file.write_bytes(damaged)
    for _ in range(2):
        assert kept(tmp_path) == FRESH
    assert b"T\x80BLE" not in file.read_bytes()


def test_the_file_of_another_program_is_built_again(tmp_path: Path, n_reads: list[str]) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE facts (key TEXT, said TEXT)")
    connection.close()
    assert kept(tmp_path) == FRESH
    assert kept(tmp_path) == FRESH
    assert len(n_reads) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        zlib.compress(b"[]"),
        zlib.compress(b"[[[1]],[],[],1]"),
        zlib.compress(b'[[],[["a","b","c","1",true]],[],""]'),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b" " * (64 << 20)),
    ],
)
def test_a_row_that_cannot_be_understood_is_read_anew(tmp_path: Path, said: bytes) -> None:
    kept(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE facts SET said = ?", (said,))
    connection.close()
    assert from_json(said) is None
    assert kept(tmp_path) == FRESH


def test_where_nothing_can_be_kept_texts_are_read(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    assert kept(tmp_path / "folder") == FRESH


def test_json_says_what_the_facts_say() -> None:
    assert from_json(zlib.compress(to_json(FRESH))) == FRESH


def test_several_processes_keep_what_they_read_in_one_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_read_many, args=(tmp_path, start)) for start in (0, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    with sqlite3.connect(tmp_path / FILE) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM facts")
    connection.close()
    assert count == 60


def _read_many(folder: Path, start: int) -> None:
    """Read forty texts, of which another process reads half as well."""
    facts = FactCache(folder)
    for number in range(start, start + 40):
        facts.read("a.py", f"x{number} = {number}\n")
        facts.flush()
    facts.close()


def test_cached_facts_are_read_without_changing_the_cache(tmp_path: Path) -> None:
    cache = FactCache(tmp_path)
    facts = [cache.read(f"{name}.py", f"def {name}(): ...\n") for name in "ab"]
    assert list(cached_facts(tmp_path)) == []  # not written yet
    cache.close()
    before = (tmp_path / FILE).read_bytes()
    assert list(cached_facts(tmp_path)) == facts
    assert (tmp_path / FILE).read_bytes() == before
    assert list(cached_facts(tmp_path / "absent")) == []


def test_clearing_leaves_no_fact_and_tells_how_much_smaller_the_file_is(
    tmp_path: Path, n_reads: list[str]
) -> None:
    facts = FactCache(tmp_path)
    for number in range(200):
        facts.read("index.py", f"{TEXT}\n# {number}\n")
    facts.flush()
    facts.read("index.py", TEXT)  # not written yet
    before = sum(path.stat().st_size for path in tmp_path.iterdir())
    n_bytes = facts.clear()
    left = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert n_bytes == before - left
    assert left < 64_000 < n_bytes
    assert list(cached_facts(tmp_path)) == []
    assert facts.read("index.py", TEXT) == FRESH
    assert n_reads[-2:] == [TEXT, TEXT]
    facts.close()
    assert list(cached_facts(tmp_path)) == [FRESH]


def test_what_another_process_locks_stays_and_costs_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path)
    monkeypatch.setattr("longllama_code.definitions.fact_cache.BUSY_S", 0.05)
    facts = FactCache(tmp_path)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert facts.clear() == 0
    other.execute("ROLLBACK")
    other.close()
    assert list(cached_facts(tmp_path)) == [FRESH]
    facts.close()
