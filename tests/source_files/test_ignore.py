"""Ignore rules: git is the judge wherever git has an opinion."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longllama_code.source_files.ignore import ALWAYS_IGNORED, IgnoreRules
from tests.source_files.judged_by_git import git

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="")


def kept_by_git(root: Path) -> set[str]:
    return {
        os.fsdecode(name)
        for name in git(root, "ls-files", "-coz", "--exclude-standard").split(b"\0")
        if name
    }


def kept_by_us(root: Path, rules: IgnoreRules | None = None) -> set[str]:
    rules = rules or IgnoreRules(root)
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix() for path in files if not rules.ignores(path)}


FILES = """
    a.py a.log keep.log #hash !bang
    src/a.py src/a.log src/keep.log src/build/a.py src/build/keep.log src/deep/er/a.log
    build/a.py build/keep.log docs/build/a.py docs/a.py foo/a.txt foo/bar/a.txt foo/bar/a.py
"""
TREE = dict.fromkeys([*FILES.split(), "trailing ", "with space.py", "naïve/é.py"], "text")


@needs_git
@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({".gitignore": "*.log\n!keep.log\n"}, id="negation"),
        pytest.param({".gitignore": "!keep.log\n*.log\n"}, id="the last one wins"),
        pytest.param({".gitignore": "*.log\n", "src/.gitignore": "!*.log\n"}, id="deeper wins"),
        pytest.param({".gitignore": "!*.log\n", "src/.gitignore": "a.log\n"}, id="deeper adds"),
        pytest.param(
            {".gitignore": "build/\n!build/keep.log\n"}, id="a closed folder stays closed"
        ),
        pytest.param({".gitignore": "build\n", "src/.gitignore": "!build\n"}, id="folder reopened"),
        pytest.param({".gitignore": "*.py\n", "src/.gitignore": "!build/\n"}, id="only the folder"),
        pytest.param({".gitignore": "/build\n"}, id="anchored"),
        pytest.param({"src/.gitignore": "/a.*\n"}, id="anchored below"),
        pytest.param({".gitignore": "src/*.log\n"}, id="a slash anchors"),
        pytest.param({".gitignore": "**/er/*.log\n"}, id="leading stars"),
        pytest.param({".gitignore": "src/**/a.log\n"}, id="inner stars"),
        pytest.param({".gitignore": "foo/**\n!foo/**/\n!foo/**/*.py\n"}, id="only some files"),
        pytest.param({".gitignore": "foo/*\n!foo/bar\n"}, id="all but one folder"),
        pytest.param({".gitignore": "/*\n!/src/\n!/.gitignore\n"}, id="allow list"),
        pytest.param({".gitignore": "*\n!*/\n!*.py\n"}, id="only python"),
        pytest.param({".gitignore": "#hash\n\\!bang\n"}, id="comment and escape"),
        pytest.param({".gitignore": "trailing\\ \nwith space.py   \n"}, id="spaces"),
        pytest.param({".gitignore": "*.log\r\n!keep.log\r\n"}, id="carriage returns"),
        pytest.param({".gitignore": "\ufeff*.log\n"}, id="byte order mark"),
        pytest.param({".gitignore": "é.py\n"}, id="beyond ASCII"),
        pytest.param({".gitignore": "[!k]*.log\n"}, id="character class"),
        pytest.param({".gitignore": "!\n[z-a]\n*.log\n"}, id="nonsense is skipped"),
        pytest.param({".git/info/exclude": "*.log\n"}, id="info/exclude"),
        pytest.param(
            {".git/info/exclude": "*.log\n", ".gitignore": "!a.log\n"}, id="info/exclude is weak"
        ),
    ],
)
def test_agrees_with_git(tmp_path: Path, rules: dict[str, str]) -> None:
    git(tmp_path, "init", "--quiet")
    write(tmp_path, TREE | rules)
    assert kept_by_git(tmp_path) < {*TREE, *rules}, "these rules ignore nothing"
    assert kept_by_us(tmp_path) == kept_by_git(tmp_path)


names = st.sampled_from(["a", "b", "x.py", "y.log", " z", "q#"])
globs = st.sampled_from(["a", "b", "*", "**", "*.py", "x.*", "[ab]", "?", "\\#q", "#c", "a\\ "])
patterns = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(globs, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "/"]),
)
folders = st.lists(st.sampled_from(["a", "b"]), max_size=3).map(
    lambda parts: "/".join([*parts, ""])
)
rules_files = st.dictionaries(folders, st.lists(patterns, min_size=1, max_size=4), min_size=1)


@needs_git
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sets(st.tuples(folders, names), min_size=1, max_size=20), rules_files)
def test_agrees_with_git_on_any_tree(
    tmp_path_factory: pytest.TempPathFactory,
    files: set[tuple[str, str]],
    rules: dict[str, list[str]],
) -> None:
    root = tmp_path_factory.mktemp("tree")
    git(root, "init", "--quiet")
    # The names "a" and "b" are folders wherever something lies in them.
    taken = {
        folder[:end] for folder in {f for f, _ in files} | {*rules} for end in range(len(folder))
    }
    write(root, {f + name: "text" for f, name in files if f + name not in taken})
    write(root, {f + ".gitignore": "\n".join(lines) for f, lines in rules.items()})
    assert kept_by_us(root) == kept_by_git(root)


@needs_git
def test_rules_above_the_root_count(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write(tmp_path, TREE | {".gitignore": "*.log\nsrc/build/\n"})
    below = {name.removeprefix("src/") for name in kept_by_git(tmp_path) if name.startswith("src/")}
    assert kept_by_us(tmp_path / "src") == below == {"a.py"}


def test_an_ignored_root_is_open(tmp_path: Path) -> None:
    """Whoever opens `build/` wants to see what is in it."""
    write(tmp_path, TREE | {".gitignore": "build/\n", ".git/HEAD": ""})
    assert kept_by_us(tmp_path / "build") == {"a.py", "keep.log"}


def test_own_rules_win_over_git(tmp_path: Path) -> None:
    own = {"src/.longllamaignore": "/a.py\n!build/\n"}
    write(tmp_path, TREE | {".gitignore": "build/\n*.log\n", "build/.gitignore": "!*\n"} | own)
    kept = kept_by_us(tmp_path)
    assert "src/build/a.py" in kept
    assert not kept & {"src/a.py", "build/a.py", "a.log"}


def test_own_rules_above_win_over_git_rules_below(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".longllamaignore": "*.log\n", "src/.gitignore": "!a.log\n"})
    assert "src/a.log" not in kept_by_us(tmp_path)


def test_git_rules_can_be_left_aside(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".gitignore": "*.log\n", ".longllamaignore": "*.py\n"})
    write(tmp_path, {".git/info/exclude": "*.txt\n"})
    kept = kept_by_us(tmp_path, IgnoreRules(tmp_path, respect_gitignore=False))
    assert {"a.log", "foo/a.txt"} <= kept
    assert "a.py" not in kept


def test_the_ignore_file_can_be_renamed(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".private": "*.log\n", ".longllamaignore": "*.py\n"})
    kept = kept_by_us(tmp_path, IgnoreRules(tmp_path, ignore_file=".private"))
    assert "a.py" in kept
    assert "a.log" not in kept


def test_exclude_wins_over_every_file(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".longllamaignore": "!*.log\n", "build/.longllamaignore": "!*\n"})
    kept = kept_by_us(tmp_path, IgnoreRules(tmp_path, exclude=("*.log", "/build")))
    assert not {name for name in kept if name.endswith(".log") or name.startswith("build/")}
    assert "src/build/a.py" in kept


def test_include_takes_away_what_it_does_not_name(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".gitignore": "keep.log\n"})
    rules = IgnoreRules(tmp_path, include=("/src/deep", "*.log"), exclude=("build",))
    assert kept_by_us(tmp_path, rules) == {"a.log", "src/a.log", "src/deep/er/a.log"}


def test_include_takes_back_what_a_later_pattern_denies(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    rules = IgnoreRules(tmp_path, include=("/src", "!/src/build", "/src/build/a.py"))
    assert kept_by_us(tmp_path, rules) == {
        *("src/a.py", "src/a.log", "src/keep.log", "src/build/a.py", "src/deep/er/a.log")
    }


def test_settings_are_relative_to_the_root(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".git/HEAD": ""})
    rules = IgnoreRules(tmp_path / "src", include=("/a.*", "/deep"), exclude=("/deep/er",))
    assert kept_by_us(tmp_path / "src", rules) == {"a.py", "a.log"}


@pytest.mark.parametrize("pattern", ["!", "[z-a]"])
@pytest.mark.parametrize("setting", ["include", "exclude"])
def test_a_bad_pattern_in_the_settings_is_refused(
    tmp_path: Path, setting: str, pattern: str
) -> None:
    with pytest.raises(ValueError, match="is not a gitignore pattern"):
        IgnoreRules(tmp_path, **{setting: (pattern,)})


@pytest.mark.parametrize("name", sorted(ALWAYS_IGNORED))
def test_no_rule_opens_what_is_never_source(tmp_path: Path, name: str) -> None:
    write(tmp_path, {f"src/{name}/a.py": "text", ".longllamaignore": f"!{name}\n!*\n"})
    assert kept_by_us(tmp_path) == {".longllamaignore"}


def test_a_virtual_environment_is_known_by_its_contents(tmp_path: Path) -> None:
    write(tmp_path, {"any/pyvenv.cfg": "", "any/lib/a.py": "text", "venv/a.py": "text"})
    assert kept_by_us(tmp_path) == {"venv/a.py"}


def test_rules_are_read_again_when_they_change(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "text", "b.py": "text"})
    rules = IgnoreRules(tmp_path)
    assert not rules.ignores(tmp_path / "a.py")
    write(tmp_path, {".gitignore": "a.py"})
    assert rules.ignores(tmp_path / "a.py")
    before = (tmp_path / ".gitignore").stat().st_mtime_ns
    write(tmp_path, {".gitignore": "b.py"})
    os.utime(tmp_path / ".gitignore", ns=(before + 1, before + 1))
    assert [rules.ignores(tmp_path / name) for name in ("a.py", "b.py")] == [False, True]
    (tmp_path / ".gitignore").unlink()
    assert not rules.ignores(tmp_path / "b.py")


def test_unchanged_rules_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {".gitignore": "a.py"})
    rules = IgnoreRules(tmp_path)
    assert rules.ignores(tmp_path / "a.py")
    monkeypatch.delattr("longllama_code.source_files.ignore.read_regular_inside")
    assert rules.ignores(tmp_path / "a.py")


def test_rules_that_cannot_be_read_hold_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "text"})
    (tmp_path / ".gitignore").mkdir()
    assert kept_by_us(tmp_path) == {"a.py"}


def test_the_root_is_never_ignored_and_nothing_outside_is_judged(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*"})
    rules = IgnoreRules(tmp_path)
    assert not rules.ignores(tmp_path, is_dir=True)
    with pytest.raises(ValueError, match="not in the subpath"):
        rules.ignores(tmp_path.parent)
