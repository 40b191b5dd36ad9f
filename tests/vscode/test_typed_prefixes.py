"""The prefixes that the benchmark types are what they say, and parsing finds what is broken."""

import pytest

from tests.bench.typed_prefixes import (
    SOURCES,
    Prefix,
    choose,
    closers_behind,
    parses,
)


@pytest.mark.parametrize("language", SOURCES)
def test_a_third_of_the_prefixes_is_beside_closers(language: str) -> None:
    prefixes = choose(language, 20, 7)
    assert len({(each.path, each.head) for each in prefixes}) == 20
    assert sum(bool(each.closers) for each in prefixes) == 7
    assert all(each.word and each.rest for each in prefixes)


@pytest.mark.parametrize("language", SOURCES)
def test_the_true_line_parses_and_a_doubled_closer_does_not(language: str) -> None:
    for prefix in choose(language, 20, 7):
        line = prefix.head + prefix.indent + prefix.typed + prefix.rest
        assert parses(prefix, line), prefix
        assert not parses(prefix, f"{line})"), prefix


@pytest.mark.parametrize(
    ("accepted", "is_whole"),
    [
        ("return err\n\t}", True),  # ends the block, as the file's next line does
        ("return err", True),
        ("return err\n\t}\n\treturn nil\n}", True),
        ("return err\n\t}\n}\n}", False),
        ("return f(err", False),
        ("return err)", False),
    ],
)
def test_a_suggestion_may_end_the_block(accepted: str, is_whole: bool) -> None:
    head, tail = "package a\n\nfunc f() error {\n\tif true {\n", "\t}\n\treturn nil\n}\n"
    prefix = Prefix("go", "a.go", head, "\t\t", "ret", "urn err", tail, "")
    assert parses(prefix, f"{head}\t\t{accepted}") is is_whole


@pytest.mark.parametrize(
    ("before", "closers"),
    [
        ("f(a, [b", "])"),
        ("f(a)", ""),
        ('f("(', '")'),
        ('x = {"a": b[', "]}"),
        ("if isinstance(e, Usage", ")"),
        ("it's (", "'"),
    ],
)
def test_closers_behind_a_text(before: str, closers: str) -> None:
    assert closers_behind(before) == closers
