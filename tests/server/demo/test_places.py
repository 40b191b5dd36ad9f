"""Lines of a project: where they are cut, and what is taken away."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.demo.places import Place, cut_of, parse_place, place_before

TEXT = """\
from clock import now


def greet(person):
    hour = now().hour
    return person.salutation(hour, "Good day")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "greet.py").write_text(TEXT)
    return tmp_path.resolve()


def test_a_line_is_cut_where_the_user_says(root: Path) -> None:
    place = parse_place("src/greet.py:5:12", root)
    assert (place.file, place.line, place.expected) == ("src/greet.py", 5, "now().hour")
    assert place.typed == "hour = "
    assert place.before + place.expected + place.after == TEXT
    assert place.position == (4, 11)


def test_else_before_the_first_name_that_the_file_has_nowhere_else(root: Path) -> None:
    place = parse_place(f"{root / 'src' / 'greet.py'}:6", root)
    assert (place.typed, place.expected) == ("return person.", 'salutation(hour, "Good day")')


@pytest.mark.parametrize(
    ("line", "typed"),
    [("    x = y", "    x = "), ("    f(x)", "    f("), ("    x.y", "    x."), ("    x", "    ")],
)
def test_a_line_without_such_a_name_is_cut_behind_a_sign(line: str, typed: str) -> None:
    assert line[: cut_of(line, "x y f x y f")] == typed


@pytest.mark.parametrize(
    ("cursor", "why"),
    [
        ("src/greet.py", "FILE:LINE"),
        ("src/greet.py:", "FILE:LINE"),
        ("src/greet.py:0", "no line 0; it has 7"),
        ("src/greet.py:8", "no line 8"),
        ("src/greet.py:5:99", "no column 99"),
        ("src/greet.py:5:0", "no column 0"),
        ("src/gone.py:1", "no file"),
        ("../outside.py:1", "no file"),
    ],
)
def test_what_is_no_place_is_named(root: Path, cursor: str, why: str) -> None:
    (root.parent / "outside.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=why):
        parse_place(cursor, root)


def test_a_marker_stands_once() -> None:
    assert place_before(TEXT, "a.py", "return person.").line == 6
    with pytest.raises(ValueError, match="2 times"):
        place_before(TEXT, "a.py", "now")


def test_right_is_what_stood_there_but_for_spaces_at_the_end() -> None:
    place = Place("a.py", "x = ", "y + 1", "\n")
    assert place.is_right("y + 1 ")
    assert not any(map(place.is_right, ("", "y", "y + 1\nz", " y + 1", "y + 10")))


@given(st.text("ab(.=é\t \n"), st.data())
def test_the_parts_make_the_file(text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    number = data.draw(st.integers(0, len(lines) - 1))
    cut = cut_of(lines[number], text)
    assert 0 <= cut <= len(lines[number])
    start = sum(len(line) + 1 for line in lines[:number])
    place = Place(
        "a.py", text[: start + cut], lines[number][cut:], text[start + len(lines[number]) :]
    )
    assert place.line == number + 1
    untyped = place.untyped()
    assert untyped.before + place.typed == place.before
    assert untyped.typed == ""
    assert place.before + place.expected + place.after == text
