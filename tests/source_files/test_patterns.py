"""Patterns: git is the judge of what they name, and no pattern takes long to say."""

import os
import random
import shutil
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longllama_code.source_files.patterns import (
    MAX_PATTERN_BYTES,
    FilePatterns,
    is_pattern,
    parse_file,
)
from tests.source_files.judged_by_git import (
    git,
    ignored_by,
    named_by_git,
    some_path,
    some_rules,
)

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
any_bytes = pytest.mark.skipif(sys.platform != "linux", reason="names are text on this system")


@any_bytes
@needs_git
@pytest.mark.parametrize("ignores_case", [False, True])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_patterns_name_what_git_says(
    tmp_path_factory: pytest.TempPathFactory, ignores_case: bool, seed: int
) -> None:
    root, chance = tmp_path_factory.mktemp("patterns"), random.Random(seed)
    git(root, "init", "--quiet")
    git(root, "config", "core.ignoreCase", str(ignores_case))
    rules = [some_rules(chance) for _ in range(40)]
    paths = sorted({some_path(chance) for _ in range(40)})
    theirs = named_by_git(root, rules, paths)
    for number, text in enumerate(rules):
        patterns = parse_file(text, ignores_case=ignores_case)
        for path in paths:
            expected = b"%d/%s" % (number, path) in theirs
            assert ignored_by(patterns, path) == expected, (text, path)


@any_bytes
@needs_git
@pytest.mark.parametrize(
    ("rules", "ignored", "kept"),
    [
        ("[[:alpha:]].py", "x.py", "1.py"),
        ("[![:digit:]]", "x", "1"),
        ("***/a", "b/a", "b/c"),
        ("a***/b", "ax/b", "ax/c"),
        ("docs**/b", "docs/x/b", "x/b"),
        ("?.py", "e.py", "é.py"),
        ("??.py", "é.py", "e.py"),
        ("[é].py", "\udcc3.py", "é.py"),
        ("a/**", "a/b", "b"),
        ("**/a/**/b", "a/x/y/b", "a/x"),
        ("x\\ ", "x ", "x"),
        ("[z-a]", "z", "a"),
    ],
)
def test_peculiar_patterns(tmp_path, rules, ignored, kept):
    git(tmp_path, "init", "--quiet")
    paths = [os.fsencode(ignored), os.fsencode(kept)]
    assert named_by_git(tmp_path, [rules.encode()], paths) == {b"0/" + paths[0]}
    patterns = parse_file(rules.encode())
    assert [ignored_by(patterns, path) for path in paths] == [True, False]


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 12 + "*z",
        "?*" * 100 + "z",
        "**/a*/" * 20 + "z",
        "x/" + "**/*a*/" * 20 + "z",
        "[ab]*" * 50 + "z",
        "a*" * 2000 + "z",
        "*" * 8000 + "z",
        "x/" + "**/" * 1000 + "z",
    ],
)
@pytest.mark.parametrize("path", ["a" * 60, "a" * 255, "a/" * 100 + "a", "x/" + "aa/" * 300 + "a"])
def test_no_pattern_takes_long(pattern, path):
    """A matcher that goes back to each star would not come to an end."""
    assert ignored_by(parse_file(pattern.encode()), path.encode()) is False
    assert FilePatterns([pattern]).names(path) is False


def test_a_line_is_read_up_to_a_limit():
    longest = "a" * MAX_PATTERN_BYTES
    assert is_pattern(longest)
    assert not is_pattern(longest + "a")
    patterns = parse_file(f"{longest}a*\nb\n".encode())
    assert patterns.n_rules == 1
    assert ignored_by(patterns, b"b")


@given(st.text(), st.text())
def test_no_text_of_a_client_fails(pattern, path):
    assert isinstance(is_pattern(pattern), bool)
    assert FilePatterns([pattern]).names(path) in (True, False)
    assert FilePatterns(["\ud800"]).names("\ud800")


@pytest.mark.parametrize("pattern", ["!", "/", "[z-a]", "[a", "a\\", "[[:foo:]]"])
def test_a_pattern_that_names_nothing_is_none(pattern):
    assert not is_pattern(pattern)


def test_a_file_is_named_by_itself_or_the_folder_nearest_to_it():
    patterns = FilePatterns(["gen/", "!gen/kept/", "*.log", "!keep.log"])
    named = ["gen/a.py", "gen/x/a.py", "gen/kept/a.log", "a.log"]
    assert all(map(patterns.names, named))
    assert not any(map(patterns.names, ["a.py", "gen/kept/a.py", "gen/keep.log", "gen"]))
