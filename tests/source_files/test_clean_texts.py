"""A text without secrets is searched once, by whichever server; one with a secret each time."""

import logging
import sqlite3
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from longllama_code.source_files import clean_texts
from longllama_code.source_files.clean_texts import FILE, FOLDER, CleanTexts
from longllama_code.source_files.source_text import SourceError, refuse_secrets
from tests.source_files.planted import BY_CONTENT

CODE = "def f():\n    return 1\n"


@pytest.fixture
def searched(monkeypatch):
    """Texts that were searched."""
    texts = []

    def search(path, text):
        texts.append((path, text))
        refuse_secrets(path, text)

    monkeypatch.setattr(clean_texts, "refuse_secrets", search)
    return texts


def test_a_text_is_searched_once(tmp_path, searched):
    for number in range(3):  # each a start of its own
        clean = CleanTexts(tmp_path)
        clean.refuse_secrets(tmp_path / f"{number}.py", CODE)
        clean.refuse_secrets(tmp_path / f"{number}.py", CODE)
        clean.close()
    assert len(searched) == 1


@pytest.mark.parametrize(("name", "text"), [("a.py", CODE + "\n"), ("a.toml", CODE)])
def test_another_text_is_searched_and_the_same_by_other_rules(tmp_path, searched, name, text):
    clean = CleanTexts(tmp_path)
    clean.refuse_secrets(tmp_path / "a.py", CODE)
    clean.refuse_secrets(tmp_path / name, text)
    assert len(searched) == 2


def test_new_rules_search_again(tmp_path, searched, monkeypatch):
    for rules in ("old", "new", "new"):
        monkeypatch.setattr(clean_texts, "rules_identity", lambda rules=rules: rules)
        CleanTexts(tmp_path).refuse_secrets(tmp_path / "a.py", CODE)
    assert len(searched) == 2


def test_a_secret_is_found_each_time(tmp_path, searched):
    clean = CleanTexts(tmp_path)
    for _ in range(3):
        with pytest.raises(SourceError):
            clean.refuse_secrets(tmp_path / "a.py", CODE + next(iter(BY_CONTENT.values())))
    assert len(searched) == 3


def test_nothing_is_kept_where_nothing_may_be(tmp_path, searched):
    clean = CleanTexts(None)
    for _ in range(2):
        clean.refuse_secrets(tmp_path / "a.py", CODE)
    assert len(searched) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_costs_no_file(tmp_path, searched, caplog):
    (tmp_path / FOLDER).write_text("in the way")
    clean = CleanTexts(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            clean.refuse_secrets(tmp_path / "a.py", CODE)
    assert len(searched) == 2
    assert len(caplog.records) == 1
    assert str(tmp_path / FOLDER) in caplog.text


def test_a_damaged_file_is_begun_anew(tmp_path, searched):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / FILE).write_bytes(b"no database, " * 1000)
    for _ in range(2):
        clean = CleanTexts(tmp_path)
        clean.refuse_secrets(tmp_path / "a.py", CODE)
        clean.close()
    assert len(searched) == 1


def test_a_schema_that_is_no_utf8_is_begun_anew(tmp_path, searched):
    clean = CleanTexts(tmp_path)
    clean.refuse_secrets(tmp_path / "a.py", CODE)
    clean.close()
    file = tmp_path / FOLDER / FILE
    damaged = file.read_bytes().replace(b"CREATE TABLE", b"CREATE T\x80BLE")  # SQLite quotes it
    assert damaged != file.read_bytes()
    file.write_bytes(damaged)
    for _ in range(2):
        clean = CleanTexts(tmp_path)
        clean.refuse_secrets(tmp_path / "a.py", CODE)
        clean.close()
    assert len(searched) == 2


def test_many_are_forgotten(tmp_path, searched, monkeypatch):
    monkeypatch.setattr(clean_texts, "MAX_TEXTS", 2)
    for _ in range(2):
        clean = CleanTexts(tmp_path)
        for number in range(3):
            clean.refuse_secrets(tmp_path / "a.py", f"x = {number}\n")
        clean.close()
    assert len(searched) == 6


def test_threads_and_servers_share_the_file(tmp_path, searched):
    texts = [f"x = {number}\n" for number in range(40)]
    servers = [CleanTexts(tmp_path) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            for server in servers:
                paths = [tmp_path / "a.py"] * len(texts)
                list(pool.map(server.refuse_secrets, paths, texts))
    assert len(searched) == len(texts)
    kept = sqlite3.connect(tmp_path / FOLDER / FILE).execute("SELECT key FROM clean").fetchall()
    assert {len(key) for (key,) in kept} == {16}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_the_folder_is_the_users_own(tmp_path: Path, searched) -> None:
    CleanTexts(tmp_path).refuse_secrets(tmp_path / "a.py", CODE)
    assert stat.S_IMODE((tmp_path / FOLDER).stat().st_mode) == 0o700


def test_after_clearing_every_text_is_searched_again(tmp_path, searched):
    clean = CleanTexts(tmp_path)
    clean.clear()
    clean.refuse_secrets(tmp_path / "a.py", CODE)
    clean.clear()
    clean.refuse_secrets(tmp_path / "a.py", CODE)
    assert len(searched) == 2
    clean.close()
    CleanTexts(None).clear()  # stores nothing, and so has nothing to clear
