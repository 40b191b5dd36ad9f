"""The file of statistics: shared, private, and done without where it cannot be used."""

import sqlite3
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from longllama_code.errors import StoreError
from lsp_server.statistics.database import FILE, StatisticsFile, path_in
from lsp_server.statistics.record import Record
from tests.damaged_sqlite import executed, garbage, overwritten, with_another_header


def record(**values) -> Record:
    known = {"language": "python", "n_chars": 12, "latency_ms": 80, "is_automatic": True}
    return Record(**{**known, "confidence": 60, "model": 1, **values})


def filled(cache, n_records=300):
    file = StatisticsFile(cache)
    file.write([record() for _ in range(n_records)], [])
    file.close()
    return path_in(cache)


def test_what_is_written_is_read_by_others_at_once(tmp_path):
    one, other = StatisticsFile(tmp_path), StatisticsFile(tmp_path)
    first, second = record(shown_at=1.0), record(shown_at=2.0, language="go")
    one.write([second], [])
    other.write([first], [])
    first.outcome, first.n_accepted, first.after_30_s = "accepted", 12, "there"
    other.write([], [first])
    assert one.records() == [first, second]
    assert one.records(since=1.5) == [second]
    one.remove_older_than(1.5)
    assert other.records() == [second]
    one.close()
    other.close()


def test_what_was_cleared_does_not_come_back_when_its_outcome_is_known(tmp_path):
    one, other = StatisticsFile(tmp_path), StatisticsFile(tmp_path)
    shown = record()
    one.write([shown], [])
    assert other.clear() == 1
    shown.note("accepted")
    one.write([], [shown])
    assert one.records() == []
    one.close()
    other.close()


def test_a_newer_version_is_left_alone(tmp_path):
    path = filled(tmp_path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match="newer version"):
        StatisticsFile(tmp_path)
    assert not path.with_name(f"{FILE}.damaged").exists()


def test_a_file_of_the_first_version_is_brought_up_to_date_and_keeps_its_rows(tmp_path):
    """Version 1 knew no clients but editors; two processes open it at once."""
    path = filled(tmp_path, 3)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE shown DROP COLUMN client")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with ThreadPoolExecutor(4) as threads:
        files = [*threads.map(lambda _: StatisticsFile(tmp_path), range(4))]
    files[0].write([record(client="http")], [])
    for file in files:
        assert sorted(each.client for each in file.records()) == ["editor"] * 3 + ["http"]
        assert file.message == ""
        file.close()


def without_a_column(path):
    executed(path, "ALTER TABLE shown DROP COLUMN latency_ms")


def with_the_version_before(path):
    executed(path, "PRAGMA user_version = 1")


def with_no_version_of_any(path):
    executed(path, "PRAGMA user_version = -7")


@pytest.mark.parametrize(
    "damage",
    [
        garbage,
        without_a_column,
        overwritten,
        with_another_header,
        with_the_version_before,
        with_no_version_of_any,
    ],
)
def test_a_damaged_file_is_set_aside_with_a_message_and_counting_goes_on(tmp_path, damage):
    damage(filled(tmp_path))
    file = StatisticsFile(tmp_path)
    assert f"{FILE}.damaged" in file.message
    assert file.path.with_name(f"{FILE}.damaged").exists()
    file.write([record()], [])
    assert len(file.records()) == 1
    file.close()
    again = StatisticsFile(tmp_path)
    assert again.message == ""
    assert len(again.records()) == 1
    again.close()


def test_rows_that_this_program_never_writes_are_passed_over(tmp_path):
    path = filled(tmp_path, 2)
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE shown SET n_chars = 'many' WHERE rowid = (SELECT min(id) FROM shown)"
        )
        database.execute(
            "INSERT INTO shown SELECT 7, shown_at, language, 1, 1, 1, 1, 1, 'odd', 0, "
            "NULL, NULL, 'editor' FROM shown LIMIT 1"
        )
    database.close()
    file = StatisticsFile(tmp_path)
    assert len(file.records()) == 1
    file.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_only_its_owner_may_read_it(tmp_path):
    file = StatisticsFile(tmp_path)
    file.write([record()], [])
    made = [*file.path.parent.iterdir()]
    assert {path.name for path in made} >= {FILE, f"{FILE}-wal", f"{FILE}-shm"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    file.close()


def test_a_place_where_nothing_can_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "statistics").write_text("a file, no folder")
    with pytest.raises(StoreError, match=FILE):
        StatisticsFile(tmp_path)


def test_many_records_are_read_in_the_order_in_which_they_were_shown(tmp_path):
    file, now = StatisticsFile(tmp_path), time.time()
    file.write([record(shown_at=now - number) for number in range(50)], [])
    times = [each.shown_at for each in file.records()]
    assert times == sorted(times)
    file.close()
