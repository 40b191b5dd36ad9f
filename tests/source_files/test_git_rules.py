"""git's rules that are in no `.gitignore`, wherever git keeps them. git is the judge."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from longllama_code.source_files.ignore import IgnoreRules

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

FILES = ["a.py", "a.log", "a.tmp", "sub/a.log", "sub/b.py"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (folder / ".gitconfig").write_text(
        '[user]\n\tname = a\n\temail = a@b.c\n[protocol "file"]\n\tallow = always\n'
    )
    return folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode > 1:
        raise RuntimeError(done.stderr)
    return done.stdout


def repository(folder: Path, *options: str) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", *options)
    (folder / "kept.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def plant(top: Path) -> list[Path]:
    for name in FILES:
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text("text\n")
    return [top / name for name in FILES]


def assert_agrees(top: Path, ignored: set[str], root: Path | None = None) -> None:
    paths = plant(top)
    theirs = set(git(top, "check-ignore", "--no-index", *FILES).split())
    rules = IgnoreRules(root or top)
    ours = {path.relative_to(top).as_posix() for path in paths if rules.ignores(path)}
    assert ours == theirs == ignored


def exclude(git_folder: Path, text: str) -> None:
    (git_folder / "info").mkdir(exist_ok=True)
    (git_folder / "info" / "exclude").write_text(text)


def test_worktrees_share_the_exclude_file(tmp_path):
    main = repository(tmp_path / "main")
    exclude(main / ".git", "*.log\n")
    git(main, "worktree", "add", "--quiet", str(tmp_path / "other"))
    assert_agrees(tmp_path / "other", {"a.log", "sub/a.log"})


def test_a_submodule_has_its_own(tmp_path):
    library = repository(tmp_path / "library")
    main = repository(tmp_path / "main")
    git(main, "submodule", "--quiet", "add", str(library), "lib")
    exclude(main / ".git", "*.tmp\n")
    exclude(main / ".git" / "modules" / "lib", "*.log\n")
    assert_agrees(main / "lib", {"a.log", "sub/a.log"}, root=main)
    assert_agrees(main / "lib", {"a.log", "sub/a.log"})


def test_a_separate_git_folder(tmp_path):
    top = repository(tmp_path / "top", f"--separate-git-dir={tmp_path / 'apart'}")
    exclude(tmp_path / "apart", "*.log\n")
    assert_agrees(top, {"a.log", "sub/a.log"})


def test_a_repository_below_the_root(tmp_path):
    inner = repository(tmp_path / "root" / "x" / "inner")
    exclude(inner / ".git", "/a.log\n")
    assert_agrees(inner, {"a.log"}, root=tmp_path / "root")


def test_a_repository_inside_another_has_rules_of_its_own(tmp_path):
    outer = repository(tmp_path / "outer")
    (outer / ".gitignore").write_text("*.py\n")
    inner = repository(outer / "inner")
    (inner / ".gitignore").write_text("*.tmp\n")
    assert_agrees(inner, {"a.tmp"}, root=outer)
    (outer / ".gitignore").write_text("inner/\n")
    assert IgnoreRules(outer).ignores(inner / "a.py")


def test_our_own_rules_hold_across_repositories(tmp_path):
    outer = repository(tmp_path / "outer")
    (outer / ".longllamaignore").write_text("*.log\n")
    inner = repository(outer / "inner")
    plant(inner)
    assert IgnoreRules(outer).ignores(inner / "sub" / "a.log")


@pytest.mark.parametrize(
    "configuration",
    [
        "[core]\n\texcludesFile = ~/named\n",
        '[core] excludesfile="~/named" ; a comment\n',
        "[Core]\n\tEXCLUDESFILE = ~/na\\\nmed\n",
        "[core]\n\texcludesFile = /nowhere\n[core]\n# later\n\texcludesFile = ~/named # wins\n",
        "[include]\n\tpath = more\n",
        "\ufeff[core]\r\n\tbare\r\n\texcludesFile = ~/named\r\n",
    ],
)
def test_the_users_file(tmp_path, home, configuration):
    top = repository(tmp_path / "top")
    (home / "named").write_text("*.log\n")
    (home / "more").write_text("[core]\n\texcludesFile = ~/named\n")
    (home / ".gitconfig").write_text(configuration, newline="", encoding="utf-8")
    assert_agrees(top, {"a.log", "sub/a.log"})


def test_the_users_file_where_nothing_is_configured(tmp_path, home, monkeypatch):
    top = repository(tmp_path / "top")
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text("*.log\n")
    assert_agrees(top, {"a.log", "sub/a.log"})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert_agrees(top, set())
    (tmp_path / "xdg" / "git").mkdir(parents=True)
    (tmp_path / "xdg" / "git" / "ignore").write_text("*.tmp\n")
    assert_agrees(top, {"a.tmp"})
    (home / ".gitconfig").write_text("[core]\n\texcludesFile =\n")
    assert_agrees(top, set())


def test_the_repositorys_configuration_wins(tmp_path, home):
    top = repository(tmp_path / "top")
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/users\n")
    (home / "users").write_text("*.log\n")
    (tmp_path / "own").write_text("*.tmp\n")
    git(top, "config", "core.excludesFile", str(tmp_path / "own"))
    assert_agrees(top, {"a.tmp"})


def test_the_order_of_git(tmp_path, home):
    top = repository(tmp_path / "top")
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text("*.log\n*.tmp\n*.py\n")
    exclude(top / ".git", "!a.log\n!a.tmp\n")
    (top / ".gitignore").write_text("a.tmp\n!b.py\n")
    assert_agrees(top, {"a.py", "a.tmp"})


def test_case_as_the_repository_has_it(tmp_path):
    top = repository(tmp_path / "top")
    (top / ".gitignore").write_text("A.LOG\nSUB/B.*\n")
    git(top, "config", "core.ignoreCase", "true")
    assert_agrees(top, {"a.log", "sub/a.log", "sub/b.py"})


def test_without_git_rules_none_of_them_count(tmp_path, home):
    top = repository(tmp_path / "top")
    exclude(top / ".git", "*.log\n")
    rules = IgnoreRules(top, respect_gitignore=False)
    assert not any(rules.ignores(path) for path in plant(top))


def test_a_change_of_outside_rules_is_noticed_once(tmp_path, home):
    top = repository(tmp_path / "top")
    plant(top)
    rules = IgnoreRules(top)
    assert not rules.ignores(top / "a.log")
    assert not rules.renew()
    exclude(top / ".git", "*.log\n")
    assert [rules.renew(), rules.renew()] == [True, False]
    assert rules.ignores(top / "a.log")
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/named\n")
    assert rules.renew()
    assert not rules.ignores(top / "a.tmp")
    (home / "named").write_text("*.tmp\n")
    assert rules.renew()
    assert rules.ignores(top / "a.tmp")


@pytest.mark.parametrize(
    "pointer", ["", "gitdir: ", "gitdir: /nowhere", "gitdir: \0", "gitdir: //host/share", "x" * 99]
)
def test_a_pointer_that_leads_nowhere(tmp_path, pointer):
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / ".git").write_text(pointer)
    rules = IgnoreRules(tmp_path / "top")
    assert not any(map(rules.ignores, plant(tmp_path / "top")))


def test_a_user_without_a_home(tmp_path, monkeypatch):
    top = repository(tmp_path / "top")

    def none() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(Path, "home", none)
    assert not IgnoreRules(top).ignores(top / "kept.py")
    assert os.environ.get("HOME") is None
