"""Tokens of a store are read without its model, whatever the size of its records."""

import shutil
from pathlib import Path

import pytest
import torch

from longllama_code.errors import StoreError
from longllama_code.memory.segments.segment import EncodedSegment
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.memory.storage.stored_tokens import stored_ids, stored_tokens

TOKENS = {"a": [7, 0, 151_643], "b": [0], "c": [*range(300)]}


def segment(name: str, n_heads: int, head_dim: int) -> EncodedSegment:
    ids = TOKENS[name]
    keys = torch.randn(n_heads, len(ids), head_dim)
    offsets = torch.zeros(2, dtype=torch.int32)
    return EncodedSegment(name, keys, keys, torch.tensor(ids, dtype=torch.int32), offsets)


def filled(folder: Path, n_heads: int, head_dim: int) -> SegmentStore:
    """A store with all segments."""
    record_format = RecordFormat(n_heads, head_dim, torch.float16)
    store = SegmentStore(folder, record_format.n_bytes, max_bytes=1 << 30)
    for name in TOKENS:
        record_format.store(store, segment(name, n_heads, head_dim))
    return store


def read(folder: Path) -> dict[str, list[int]]:
    return {each.segment_id: each.ids for each in stored_tokens(folder)}


@pytest.mark.parametrize(("n_heads", "head_dim"), [(0, 64), (1, 4), (3, 16), (4, 64), (96, 128)])
def test_tokens_are_read_beside_an_open_store(tmp_path: Path, n_heads: int, head_dim: int) -> None:
    store = filled(tmp_path, n_heads, head_dim)
    assert read(tmp_path) == TOKENS
    store.close()
    assert read(tmp_path) == TOKENS


def test_some_segments_are_left_out(tmp_path: Path) -> None:
    filled(tmp_path, 1, 16).close()
    assert stored_ids(tmp_path) == set(TOKENS)
    assert [each.segment_id for each in stored_tokens(tmp_path, {"a", "c"})] == ["b"]


def test_they_are_read_after_a_collection(tmp_path: Path) -> None:
    store = filled(tmp_path, 1, 16)
    assert store.collect(in_use=["c"], max_bytes=0) == 2
    assert read(tmp_path) == {"c": TOKENS["c"]}
    store.close()


def test_a_damaged_segment_is_left_out_and_nothing_is_changed(tmp_path: Path) -> None:
    filled(tmp_path, 1, 16).close()
    path = tmp_path / "records-0.bin"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    manifest = (tmp_path / "manifest.sqlite").read_bytes()
    assert read(tmp_path) == {name: TOKENS[name] for name in "bc"}
    assert (tmp_path / "manifest.sqlite").read_bytes() == manifest


def test_an_empty_store_has_no_tokens(tmp_path: Path) -> None:
    SegmentStore(tmp_path, 64).close()
    assert read(tmp_path) == {}


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no store"):
        read(tmp_path)
    filled(tmp_path / "x", 0, 4).close()
    (tmp_path / "x" / "records-0.bin").write_bytes(b"")
    with pytest.raises(StoreError, match="no segment matches its checksum"):
        read(tmp_path / "x")
    shutil.rmtree(tmp_path / "x")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "manifest.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        read(tmp_path / "x")
