"""Where a suggestion ends."""

from typing import Any

import pytest
import tomli

from longllama_code.generation.decoding.stopping import repeats_next_line, stop_rule
from tests.paths import DATA

GOLDEN = DATA / "endings.toml"
LINE, BLOCK = ("x = f(", "\nz\n"), ("def f():\n    ", "\n\nz = 1\n")


@pytest.mark.parametrize(
    ("around", "text", "expected"),
    [
        # One line: the cursor's line has text.
        (LINE, "y)", None),
        (LINE, "y)\n", ("y)", "line")),
        (LINE, "y)  \nmore\n", ("y)", "line")),
        (LINE, "y)\r\n", ("y)", "line")),
        (LINE, "\n", ("", "line")),
        (("    ", ")\n"), "y\n", ("y", "line")),
        # A block: the line is complete only at its end.
        (BLOCK, "a\n    b", None),
        (BLOCK, "a\n    b\n", None),
        (BLOCK, "a\n\n    b\n", None),
        # It ends where the indentation falls,
        (BLOCK, "a\n    b\nc = 1\n", ("a\n    b", "block")),
        (BLOCK, "a\n  b\n", ("a", "block")),
        (BLOCK, "a\n\nc = 1\n", ("a", "block")),
        (("if x:\n\t", ""), "a\n\tb\nc\n", ("a\n\tb", "block")),
        # at two blank lines,
        (BLOCK, "a\n\n\n", ("a", "block")),
        (BLOCK, "\n\n", ("", "block")),
        (("", ""), "a\n\nb\n\n\n", ("a\n\nb", "block")),
        # and where it says what follows the cursor.
        (("", "\n\nz = 1\n"), "a\nz = 1\n", ("a", "repeats_suffix")),
        (("", "\n\nz = 1\n"), "z = 1\n", None),
        (("  ", "\n  }\n"), "a\n  }\n", ("a", "repeats_suffix")),
        # An inner bracket is not the one that follows.
        (("{\n  ", "\n}\n"), "if {\n    a\n  }\n", None),
        (("{\n  ", "\n}\n"), "if {\n    a\n  }\n}\n", ("if {\n    a\n  }", "repeats_suffix")),
        # CRLF is kept inside, and no part of a line.
        (("f:\r\n    ", "\r\nz\r\n"), "a\r\n    b\r\nz\r\n", ("a\r\n    b", "repeats_suffix")),
        (("f:\r\n    ", "\r\n"), "a\r\n\r\n\r\n", ("a", "block")),
        (("f:\r\n    ", "\r\n"), "a\r\n    b\r\nc\r\n", ("a\r\n    b", "block")),
    ],
)
def test_cut(around: tuple[str, str], text: str, expected: tuple[str, str] | None) -> None:
    assert stop_rule(*around, multiline=True).cut(text) == expected


def test_multiline_can_be_refused() -> None:
    assert stop_rule(*BLOCK, multiline=False).cut("a\n    b\n") == ("a", "line")


@pytest.mark.parametrize("around", [LINE, BLOCK, ("", ""), ("f:\r\n  ", "\r\nz\r\n")])
def test_what_was_cut_stays_cut(around: tuple[str, str]) -> None:
    """However the tokens fall, the end is found at the same place."""
    rule = stop_rule(*around, multiline=True)
    text = "a\r\n    b\n\n    c\n\n\n\nz\nd\n"
    cuts = [rule.cut(text[:length]) for length in range(len(text) + 1)]
    found = [cut for cut in cuts if cut is not None]
    assert found
    assert set(found) == {rule.cut(text)}
    assert cuts == [None] * (len(cuts) - len(found)) + found


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x = foo(foo(foo(foo(foo(", "x = foo("),
        ("a.b.c, a.b.c, a.b.c, a.b.c, ", "a.b.c,"),
        ("x = ----------------------", None),
        ("[0, 0, 0, 0]", None),
        ("name, name, name", None),
    ],
)
def test_a_line_that_repeats_itself_ends(text, kept):
    cut = stop_rule("", "", multiline=False).cut(text)
    assert (cut and cut[0]) == kept
    assert cut is None or cut[1] == "repeats_itself"


def test_a_block_of_one_line_again_and_again_ends():
    rule = stop_rule("    ", "\n", multiline=True)
    assert rule.cut("x = 1\n    y += 1\n    y += 1\n    y") is None
    text = "x = 1\n    y += 1\n    y += 1\n    y += 1\n    "
    assert rule.cut(text) == ("x = 1\n    y += 1", "repeats_itself")


@pytest.mark.parametrize(
    "case", tomli.loads(GOLDEN.read_text("utf-8"))["case"], ids=lambda case: case["name"]
)
def test_what_a_model_writes_ends_with_its_scope(case: dict[str, Any]) -> None:
    """The same place is found token by token, and with all of the text at hand."""
    rule = stop_rule(*case["around"].split("|"), multiline=True)
    written, expected = case["written"], (case["suggested"], case["reason"])
    cuts = [rule.cut(written[:length]) for length in range(len(written) + 1)]
    assert next(cut for cut in cuts if cut is not None) == expected
    assert rule.cut(written) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("value = compute(", "value = compute("),
        ("a = 1\n    b = comp", "a = 1"),
        ("\n    a = comp", "\n    a = comp"),
        ("\n    a = 1\n    b", "\n    a = 1"),
    ],
)
def test_of_an_interrupted_block_whole_lines_are_shown(text: str, shown: str) -> None:
    assert stop_rule("def f():|"[:-1], "", multiline=True).unfinished(text) == shown


@pytest.mark.parametrize(
    ("before", "text", "after", "repeats"),
    [
        ("x = 1\nb", " = 2", "\nb = 2\n", True),
        ("b", " = 2", "\n\n  b = 2  \n", True),  # what is not blank counts, wherever it stands
        ("f(", "2", ")\nf(2)", True),
        ("b", " = 2", "", False),
        ("b", " = 2", "\nb = 23\n", False),
        ("b", " = 2\nb = 2", "\nb = 2\n", False),
        ("", "", "\n\n", False),
    ],
)
def test_a_line_that_the_next_one_is_already(
    before: str, text: str, after: str, repeats: bool
) -> None:
    assert repeats_next_line(before, text, after) is repeats
