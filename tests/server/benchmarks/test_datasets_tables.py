"""Rows of published tables, and the names and paths in them."""

import gzip
import importlib
import json
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.datasets import tables
from lsp_server.benchmarks.datasets.fields import (
    day_field,
    list_field,
    number_field,
    object_field,
    text_field,
)
from lsp_server.benchmarks.datasets.tables import rows
from lsp_server.benchmarks.paths import (
    checked_files,
    inside,
    language_id,
    path_inside,
    read_inside,
    repository_name,
)
from tests.server.benchmarks.published_tables import SAME_FOLDER, write_rows

JSON_OBJECTS = st.dictionaries(
    st.text(max_size=5), st.one_of(st.text(), st.integers(), st.none(), st.lists(st.booleans()))
)


def write(path, objects):
    if path.name.endswith(".json"):
        path.write_text(json.dumps(objects))
    else:
        write_rows(path, objects)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.json"])
@SAME_FOLDER
@given(objects=st.lists(JSON_OBJECTS, max_size=5))
def test_what_was_written_is_read(tmp_path, name, objects):
    path = tmp_path / name
    write(path, objects)
    assert list(rows(path)) == list(enumerate(objects, 1))


def test_blank_lines_are_counted_and_left_out(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n  \n{"a": 2}')
    assert list(rows(path)) == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "x.jsonl:2 is no JSON"),
        (b"[]", "x.jsonl:2 is no JSON object"),
        (b'{"a": "\xff"}', "x.jsonl:2 is no JSON"),
        (b"[" * 100_000, "x.jsonl:2 is no JSON"),
        (b'"' + b"a" * 2000, "x.jsonl:2 is no JSON line of at most 1000 bytes"),
    ],
)
def test_a_broken_line_is_named(tmp_path, name, line, said):
    path = tmp_path / name
    data = b'{"a": 1}\n' + line + b"\n"
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    limit = 1000 if "at most" in said else tables.MAX_LINE_BYTES
    read = rows(path, limit)
    assert next(read) == (1, {"a": 1})
    with pytest.raises(ValueError, match="is no JSON") as raised:
        next(read)
    assert said.replace("x.jsonl", name) in str(raised.value)


def test_a_line_may_be_as_long_as_the_limit(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n')
    assert list(rows(path, 9)) == [(1, {"a": 1})]
    with pytest.raises(ValueError, match="at most 8 bytes"):
        list(rows(path, 8))


@pytest.mark.parametrize(
    "data", [b"no gzip", gzip.compress(b'{"a": 1}\n')[:-6]], ids=["text", "half"]
)
def test_a_broken_archive_is_named(tmp_path, data):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.jsonl\.gz:\d cannot be read"):
        list(rows(path))


def test_an_array_must_be_one_of_objects(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    for text, said in (
        ("{}", "no JSON array"),
        ("[1]", r"x\.json:1 is no JSON object"),
        ("[", "no"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=said):
            list(rows(path))
    monkeypatch.setattr(tables, "MAX_ARRAY_BYTES", 3)
    path.write_text("[{}]")
    with pytest.raises(ValueError, match=r"give it as \.jsonl"):
        list(rows(path))


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x\.csv is no table; known endings: \.jsonl,"):
        list(rows(tmp_path / "x.csv"))


def test_parquet_is_read_in_batches(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    objects = [{"a": number, "b": [{"c": str(number)}], "d": None} for number in range(40)]
    path = tmp_path / "x.parquet"
    parquet.write_table(arrow.Table.from_pylist(objects), path)
    assert list(rows(path)) == list(enumerate(objects, 1))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"x\.parquet:1 is no Parquet"):
        list(rows(path))


def test_without_pyarrow_the_remedy_is_named(tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match=r"x\.parquet needs pyarrow to be read: pip install"):
        list(rows(tmp_path / "x.parquet"))


# Fields.


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text_field, 1),
        (text_field, None),
        (text_field, "\ud800"),
        (number_field, True),
        (number_field, "1"),
        (number_field, 1.0),
        (object_field, []),
        (list_field, "ab"),
        (day_field, "yesterday"),
        (day_field, 5),
    ],
)
def test_a_field_of_another_type_is_refused(read, value):
    with pytest.raises(ValueError, match="'field'"):
        read({"field": value}, "field")


@given(st.datetimes(min_value=datetime(2000, 1, 1)), st.integers(-12, 12))
def test_the_day_of_a_time_is_that_of_utc(time, hours):
    zoned = time.replace(tzinfo=timezone(timedelta(hours=hours)), microsecond=0)
    day = zoned.astimezone(timezone.utc).date()
    assert day_field({"t": zoned.isoformat()}, "t") == day_field({"t": zoned}, "t") == day
    assert day_field({"t": time.strftime("%Y-%m-%dT%H:%M:%SZ")}, "t") == time.date()


def test_days_are_read_and_may_be_absent():
    assert day_field({"t": "2023-11-05"}, "t") == date(2023, 11, 5)
    assert day_field({"t": date(2023, 11, 5)}, "t") == date(2023, 11, 5)
    assert day_field({"t": None}, "t") is day_field({}, "t") is None


# Names and paths.


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0"])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(ValueError, match="no repository's name"):
        repository_name(name)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "/etc/passwd",
        "a/../../b",
        "..",
        "a\\..\\b",
        "\\\\host\\x",
        "C:\\x",
        "C:x",
        "./C:x",
        "./\\x",
        ".//\\\\host\\x",
        "a\0b",
        ".git/config",
        "a/.GIT/hooks/post-checkout",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path):
    with pytest.raises(ValueError, match="no path in a repository"):
        path_inside(path)


@SAME_FOLDER
@given(st.text(alphabet="ab./\\\0:~ ", max_size=12))
def test_a_path_that_is_accepted_is_inside(tmp_path, text):
    try:
        path = path_inside(text)
    except ValueError:
        return
    assert (tmp_path / path).resolve().is_relative_to(tmp_path.resolve())
    assert (tmp_path / path).resolve() != tmp_path.resolve()
    assert path_inside(path) == path


def test_links_that_lead_out_are_refused(tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("x")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "real.py").write_text("y\r\n")
    (tree / "out.py").symlink_to(secret)
    (tree / "up").symlink_to("..")
    (tree / "near.py").symlink_to("real.py")
    (tree / "loop.py").symlink_to("loop.py")
    for file in ("out.py", "up/secret.py", "up"):
        with pytest.raises(ValueError, match="leads out"):
            read_inside(tree, file)
    assert read_inside(tree, "near.py") == "y\n"
    assert inside(tree, "near.py") == tree / "near.py"
    with pytest.raises((ValueError, OSError)):
        read_inside(tree, "loop.py")


def test_what_is_no_regular_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="'folder' is no regular file"):
        read_inside(tmp_path, "folder")


def test_a_path_cannot_be_a_file_and_a_folder():
    assert checked_files([("a/b.py", "1"), ("./a//b.py", "2"), ("c.py", "")]) == {
        "a/b.py": "2",
        "c.py": "",
    }
    with pytest.raises(ValueError, match=r"'a' is a file and the folder of 'a/b/c\.py'"):
        checked_files([("a/b/c.py", ""), ("a", "")])


@pytest.mark.parametrize(
    ("file", "language"),
    [
        ("a/B.java", "java"),
        ("b.ts", "typescript"),
        ("b.tsx", "typescriptreact"),
        ("C.cs", "csharp"),
        ("d.py", "python"),
        ("e.unknown", "plaintext"),
    ],
)
def test_the_language_is_that_of_the_ending(file, language):
    assert language_id(file) == language
