"""Pages on a device: the same bytes with any budget, never more than it, chosen by reads alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.memory.storage.record_file import RecordBuffer
from longllama_code.memory.storage.resident import PAGE_ROWS, DeviceRoom, ResidentRecords, most_read

N_BYTES, N_ROWS = 32, 200
PAGE_BYTES = PAGE_ROWS * N_BYTES
N_PAGES = N_ROWS // PAGE_ROWS
CONTENT = torch.randint(
    256, (N_ROWS, N_BYTES), generator=torch.Generator().manual_seed(5), dtype=torch.uint8
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.lists(st.integers(0, N_ROWS - 1), max_size=30)),
        st.tuples(st.just("settle"), st.just(0)),
        st.tuples(st.just("write"), st.integers(1, 60)),
    ),
    max_size=30,
)


def resident(max_bytes: int, n_rows: int = N_ROWS) -> ResidentRecords:
    records = ResidentRecords(
        RecordBuffer(N_BYTES), N_BYTES, DeviceRoom(torch.device("cpu"), max_bytes)
    )
    grow(records, 0, n_rows)
    return records


def grow(records: ResidentRecords, start: int, end: int) -> None:
    records.write(start, CONTENT[start:end])
    assert records.cover(end)


def read(records: ResidentRecords, rows: list[int]) -> None:
    wanted = torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(records.read(wanted, 3, 11), CONTENT[wanted, 3:11])


@settings(deadline=None, max_examples=150)
@given(st.integers(0, N_ROWS * N_BYTES + 999), STEPS)
def test_any_budget_reads_the_same_and_is_kept(
    max_bytes: int, steps: list[tuple[str, list[int] | int]]
) -> None:
    records, again = resident(max_bytes, 40), resident(max_bytes, 40)
    end = 40
    for step, what in steps:
        more = min(N_ROWS, end + what) if step == "write" else end
        for each in (records, again):
            if step == "settle":
                each.rebalance()
            elif step == "read":
                with torch.inference_mode(len(what) % 2 == 0):  # completions read in it
                    read(each, [row for row in what if row < end])
            else:
                grow(each, end, more)
            assert each.resident_bytes <= max_bytes
            assert len(each.resident) * PAGE_BYTES <= max_bytes
        end = more
        assert records.resident == again.resident
    read(records, list(range(end)))


def test_what_is_read_comes_while_there_is_room() -> None:
    records = resident(3 * PAGE_BYTES)
    read(records, [17, 160, 18])
    assert records.resident == [1, 10]
    read(records, [0, 50])
    assert records.resident == [0, 1, 10]


def test_what_is_read_more_takes_the_place_of_what_is_read_less() -> None:
    records = resident(2 * PAGE_BYTES)
    read(records, [0, 0, 16, 16])
    read(records, [32, 32])
    records.rebalance()
    assert records.resident == [0, 1]  # read alike: who is there stays
    read(records, [32, 32, 32, 0])
    records.rebalance()
    assert records.resident == [0, 2]
    for _ in range(9):
        records.rebalance()
    read(records, [160])
    records.rebalance()
    assert 10 in records.resident  # what was read long ago no longer counts


def test_a_scan_of_everything_drives_nothing_out() -> None:
    records = resident(4 * PAGE_BYTES)
    for _ in range(5):
        read(records, list(range(N_ROWS)))
        records.rebalance()
        assert records.resident == [0, 1, 2, 3]


def test_rows_that_are_not_final_stay_in_host_memory() -> None:
    records = resident(N_ROWS * N_BYTES, 20)
    read(records, [16, 17])
    assert records.resident == []
    records.write(20, 255 - CONTENT[20:40])  # of a segment that never came into the manifest
    grow(records, 20, 40)
    read(records, list(range(40)))
    assert records.resident == [0, 1]


def test_closed_records_are_still_read() -> None:
    records = resident(N_ROWS * N_BYTES)
    read(records, list(range(N_ROWS)))
    assert len(records.resident) == N_PAGES
    records.close()
    assert records.resident_bytes == 0
    records.rebalance()
    read(records, list(range(N_ROWS)))


@pytest.mark.parametrize(
    ("reads", "resident", "n", "expected"),
    [
        ([3, 1, 2], [False, False, False], 2, [True, False, True]),
        ([1, 1, 1], [False, False, True], 1, [False, False, True]),
        ([1, 1, 1], [False, False, False], 1, [True, False, False]),
        ([0, 0, 5], [True, False, False], 3, [True, False, True]),
    ],
)
def test_the_pages_that_were_read_most(
    reads: list[int], resident: list[bool], n: int, expected: list[bool]
) -> None:
    chosen = most_read(torch.tensor(reads).int(), torch.tensor(resident), n)
    assert chosen.tolist() == expected
