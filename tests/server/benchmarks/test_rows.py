"""Results on disk, and runs that are resumed."""

from dataclasses import replace

import pytest

from lsp_server.benchmarks.infilling.rows import Row, RowFile

RUN = {"model": "tiny"}


def test_rows_come_back_as_they_were_and_the_last_one_counts(tmp_path):
    path = tmp_path / "rows" / "x.jsonl"
    first = Row("i", "r", "file", "c", error="died")
    again = replace(first, error=None, right=1.0, suggestion="é\n")
    file = RowFile(path, RUN)
    file.add(first)
    file.add(replace(first, condition="repository"))
    file.add(again)
    assert RowFile(path, RUN).rows() == {
        ("i", "file"): again,
        ("i", "repository"): replace(first, condition="repository"),
    }


def test_rows_of_an_earlier_version_are_read(tmp_path):
    path = tmp_path / "x.jsonl"
    row = Row("i", "r", "file", "c", right=1.0)
    RowFile(path, RUN).add(row)
    path.write_text(path.read_text().replace('"condition"', '"arm"'))
    assert RowFile(path, RUN).rows() == {("i", "file"): row}


def test_a_row_that_a_kill_cut_short_is_asked_again(tmp_path):
    path = tmp_path / "x.jsonl"
    file = RowFile(path, RUN)
    row = Row("i", "r", "file", "c")
    file.add(row)
    file.add(replace(row, instance="j"))
    path.write_bytes(path.read_bytes()[:-9])
    again = RowFile(path, RUN)
    assert set(again.rows()) == {("i", "file")}
    again.add(replace(row, instance="k"))
    assert set(RowFile(path, RUN).rows()) == {("i", "file"), ("k", "file")}


def test_answers_of_another_model_are_not_mixed_in(tmp_path):
    RowFile(tmp_path / "x.jsonl", RUN)
    with pytest.raises(ValueError, match=r'results of another run, \{"model": "tiny"\}; this'):
        RowFile(tmp_path / "x.jsonl", {"model": "mini"})
