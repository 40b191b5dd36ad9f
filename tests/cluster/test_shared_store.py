"""The shared store: what was written is found, by anybody, or reported missing."""

from pathlib import Path

import pytest
import torch

from longllama_code.cluster.shared_store import SharedStore, pack_segment, unpack_segment
from longllama_code.cluster.snapshots import (
    Snapshot,
    SnapshotFile,
    check_name,
    pack_snapshot,
    unpack_snapshot,
)
from longllama_code.errors import ConfigError, StoreError
from longllama_code.memory.segments.segmenter import Slice

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install '.[cluster]'")

IDS = [f"{n:032x}" for n in range(4)]
RECORDS = torch.randint(256, (20, 64), generator=torch.Generator().manual_seed(1)).byte()
SNAPSHOT = Snapshot(
    "team/app",
    "abc123",
    (
        SnapshotFile("a.py", "x = 1\n", (Slice(0, 6, 0, 0),), (IDS[0],), 6),
        SnapshotFile("ä b.py", "", (), (), 0),
    ),
)


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, and what fsspec has in the place of an object store."""
    return str(tmp_path / "shared") if request.param == "folder" else f"memory://{tmp_path.name}"


def test_segments_are_found_by_another_process(url: str) -> None:
    store = SharedStore(url, "model")
    assert store.missing(IDS) == IDS
    store.put((held, (RECORDS, (0, 16, 40))) for held in IDS[:2])
    store.put([(IDS[0], (RECORDS, (0, 16, 40)))])
    other = SharedStore(url, "model")
    assert other.missing(IDS) == IDS[2:]
    found = other.get(IDS)
    assert list(found) == IDS[:2]
    records, offsets = found[IDS[1]]
    assert torch.equal(records, RECORDS)
    assert offsets == (0, 16, 40)
    assert SharedStore(url, "other model").missing(IDS) == IDS


@pytest.mark.parametrize("at", [0, 5, 17, 30, 200, -1])
def test_a_damaged_segment_is_none(at: int) -> None:
    content = bytearray(pack_segment(RECORDS, [0, 16, 40]))
    content[at] ^= 1
    assert unpack_segment(bytes(content)) is None
    assert unpack_segment(bytes(content[: at if at > 0 else 100])) is None


def test_snapshots_come_back_as_they_were(url: str) -> None:
    store = SharedStore(url, "model")
    assert store.latest("team/app") is None
    store.put_snapshot(SNAPSHOT)
    assert store.latest("team/app") == "abc123"
    assert store.snapshot("team/app", "abc123") == SNAPSHOT
    assert store.snapshot("team/app", "other") is None
    assert pack_snapshot(SNAPSHOT) == pack_snapshot(unpack_snapshot(pack_snapshot(SNAPSHOT)))


@pytest.mark.parametrize("name", ["", "../x", "a/../b", "/etc", "a//b", "a b", ".git", "a/"])
def test_a_name_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no name of a repository"):
        check_name(name)
    with pytest.raises(ConfigError):
        SharedStore(str(tmp_path), "model").latest(name)


def test_an_id_leads_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no id"):
        SharedStore(str(tmp_path), "model").get(["../../secret"])


def test_an_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(StoreError, match="nothing://there"):
        SharedStore("nothing://there", "model")
