"""``longllama-lsp stats``: a table and a plot in any encoding, and JSON."""

import json
import os
import subprocess
import sys

import pytest

from lsp_server.cli.main import main
from lsp_server.cli.statistics import as_lines
from lsp_server.statistics.database import StatisticsFile, path_in
from lsp_server.statistics.record import Record
from lsp_server.statistics.summary import summary

DAY_S = 86_400.0
START = 1_800_000_000.0


def record(outcome, day=0, **values) -> Record:
    known = {"language": "python", "n_chars": 20, "latency_ms": 80, "is_automatic": True}
    known |= {"confidence": 60, "model": 1, "shown_at": START + day * DAY_S}
    return Record(**{**known, "outcome": outcome, **values})


RECORDS = [
    *(record("accepted", n_accepted=20, after_30_s="there", after_5_min="gone") for _ in range(3)),
    record("accepted", n_accepted=20, after_30_s="there", after_5_min="unknown"),
    record("partly_accepted", n_accepted=5, after_30_s="gone"),
    record("typed_out", 1),
    *(record("typed_over", 1, language="go", n_chars=200, latency_ms=5_000) for _ in range(3)),
    record(None, 1),
]


def filled(cache):
    file = StatisticsFile(cache)
    file.write(RECORDS, [])
    file.close()


def row(lines, name):
    return next(line for line in lines if line.startswith(f"{name} ")).split("  ")


def test_rows_have_what_was_shown_and_shares_of_it():
    lines = list(as_lines({"last_days": None, **summary(RECORDS)}))
    cells = [cell.strip() for cell in row(lines, "all") if cell.strip()]
    assert cells == ["all", "10", "40 %", "10 %", "10 %", "30 %", "0 %", "80 %", "0 %"]
    cells = [cell.strip() for cell in row(lines, "go") if cell.strip()]
    assert cells == ["go", "3", "0 %", "0 %", "0 %", "100 %", "0 %", "-", "-"]
    assert row(lines, "more than 80")
    assert row(lines, "more than 3 s")


def test_the_plot_has_a_bar_for_each_day_as_long_as_what_was_shown():
    lines = list(as_lines({"last_days": None, **summary(RECORDS)}))
    first, second = (line for line in lines if "░" in line)
    assert (first.count("█"), first.count("░")) == (24, 6)
    assert (second.count("█"), second.count("░")) == (0, 30)
    assert first.endswith("4 of 5")


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_it_is_printed_in_any_encoding(tmp_path, encoding):
    filled(tmp_path)
    command = [sys.executable, "-m", "lsp_server", "stats", "--cache-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, timeout=120, env=environment, check=True)
    bar = "████" if encoding == "utf-8" else "####"
    assert bar in done.stdout.decode(encoding)
    assert "\\u" not in done.stdout.decode(encoding)


def test_json_has_the_counts_and_clearing_removes_them(tmp_path, capsys):
    filled(tmp_path)
    where = ["--json", "--cache-dir", str(tmp_path)]
    assert main(["stats", *where]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["total"]["shown"], found["total"]["open"]) == (10, 1)
    assert found["total"]["after_5_min"] == {"there": 0, "gone": 3, "unknown": 1}
    assert main(["stats", "--clear", *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"n_removed": 10}
    assert main(["stats", "--cache-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No suggestion was counted yet.\n"


def test_without_a_file_none_is_made(tmp_path, capsys):
    assert main(["stats", "--clear", "--cache-dir", str(tmp_path)]) == 0
    assert main(["stats", "--days", "7", "--cache-dir", str(tmp_path)]) == 0
    assert "No suggestion was counted yet." in capsys.readouterr().out
    assert not path_in(tmp_path).parent.exists()


@pytest.mark.parametrize("days", ["0", "-1", "many", "nan", "inf"])
def test_a_number_of_days_is_a_number(days, capsys):
    with pytest.raises(SystemExit):
        main(["stats", "--days", days])
    assert "is no number of days" in capsys.readouterr().err


def test_groups_add_up_to_the_total():
    found = summary(RECORDS)
    for groups in ("languages", "lengths", "latencies", "days"):
        for name in ("shown", "accepted", "typed_over", "chars", "open"):
            assert sum(group[name] for group in found[groups]) == found["total"][name]
