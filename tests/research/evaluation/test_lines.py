"""Classes of lines, on a small planted repository."""

import random

from hypothesis import given
from hypothesis import strategies as st

from longllama_code.research.evaluation.completion.lines import (
    LINE_CLASSES,
    Cursor,
    cursors,
    names_of_many,
    project_of,
    sample,
)

HARBOUR = """\
import os

TIDE_LIMIT = 3

class Berth:
    depth_mark = 1

    def moor_vessel(self, hawser):
        self.mooring_state = hawser
        knots = len(hawser)
        return knots
"""
HELD_OUT = '''\
"""Moor."""
from harbour import Berth, TIDE_LIMIT
# moor_vessel, in a comment, is shown from here on

def arrive(ship, level):
    berth = Berth()
    spare = berth.mooring_state
    if level > TIDE_LIMIT:
        print(len("Berth"))
    knots = ship.knots
    berth.moor_vessel(ship)
    return arrive(ship, level)

import numpy
numpy.zeros
'''
PROJECT = project_of({"harbour.py": HARBOUR, "notes.txt": "TIDE", "broken.py": "def (:"})


def classes(text: str = HELD_OUT) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for cursor in cursors("held.py", text, PROJECT):
        found.setdefault(cursor.line, set()).add(cursor.kind)
    return {line: kinds - {"random"} for line, kinds in found.items()}


def test_only_what_others_can_name_is_exported() -> None:
    assert set(PROJECT.definitions) == {
        "TIDE_LIMIT",
        "Berth",
        "depth_mark",
        "moor_vessel",
        "mooring_state",
    }
    (berth,) = PROJECT.definitions["Berth"]
    assert (berth.path, berth.first_line, berth.last_line) == ("harbour.py", 5, 11)


def test_each_line_has_its_class() -> None:
    assert classes() == {
        1: set(),
        2: set(),
        5: set(),  # it binds names, and uses none
        6: {"inproject"},  # imported above
        7: {"inproject-first"},
        8: {"inproject"},
        9: {"common"},
        10: {"infile"},
        11: {"inproject"},  # the comment has shown it
        12: {"infile"},
        14: set(),
        15: set(),  # of another package
    }


def test_a_name_that_the_file_defines_is_its_own() -> None:
    assert classes("def moor_vessel(): pass\nmoor_vessel()\n")[2] == {"infile"}


def test_a_name_of_many_repositories_is_common() -> None:
    many = names_of_many([{"a.py": "def emit_all(): pass\n"}] * 3 + [{"a.py": "rare_name = 1\n"}])
    assert many == {"emit_all"}
    project = project_of({"a.py": "def emit_all(): pass\n"}, many)
    kinds = {cursor.kind for cursor in cursors("b.py", "emit_all()\n", project)}
    assert kinds == {"common", "random"}


def test_a_cursor_stands_before_the_text_of_its_line() -> None:
    text = "def use(é):\n\t  é.mooring_state  \n"
    cursor = next(cursor for cursor in cursors("a.py", text, PROJECT) if cursor.line == 2)
    line = "é.mooring_state"
    assert cursor == Cursor("a.py", "inproject-first", 2, 15, line, ("mooring_state",))
    assert text[: cursor.offset].endswith("\n\t  ")


def test_files_that_cannot_be_read_have_no_lines() -> None:
    for path, text in (("a.py", "def (:"), ("a.py", "x = \x00"), ("a.rb", "puts 1")):
        assert not list(cursors(path, text, PROJECT))
        assert not PROJECT.uses(path, text)


def test_a_doubtful_escape_is_read() -> None:
    assert list(cursors("a.py", "pattern = '\\d'\n", PROJECT))


def test_uses_stand_where_the_names_stand() -> None:
    uses = PROJECT.uses("held.py", HELD_OUT)
    assert [HELD_OUT[use.start : use.end] for use in uses] == [use.name for use in uses]
    assert [use.line for use in uses] == [2, 2, 6, 7, 8, 11]


@given(st.integers(0, 9), st.integers(0, 9))
def test_a_sample_has_so_many_of_each_class(n_each: int, seed: int) -> None:
    found = list(cursors("held.py", HELD_OUT, PROJECT))
    drawn = sample(found, n_each, random.Random(seed))
    assert drawn == sample(found, n_each, random.Random(seed))
    for kind in LINE_CLASSES:
        available = sum(cursor.kind == kind for cursor in found)
        assert sum(cursor.kind == kind for cursor in drawn) == min(n_each, available)
    assert set(drawn) <= set(found)
