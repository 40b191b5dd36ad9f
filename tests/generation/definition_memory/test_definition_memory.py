"""Encoded definitions: by content, in any order, on a disk that may be damaged or full."""

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.errors import StoreError
from longllama_code.generation.decoding.decoder import PlacedText
from longllama_code.generation.definition_memory.memory import MAX_TOKENS, DefinitionMemory
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.memory.storage.store import SegmentStore
from tests.generation.definition_memory.small import EXCERPTS, encode, memory, rows_of

ROOM = 1000


def placed(of: DefinitionMemory, *excerpts: Excerpt, repository: str = "port") -> PlacedText:
    found = of.placed(repository, excerpts, ROOM)
    assert found is not None
    return found


def same(one: PlacedText, other: PlacedText) -> bool:
    layout = (one.key, one.ids, one.n_rows, one.following)
    has_same_layout = layout == (other.key, other.ids, other.n_rows, other.following)
    return has_same_layout and torch.equal(rows_of(one), rows_of(other))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("by_kernels", [True, False])
def test_the_order_of_encoding_and_of_choosing_makes_no_difference(
    exact: bool, by_kernels: bool
) -> None:
    first = memory(by_kernels=by_kernels, exact=exact)
    encode(first, *EXCERPTS)
    wanted = placed(first, *EXCERPTS)
    for order in itertools.permutations(EXCERPTS):
        other = memory(by_kernels=by_kernels, exact=exact)
        encode(other, *order)
        assert same(placed(other, *EXCERPTS[::-1]), wanted)


def test_work_that_was_interrupted_gives_the_same_rows() -> None:
    long = Excerpt("long.py", "\n".join(f"NAME_{number} = {number}" for number in range(20)))
    plain, mixed = memory(by_kernels=True), memory(by_kernels=True)
    encode(plain, long, EXCERPTS[0])
    work = mixed.encode("port", long)
    next(work)
    encode(mixed, EXCERPTS[0])
    assert next(work, None) is None
    for _ in work:
        pass
    assert same(placed(mixed, long, EXCERPTS[0]), placed(plain, long, EXCERPTS[0]))


def test_what_is_not_encoded_is_left_out_and_what_does_not_fit() -> None:
    part = memory(by_kernels=True)
    assert part.placed("port", EXCERPTS, ROOM) is None
    encode(part, *EXCERPTS[:2])
    assert [part.lacks("port", each) for each in EXCERPTS] == [False, False, True]
    assert placed(part, *EXCERPTS).key == placed(part, *EXCERPTS[:2]).key
    alone = placed(part, EXCERPTS[1])
    found = part.placed("port", EXCERPTS[:2], alone.n_added)
    assert found is not None
    assert found.key == alone.key  # the last one is the most wanted
    huge = Excerpt("huge.py", "x" * MAX_TOKENS)
    assert not part.lacks("port", huge)


def test_another_repository_has_definitions_of_its_own() -> None:
    both = memory(by_kernels=True)
    encode(both, EXCERPTS[0])
    assert both.lacks("starboard", EXCERPTS[0])
    encode(both, EXCERPTS[0], repository="starboard")
    one, other = (placed(both, EXCERPTS[0], repository=name) for name in ("port", "starboard"))
    assert one.key != other.key
    assert not torch.equal(rows_of(one)[1, :, :, -1], rows_of(other)[1, :, :, -1])


def test_a_restart_reads_from_disk_what_was_encoded(tmp_path: Path) -> None:
    first = memory(by_kernels=True, folder=tmp_path, exact=False)
    encode(first, *EXCERPTS)
    wanted = placed(first, *EXCERPTS)
    again = memory(by_kernels=True, folder=tmp_path, exact=False)
    assert not any(again.lacks("port", each) for each in EXCERPTS)
    assert same(placed(again, *EXCERPTS), wanted)
    assert again.n_encoded == 0
    first.kept.close()
    again.kept.close()


def test_another_form_on_disk_is_another_definition(tmp_path: Path) -> None:
    wide = memory(by_kernels=True, folder=tmp_path, exact=False)
    encode(wide, EXCERPTS[0])
    n_bytes = wide.kept.totals()[1]
    compact = memory(by_kernels=True, folder=tmp_path, exact=False, value_bits=2)
    assert compact.lacks("port", EXCERPTS[0])
    encode(compact, EXCERPTS[0])
    assert n_bytes < compact.kept.totals()[1] < 2 * n_bytes
    assert not torch.equal(
        rows_of(placed(compact, EXCERPTS[0])), rows_of(placed(wide, EXCERPTS[0]))
    )
    wide.kept.close()
    compact.kept.close()


def test_a_damaged_definition_is_left_out_and_encoded_again(tmp_path: Path) -> None:
    first = memory(by_kernels=True, folder=tmp_path, exact=False)
    encode(first, EXCERPTS[0])
    first.kept.close()
    (records,) = tmp_path.glob("records-*.bin")
    content = bytearray(records.read_bytes())
    content[5000] ^= 255
    records.write_bytes(content)
    again = memory(by_kernels=True, folder=tmp_path, exact=False)
    assert again.placed("port", EXCERPTS[:1], ROOM) is None
    assert again.lacks("port", EXCERPTS[0])
    encode(again, EXCERPTS[0])
    wanted = memory(by_kernels=True, exact=False)
    encode(wanted, EXCERPTS[0])
    assert same(placed(again, EXCERPTS[0]), placed(wanted, EXCERPTS[0]))
    again.kept.close()


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stores on disk write nothing more; those in RAM go on."""
    put = SegmentStore.put

    def fail(store: SegmentStore, *arguments: object):
        if store.persists:
            raise StoreError("No space left on device")
        return put(store, *arguments)  # pyright: ignore

    monkeypatch.setattr(SegmentStore, "put", fail)


def test_a_full_disk_costs_the_disk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = memory(by_kernels=True, folder=tmp_path, exact=False)
    encode(full, EXCERPTS[0])
    fill_disk(monkeypatch)
    encode(full, *EXCERPTS)
    assert not any(full.lacks("port", each) for each in EXCERPTS)
    assert full.kept.problem is not None
    assert "No space" in full.kept.problem
    assert full.placed("port", EXCERPTS, ROOM) is not None


def test_behind_a_full_disk_the_limit_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = memory(by_kernels=True, folder=tmp_path, exact=False, max_bytes=1)
    assert full.kept.has_room
    fill_disk(monkeypatch)
    monkeypatch.setattr(SegmentStore, "collect", lambda _: None)
    encode(full, EXCERPTS[0])
    assert not full.kept.has_room


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=4, max_size=16))
def test_a_small_store_keeps_its_limit_whatever_is_encoded(numbers: list[int]) -> None:
    limit = 60_000
    small = memory(by_kernels=True, exact=False, max_bytes=limit)
    for number in numbers:
        excerpt = Excerpt(f"file_{number}.py", "def name(argument): ...")
        if small.lacks("port", excerpt):
            encode(small, excerpt)
        assert not small.lacks("port", excerpt)
        assert small.kept.totals()[1] <= limit
    assert small.kept.clear() > 0
    assert small.kept.totals() == (0, 0)
