"""Recent edits: what they say about a document is true whatever was typed, and bounded."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lsp_server.documents import recent_edits
from lsp_server.documents.document import Documents, Edit, Position
from lsp_server.documents.recent_edits import EditedPlace, RecentEdits

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "d"]), max_size=9)
NEW = st.lists(st.sampled_from(["a", "b", "c", "", "d"]), max_size=4)
SPLICES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), NEW), max_size=7)
"""So few that no place grows too large."""
URI = "file:///a.py"


class Clock:
    """A clock that goes on by a second each time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def before(lines: list[str], places: list[EditedPlace]) -> list[str]:
    """The text of a while ago: each place taken back."""
    found = list(lines)
    for one in sorted(places, key=lambda one: -one.first):
        assert found[one.first : one.stop] == list(one.after)
        found[one.first : one.stop] = one.before
    return found


def edited(lines: list[str], splices, edits: RecentEdits) -> list[str]:
    lines = list(lines)
    for start, count, new in splices:
        first = min(start, len(lines))
        old = lines[first : first + count]
        lines[first : first + count] = new
        edits.replaced(URI, first, old, new)
    return lines


@given(LINES, SPLICES)
def test_taking_back_every_place_gives_the_text_of_before(lines, splices):
    edits = RecentEdits(Clock())
    now = edited(lines, splices, edits)
    assert before(now, edits.places()) == lines


@given(LINES, SPLICES)
def test_places_are_apart_small_and_none_says_nothing(lines, splices):
    edits = RecentEdits(Clock())
    edited(lines, splices, edits)
    places = sorted(edits.places(), key=lambda one: one.first)
    for one, following in pairwise(places):
        assert one.stop < following.first
    for one in places:
        assert one.before != one.after
        assert one == one.trimmed()
        assert one.is_small


@given(LINES, SPLICES)
@example(["a", "a"], [(0, 1, []), (0, 1, [])])
def test_what_is_undone_vanishes(lines, splices):
    edits = RecentEdits(Clock())
    now = list(lines)
    done = []
    for start, count, new in splices:
        first = min(start, len(now))
        old = now[first : first + count]
        now[first : first + count] = new
        edits.replaced(URI, first, old, new)
        done.append((first, old, new))
    for first, old, new in reversed(done):
        edits.replaced(URI, first, new, old)
    assert edits.places() == []


@given(LINES, SPLICES)
def test_lines_may_have_their_ends_and_a_whole_text_may_be_replaced(lines, splices):
    one, other = RecentEdits(Clock()), RecentEdits(Clock())
    now = edited(lines, splices, one)
    other.replaced(URI, 0, [f"{line}\r\n" for line in lines], now)
    assert before(now, other.places()) == lines


@given(st.data())
def test_a_document_tells_of_every_edit_whatever_its_positions(data):
    documents = Documents()
    text = data.draw(st.text("ab\n\r", max_size=20))
    document = documents.open(URI, "python", 1, text)
    first = [line.rstrip("\r\n") for line in document.lines]
    for version in range(data.draw(st.integers(0, 6))):
        place = st.builds(Position, st.integers(0, 6), st.integers(0, 6))
        start = data.draw(st.none() | place)
        edit = Edit(start, data.draw(place) if start else None, data.draw(st.text("xy\n\r")))
        documents.change(URI, [edit], version + 2, "utf-16")
    now = [line.rstrip("\r\n") for line in document.lines]
    assert before(now, documents.edits.places()) == first


def test_the_place_touched_last_comes_last():
    edits = RecentEdits(Clock())
    edits.replaced(URI, 9, ["a"], ["b"])
    edits.replaced("file:///b.py", 0, [], ["new"])
    edits.replaced(URI, 1, ["x"], ["y", "z"])
    assert [(one.uri, one.first) for one in edits.places()] == [
        (URI, 10),
        ("file:///b.py", 0),
        (URI, 1),
    ]
    edits.replaced(URI, 10, ["b"], ["c"])
    last = edits.places()[-1]
    assert (last.first, last.before, last.after) == (10, ("a",), ("c",))


def test_places_are_bounded_by_count_size_and_age(monkeypatch):
    clock = Clock()
    edits = RecentEdits(clock)
    for number in range(40):
        edits.replaced(URI, 2 * number, ["a"], [f"b{number}"])
    assert next(one.after for one in edits.places()) == (f"b{40 - recent_edits.MAX_PLACES}",)
    assert len(edits.places()) == recent_edits.MAX_PLACES
    edits.replaced("file:///big.py", 0, [], ["x"] * (recent_edits.MAX_LINES + 1))
    edits.replaced("file:///long.py", 0, [], ["x" * (recent_edits.MAX_CHARS + 1)])
    assert {one.uri for one in edits.places()} == {URI}
    clock.now += recent_edits.MAX_AGE_S
    assert edits.places() == []


@pytest.mark.parametrize(("text", "stays"), [("new\n", True), ("other\n", False), ("", False)])
def test_a_file_that_is_opened_again_keeps_its_places_if_they_are_still_there(text, stays):
    documents = Documents()
    documents.open(URI, "python", 1, "old\n")
    documents.change(URI, [Edit(Position(0, 0), Position(0, 3), "new")], 2, "utf-16")
    documents.close(URI)
    assert [one.after for one in documents.edits.places()] == [("new",)]
    documents.open(URI, "python", 1, text)
    assert bool(documents.edits.places()) == stays


def test_a_document_that_cannot_be_followed_has_no_places():
    documents = Documents()
    documents.open(URI, "python", 1, "old\n")
    documents.change(URI, [Edit(Position(0, 0), Position(0, 3), "new")], 2, "utf-16")
    documents.lose(URI)
    assert documents.edits.places() == []
