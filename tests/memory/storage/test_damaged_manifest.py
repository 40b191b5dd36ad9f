"""A damaged manifest is set aside, and the store begins anew on disk."""

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from longllama_code.memory.storage.manifest import DAMAGED_FILE, FILE, MIGRATIONS
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.sqlite_damage import MAX_VERSION
from lsp_server.status.diagnosis import check_cache
from tests.damaged_sqlite import executed, garbage, overwritten

RECORD_BYTES = 64


def filled(folder, n_segments=200):
    store = SegmentStore(folder, RECORD_BYTES)
    for number in range(n_segments):
        store.put(f"{number:064}", torch.full((2, RECORD_BYTES), number % 256).byte(), [0, 5])
    store.close()


def without_a_table(path):
    executed(path, "DROP TABLE records")


def without_rows(path):
    executed(path, "DELETE FROM records")


@pytest.mark.parametrize("damage", [garbage, without_a_table, without_rows, overwritten])
def test_it_is_set_aside_and_the_store_persists(tmp_path, damage):
    folder = tmp_path / "memory" / "model"
    filled(folder)
    damage(folder / FILE)
    store = SegmentStore(folder, RECORD_BYTES)
    assert store.persists
    assert DAMAGED_FILE in str(store.notice)
    store.put("a" * 64, torch.ones(2, RECORD_BYTES).byte(), [0, 5])
    store.close()
    again = SegmentStore(folder, RECORD_BYTES)
    assert again.notice is None
    assert again.find("a" * 64) is not None
    again.close()
    assert (folder / DAMAGED_FILE).exists()
    found = [check for check in check_cache(tmp_path) if check.name == "store"]
    assert DAMAGED_FILE in found[0].found


def test_diagnose_names_a_manifest_that_is_damaged_now(tmp_path):
    folder = tmp_path / "memory" / "model"
    filled(folder)
    garbage(folder / FILE)
    (found,) = [check for check in check_cache(tmp_path) if check.name == "store"]
    assert "is damaged" in found.found


def test_diagnose_names_a_schema_that_is_no_utf8(tmp_path):
    folder = tmp_path / "memory" / "model"
    filled(folder)
    damaged = (folder / FILE).read_bytes().replace(b"CREATE TABLE", b"CREATE T\x80BLE")
    (folder / FILE).write_bytes(damaged)
    (found,) = [check for check in check_cache(tmp_path) if check.name == "store"]
    assert "is damaged" in found.found


def test_a_healthy_one_stays(tmp_path):
    filled(tmp_path)
    store = SegmentStore(tmp_path, RECORD_BYTES)
    assert store.notice is None
    assert store.totals()[0] == 200
    store.close()


@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=3000))
@example(3904, b"\x80")  # a schema that is not UTF-8, which SQLite's message quotes
@example(18, b"\x03")  # the format that a writer must know
@example(63, b"\x00")  # the version: before the first
@example(60, b"\x01")  # one that none will have
@example(60, b"\xff")  # below zero
@example(42, b"\0\0\0\0\0\5")  # the format of the schema
@settings(max_examples=40)
def test_any_bytes_anywhere_leave_a_store_that_persists(tmp_path_factory, start, content):
    folder = tmp_path_factory.mktemp("store")
    filled(folder, 60)
    data = bytearray((folder / FILE).read_bytes())
    start %= len(data)
    data[start : start + len(content)] = content
    version = int.from_bytes(data[60:64], "big")
    assume(not len(MIGRATIONS) < version <= MAX_VERSION)  # a newer version's, which is refused
    (folder / FILE).write_bytes(data)
    store = SegmentStore(folder, RECORD_BYTES)
    store.put("a" * 64, torch.ones(2, RECORD_BYTES).byte(), [0, 5])
    assert store.find("a" * 64) is not None
    store.close()
